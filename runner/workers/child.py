"""The child process: one model under one backend; answers requests until its parent goes away.

It and what it imports need only the standard library, numpy and the backend's own library.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from runner.backends.interface import Call, Io, OpenRequest, Session
from runner.backends.registry import find_backend
from runner.inputs import make_inputs
from runner.load.back_to_back import run_back_to_back
from runner.load.gapped import run_gapped
from runner.load.paced import run_paced
from runner.load.timed import Timed
from runner.load.warmup import WarmUpRule, warm_up, warm_visit
from runner.modelfile import TensorSpec
from runner.parity import compare, read_reference
from runner.workers.lineage import leave_with_parent
from runner.workers.protocol import (
    PROTOCOL_VERSION,
    REQUESTS,
    Check,
    Checked,
    FailureKind,
    Measure,
    Measurement,
    Open,
    Opened,
    Prepare,
    Prepared,
    Reply,
    Request,
)
from runner.workers.usage import UsageReader, forget_peak, peak_memory_bytes

_OUT_OF_MEMORY = (
    "bad_alloc",
    "failed to allocate memory",
    "out of memory",
    "can't allocate memory",
    "bad allocation",
)
"""How ONNX Runtime's arenas, CUDA and PyTorch's allocators say that memory ran out."""


class Worker:
    """The state between requests: one session and the batches bound to it."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._open: Open | None = None
        self._calls: dict[tuple[int, Io], Call] = {}
        self._usage = UsageReader()

    def answer(self, request: Request) -> Reply:
        """Do what is asked and return the reply."""
        match request:
            case Open():
                return self._answer_open(request)
            case Prepare():
                return self._answer_prepare(request)
            case Check():
                return self._answer_check(request)
            case Measure():
                return self._answer_measure(request)

    def _answer_open(self, request: Open) -> Opened:
        backend = find_backend(request.backend)
        started_s = perf_counter()
        session = backend.open(
            OpenRequest(
                Path(request.model_path),
                Path(request.manifest_path) if request.manifest_path else None,
                request.options,
            )
        )
        open_s = perf_counter() - started_s
        self._open, self._session = request, session
        forget_peak()
        return Opened(open_s, asdict(session.placement), session.facts, peak_memory_bytes())

    def _answer_prepare(self, request: Prepare) -> Prepared:
        assert self._session is not None
        assert self._open is not None
        specs = tuple(TensorSpec(s["name"], s["dtype"], tuple(s["shape"])) for s in self._open.inputs)
        feeds = make_inputs(specs, request.batch_size, seed=self._open.seed + request.batch_size)
        call = self._session.bind(feeds, request.io)
        started_s = perf_counter()
        call.run()
        first_s = perf_counter() - started_s
        self._calls[request.batch_size, request.io] = call
        rule = WarmUpRule(request.warm_up_inferences, request.warm_up_cap_s, request.warm_up_steady)
        done = warm_up(call.run, rule)
        return Prepared(first_s, done.inferences, done.inference_s, done.capped, peak_memory_bytes())

    def _answer_check(self, request: Check) -> Checked:
        assert self._session is not None
        assert self._open is not None
        tolerance_ratio = find_backend(self._open.backend).parity_tolerance_ratio(self._open.options)
        inputs, expected = read_reference(Path(request.reference_path))
        call = self._session.bind(inputs, "host")
        call.run()
        return Checked(asdict(compare(expected, call.outputs(), tolerance_ratio)))

    def _answer_measure(self, request: Measure) -> Measurement:
        run = self._calls[request.batch_size, request.io].run
        if request.period_s is None and not request.gap_s:
            warm_visit(run)
        else:
            # One untimed step: the window's first inference, too, comes after its gap.
            _run(run, replace(request, count=1))
        usage_before, cpu_before_s = self._usage.read(), process_time()
        timed = _run(run, request)
        cpu_s, usage = process_time() - cpu_before_s, self._usage.read()
        return Measurement(
            started_s=timed.started_s,
            ended_s=timed.ended_s,
            latencies_s=timed.latencies_s,
            cpu_s=cpu_s,
            late_s=timed.late_s,
            voluntary_switches=usage.voluntary_switches - usage_before.voluntary_switches,
            involuntary_switches=usage.involuntary_switches - usage_before.involuntary_switches,
            minor_faults=usage.minor_faults - usage_before.minor_faults,
            major_faults=usage.major_faults - usage_before.major_faults,
            stops=usage.stops - usage_before.stops,
        )


def _run(run: Callable[[], object], request: Measure) -> Timed:
    """Call it as often, and as apart, as the load says."""
    if request.period_s is not None:
        return run_paced(run, request.count, request.period_s)
    if request.gap_s:
        return run_gapped(run, request.count, request.gap_s)
    return run_back_to_back(run, request.count)


def _failure(error: Exception) -> dict[str, str]:
    message = " ".join(str(error).split()) or type(error).__name__
    kind: FailureKind = "error"
    if isinstance(error, MemoryError) or any(sign in message.lower() for sign in _OUT_OF_MEMORY):
        kind = "memory"
    return {"kind": kind, "message": message}


def _read_request(line: str) -> Request:
    data: Mapping[str, Any] = json.loads(line)
    return REQUESTS[data["do"]](**{name: value for name, value in data.items() if name != "do"})


def main() -> None:
    """Serve requests from standard input; the first argument is the descriptor for replies."""
    leave_with_parent()
    worker = Worker()
    with os.fdopen(int(sys.argv[1]), "w", encoding="utf-8") as replies:

        def reply(message: Mapping[str, Any]) -> None:
            replies.write(json.dumps(message) + "\n")
            replies.flush()

        reply({"hello": PROTOCOL_VERSION})
        for line in sys.stdin:
            try:
                answer = asdict(worker.answer(_read_request(line)))
            except Exception as error:  # noqa: BLE001 - whatever a backend raises costs one cell, not the run
                reply({"failed": _failure(error)})
            else:
                reply({"ok": answer})
