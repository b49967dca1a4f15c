"""The parent's side of a worker: start it, ask it, time it out, end it."""

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self, TypeVar

from runner.errors import JoulebatchError
from runner.interruption import Interruption
from runner.machine.cpu import process_cpu_s
from runner.workers.interpreter import BOOTSTRAP, environment_of_others
from runner.workers.protocol import (
    PROTOCOL_VERSION,
    Check,
    Checked,
    FailureKind,
    Measure,
    Measurement,
    Open,
    Opened,
    Prepare,
    Prepared,
    Record,
    Recorded,
    Reply,
    Request,
    Serve,
    Served,
)

_Reply = TypeVar("_Reply", bound=Reply)

_START_LIMIT_S = 60.0
"""a Python with numpy starts in well under a second; a cold disk takes a few"""
_LEAVE_LIMIT_S = 2.0
_PARK_LIMIT_S = 0.5
"""Design choice: ten times what a pool spins; windows beside one that still moves are flagged."""
_PARK_STEP_S = 0.0002
"""A thread that computes hears of a signal within some ten microseconds, if its CPU is there."""
_LOG_TAIL_BYTES = 400
_ASKED_TO_END = {-signal.SIGTERM, -signal.SIGHUP}
_SAME_SIGNAL_S = 1.0
"""within which a signal that was sent to a whole group of processes, as systemd does, reaches all of them"""


class CellFailedError(JoulebatchError):
    """The worker says that it cannot do what was asked; it can still do other things."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(f"out of memory: {message}" if kind == "memory" else message)


class WorkerLostError(JoulebatchError):
    """The worker died, hung or spoke garbage; a fresh one is needed."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a reply may take: a multiple of the prediction, and never less than the floor."""

    floor_s: float = 60.0
    factor: float = 20.0

    def limit_s(self, predicted_s: float) -> float:
        """Return the time after which a worker counts as hung."""
        return max(self.floor_s, self.factor * predicted_s)


