"""A third-party backend, found by its entry point: the CPU provider, with a fault of choice at one batch size."""

import ctypes
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from runner.backends.cpu import BACKEND as CPU
from runner.backends.interface import Arrays, Call, Io, Missing, OpenRequest, Option, Placement, Session
from runner.variants import VARIANTS


class FaultySession:
    def __init__(self, session: Session, options: Mapping[str, str]) -> None:
        self._session, self._options = session, options
        self._latest = 0
        """batch size of the last run"""

    @property
    def placement(self) -> Placement:
        if self._options["fault"] == "fallback":
            return Placement("partial-compute", {"SomeProvider": 1, "CPUExecutionProvider": 9}, ("Conv",))
        return self._session.placement

    @property
    def facts(self) -> Mapping[str, str]:
        return self._session.facts

    def bind(self, feeds: Arrays, io: Io) -> Call:
        call = self._session.bind(feeds, io)
        fault = self._options["fault"]
        if fault == "wrong":
            return replace(
                call, outputs=lambda: {name: np.negative(array) for name, array in call.outputs().items()}
            )
        size = len(next(iter(feeds.values())))
        if fault == "reshape":
            return replace(call, run=lambda: self._reshape(call, size))
        if size != int(self._options["at"]):
            return call
        if fault == "late-crash":
            return replace(call, run=_after(20, call, os.abort))
        return replace(call, run=FAULTS[fault])

    def _reshape(self, call: Call, size: int) -> None:
        if self._latest not in {0, size}:
            time.sleep(0.01)  # as if it compiled
        self._latest = size
        call.run()


def _after(runs: int, call: Call, fault: Callable[[], object]) -> Callable[[], object]:
    left = iter(range(runs))

    def run() -> None:
        if next(left, None) is None:
            fault()
        call.run()

    return run


def _crash() -> None:
    ctypes.string_at(0)


def _memory() -> None:
    raise MemoryError


def _garbage() -> None:
    os.write(int(sys.argv[1]), b"this is no reply\n")


def _say_and_leave() -> None:
    os.write(1, b"the licence has expired\n")
    os._exit(7)


FAULTS = {
    "crash": _crash,
    "memory": _memory,
    "garbage": _garbage,
    "hang": lambda: time.sleep(3600),
    "leave": _say_and_leave,
}


class FaultyBackend:
    name = "faulty"
    summary = "fails as asked"
    device: Literal["cpu"] = "cpu"
    options = (
        *CPU.options,
        Option(
            "fault",
            "none",
            "what goes wrong",
            ("none", "late-crash", "fallback", "wrong", "open", "reshape", *FAULTS),
        ),
        Option("at", "4", "the batch size at which it does", check="count"),
    )
    passing = None
    ios: tuple[Io, ...] = ("host",)
    needs_manifest = False
    variants = VARIANTS

    def parity_tolerance_ratio(self, options: Mapping[str, str]) -> float:
        return CPU.parity_tolerance_ratio(options)

    def missing(self) -> Missing | None:
        return None

    def open(self, request: OpenRequest) -> Session:
        if request.options["fault"] == "open":
            raise RuntimeError("no licence")
        return FaultySession(CPU.open(request), request.options)


BACKEND = FaultyBackend()