class Worker:
    """One child process. Use as a context manager, or ``close`` it.

    Args:
        interruption: what ends a wait for its replies.
        python: another interpreter, which answered a probe; None is our own.

    Raises:
        WorkerLostError: the process cannot be started.
    """

    def __init__(self, interruption: Interruption, python: Path | None = None) -> None:
        self._interruption = interruption
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        read_fd, write_fd = os.pipe()
        try:
            self._process = subprocess.Popen(
                [str(python or sys.executable), "-P", str(BOOTSTRAP), str(write_fd)],
                env=environment_of_others() if python else None,
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                pass_fds=(write_fd,),
                process_group=0,  # Ctrl-C in the terminal reaches the parent alone
            )
        except OSError as error:  # no memory for it, too many processes, an interpreter that went away
            os.close(read_fd)
            self._log.close()
            raise WorkerLostError(f"the worker did not start: {error}") from error
        finally:
            os.close(write_fd)
        self._replies = os.fdopen(read_fd, "rb", buffering=0)
        self._buffer = bytearray()
        self._greeted = False

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def cpu_s(self) -> float | None:
        """Return its CPU time so far, or None when it is gone."""
        return process_cpu_s(self.pid)

    def park(self) -> None:
        """Stop the process where it stands: whatever its threads spin for, they burn no CPU until ``wake``.

        Returns once all of them stand still, which takes milliseconds where a hypervisor holds one back.
        """
        self._process.send_signal(signal.SIGSTOP)
        deadline_s = monotonic() + _PARK_LIMIT_S
        while not self._stands_still() and monotonic() < deadline_s:
            sleep(_PARK_STEP_S)

    def _stands_still(self) -> bool:
        """Return whether it is stopped or dead; outside Linux, where Python may not be able to ask, it is believed."""
        if sys.platform != "linux" or self._process.returncode is not None:
            return True
        asked = os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT  # the last leaves the answer for others
        return os.waitid(os.P_PID, self.pid, asked) is not None

    def wake(self) -> None:
        """Let a parked process go on."""
        self._process.send_signal(signal.SIGCONT)

    def open(self, request: Open, limit_s: float) -> Opened:
        """Open the model."""
        return self._ask("open", request, limit_s, Opened)

    def prepare(self, request: Prepare, limit_s: float) -> Prepared:
        """Bind and warm up a batch."""
        return self._ask("prepare", request, limit_s, Prepared)

    def measure(self, request: Measure, limit_s: float) -> Measurement:
        """Measure one window."""
        return self._ask("measure", request, limit_s, Measurement)

    def serve(self, request: Serve, limit_s: float) -> Served:
        """Replay one trace of arrivals."""
        return self._ask("serve", request, limit_s, Served)

    def record(self, request: Record, limit_s: float) -> Recorded:
        """Keep inputs and outputs in a file."""
        return self._ask("record", request, limit_s, Recorded)

    def check(self, request: Check, limit_s: float) -> Checked:
        """Compare outputs with the reference."""
        return self._ask("check", request, limit_s, Checked)

    def _ask(self, do: str, request: Request, limit_s: float, reply: type[_Reply]) -> _Reply:
        self.send(do, request)
        return self.receive(do, limit_s, reply)

    def send(self, do: str, request: Request) -> None:
        """Write a request without waiting for its reply."""
        assert self._process.stdin is not None
        line = json.dumps({"do": do, **asdict(request)}).encode() + b"\n"
        with suppress(BrokenPipeError):  # it is dead: receive says how
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def receive(self, do: str, limit_s: float, reply: type[_Reply]) -> _Reply:
        """Return the reply to a request that was sent.

        Raises:
            CellFailedError: the worker says that it cannot.
            WorkerLostError: it died, took longer than the limit, or spoke garbage.
        """
        if not self._greeted:
            hello = self._message("start", _START_LIMIT_S)
            if hello.get("hello") != PROTOCOL_VERSION:
                raise self._lost("start", f"protocol {hello.get('hello')} instead of {PROTOCOL_VERSION}")
            self._greeted = True
        match self._message(do, limit_s):
            case {"ok": dict() as fields} if fields.keys() == {
                field.name for field in dataclass_fields(reply)
            }:
                return reply(**fields)
            case {"failed": {"kind": kind, "message": str(message)}}:
                raise CellFailedError(kind, message)
            case other:
                raise self._lost(do, f"it answered {str(other)[:80]!r}")

    def close(self) -> None:
        """End the process, kindly and then by force."""
        self.wake()
        if self._process.stdin and not self._process.stdin.closed:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(_LEAVE_LIMIT_S if self._greeted else 0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._replies.close()
        self._log.close()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self.close()

    def _message(self, do: str, limit_s: float) -> Mapping[str, Any]:
        line = self._line(do, limit_s)
        try:
            message = json.loads(line)
        except ValueError:
            raise self._lost(do, f"it answered {line[:80]!r}") from None
        return message if isinstance(message, dict) else {"other": message}

    def _line(self, do: str, limit_s: float) -> bytes:
        """Wait for a whole line without waking up in between; an interruption ends the wait."""
        deadline_s = monotonic() + limit_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._replies, selectors.EVENT_READ)
            selector.register(self._interruption, selectors.EVENT_READ)
            while (end := self._buffer.find(b"\n")) < 0:
                self._interruption.check()
                if not selector.select(max(0.0, deadline_s - monotonic())):
                    self._process.kill()
                    raise self._lost(do, f"no reply within {limit_s:.0f} s")
                self._interruption.check()
                chunk = self._replies.read(1 << 20)
                if not chunk:
                    raise self._lost(do, self._how_it_ended())
                self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _how_it_ended(self) -> str:
        """Return how, unless whoever ended it ends all of us, which costs no cell.

        Raises:
            InterruptedRunError: the same signal came to us.
        """
        try:
            code = self._process.wait(_LEAVE_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return "the worker hung up and would not end"
        if code in _ASKED_TO_END:
            self._interruption.wait(_SAME_SIGNAL_S)
        if code >= 0:
            return f"the worker exited with {code}"
        hint = " (the kernel's out-of-memory killer sends it)" if code == -signal.SIGKILL else ""
        return f"the worker was ended by {signal.Signals(-code).name}{hint}"

    def _lost(self, do: str, reason: str) -> WorkerLostError:
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - _LOG_TAIL_BYTES))
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        said = f"; it said: {lines[-1].strip()}" if lines else ""
        return WorkerLostError(f"{reason} during {do}{said}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
