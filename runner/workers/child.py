"""The child process: one model under one backend; answers requests until its parent goes away.

It and what it imports need only the standard library, numpy and the backend's own library.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from time import perf_counter, process_time
from typing import Any

import numpy as np

from runner.backends.batch import BatchAxes
from runner.backends.interface import Arrays, Call, Io, OpenRequest, Session
from runner.backends.registry import find_backend
from runner.inputs import make_inputs
from runner.load.back_to_back import run_back_to_back
from runner.load.gapped import run_gapped
from runner.load.mixed import in_turn
from runner.load.paced import run_paced
from runner.load.replay import replay
from runner.load.serving import BatchServer
from runner.load.timed import Timed
from runner.load.warmup import WarmUpRule, warm_up, warm_visit
from runner.manifest import TensorSpec
from runner.parity import compare, read_reference
from runner.parity_runs import compare_runs, read_runs, write_runs
from runner.policies.registry import parse_policy
from runner.workers.lineage import leave_with_parent, wake_on_time
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
    Record,
    Recorded,
    Reply,
    Request,
    Serve,
    Served,
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
        self._server: BatchServer | None = None
        """of the largest batch that a queue has asked for"""
        self._usage = UsageReader()

    def answer(self, request: Request) -> Reply:
        """Do what is asked and return the reply."""
        match request:
            case Open():
                return self._answer_open(request)
            case Prepare():
                return self._answer_prepare(request)
            case Record():
                return self._answer_record(request)
            case Check():
                return self._answer_check(request)
            case Measure():
                return self._answer_measure(request)
            case Serve():
                return self._answer_serve(request)

    def _answer_open(self, request: Open) -> Opened:
        backend = find_backend(request.backend)
        started_s = perf_counter()
        session = backend.open(
            OpenRequest(
                Path(request.model_path),
                Path(request.manifest_path) if request.manifest_path else None,
                request.options,
                {each["name"]: tuple(each["shape"]) for each in request.inputs},
            )
        )
        open_s = perf_counter() - started_s
        self._open, self._session = request, session
        forget_peak()
        return Opened(open_s, asdict(session.placement), session.facts, peak_memory_bytes())

    def _answer_prepare(self, request: Prepare) -> Prepared:
        assert self._session is not None
        assert self._open is not None
        # A mixed load runs what its sizes have bound already.
        bound = self._calls if request.mixed else {}
        calls = {
            (size, request.io): bound.get((size, request.io))
            or self._session.bind(self._inputs(size), request.io)
            for size in _sizes(request)
        }
        run = in_turn([call.run for call in calls.values()])
        started_s = perf_counter()
        run()
        first_s = perf_counter() - started_s
        self._calls |= calls
        rule = WarmUpRule(request.warm_up_inferences, request.warm_up_cap_s, request.warm_up_steady)
        done = warm_up(run, rule)
        return Prepared(first_s, done.inferences, done.inference_s, done.unsteady, peak_memory_bytes())

    def _answer_record(self, request: Record) -> Recorded:
        runs = []
        for number in range(request.run_count):
            inputs = self._inputs(request.batch_size, number)
            runs.append((inputs, self._outputs(inputs)))
        write_runs(Path(request.reference_path), runs)
        return Recorded(len(runs))

    def _answer_check(self, request: Check) -> Checked:
        assert self._open is not None
        own_ratio = find_backend(self._open.backend).parity_tolerance_ratio(self._open.options)
        tolerance_ratio = max(own_ratio, request.tolerance_ratio)
        path, least_ratio = Path(request.reference_path), request.least_agreement_ratio
        if request.recorded:
            runs = read_runs(path)
            outputs = [self._outputs(inputs) for inputs, _ in runs]
            expected_runs = [expected for _, expected in runs]
            return Checked(asdict(compare_runs(expected_runs, outputs, tolerance_ratio, least_ratio)))
        inputs, expected = read_reference(path)
        return Checked(asdict(compare(expected, self._outputs(inputs), tolerance_ratio, least_ratio)))

    def _outputs(self, inputs: Arrays) -> Arrays:
        assert self._session is not None
        call = self._session.bind(inputs, "host")
        call.run()
        return call.outputs()

    def _answer_measure(self, request: Measure) -> Measurement:
        run = in_turn([self._calls[size, request.io].run for size in _sizes(request)])
        if request.period_s is None and not request.gap_s:
            warm_visit(run)
        else:
            # One untimed step: the window's first inference, too, comes after its gap.
            _run(run, replace(request, count=1))
        before, cpu_before_s = self._usage.read(), process_time()
        timed = _run(run, request)
        cpu_s = process_time() - cpu_before_s
        return Measurement(
            started_s=timed.started_s,
            ended_s=timed.ended_s,
            cpu_s=cpu_s,
            **asdict(self._usage.read() - before),
            latencies_s=timed.latencies_s,
            late_s=timed.late_s,
        )

    def _answer_serve(self, request: Serve) -> Served:
        policy = parse_policy(request.policy).policy(np.array(request.service_s))
        server = self._batch_server(policy.largest_batch)
        decode = _decoding(request.images, self._specs(), server) if request.images else None
        warm_visit(server.call(1))
        before, cpu_before_s = self._usage.read(), process_time()
        done = replay(server.serve, request.arrivals_s, policy, request.longest_wait_s, decode)
        cpu_s = process_time() - cpu_before_s
        return Served(
            started_s=done.started_s,
            ended_s=done.ended_s,
            cpu_s=cpu_s,
            **asdict(self._usage.read() - before),
            dispatched_s=_in_ns(done.dispatched_s),
            ready_s=_in_ns(done.ready_s),
            finished_s=_in_ns(done.finished_s),
            counts=done.counts,
            late_s=fmean(done.late_s) if done.late_s else 0.0,
            busy_cpu_s=done.busy_cpu_s,
            given_up=done.given_up,
        )

    def _batch_server(self, largest: int) -> BatchServer:
        """Return the server of the present session; bindings of earlier windows stay."""
        assert self._session is not None
        if self._server is None or self._server.size < largest:
            axes = BatchAxes.of({spec.name: spec.shape for spec in self._specs()})
            self._server = BatchServer(self._session, self._inputs(largest), axes)
        return self._server

    def _inputs(self, batch_size: int, number: int = 0) -> Arrays:
        assert self._open is not None
        seed = self._open.seed + batch_size + number
        return make_inputs(self._specs(), batch_size, seed, self._open.input_values)

    def _specs(self) -> tuple[TensorSpec, ...]:
        assert self._open is not None
        return tuple(TensorSpec(s["name"], s["dtype"], tuple(s["shape"])) for s in self._open.inputs)


def _sizes(request: Prepare | Measure) -> Sequence[int]:
    return request.mixed or (request.batch_size,)


def _run(run: Callable[[], object], request: Measure) -> Timed:
    """Call it as often, and as apart, as the load says."""
    if request.period_s is not None:
        return run_paced(run, request.count, request.period_s)
    if request.gap_s:
        return run_gapped(run, request.count, request.gap_s)
    return run_back_to_back(run, request.count)


def _decoding(
    paths: Sequence[str], inputs: Sequence[TensorSpec], server: BatchServer
) -> Callable[[int, int], object]:
    """Return what decodes so many images, from a number on, into the server's only input."""
    from runner.load.images import Decoder, target_of  # noqa: PLC0415 - only with --images

    decoder = Decoder(tuple(map(Path, paths)), target_of(inputs))
    (buffer,) = server.feeds.values()
    return lambda first, count: decoder.fill(buffer[:count], first)


def _in_ns(times_s: Sequence[float]) -> tuple[float, ...]:
    """Return times to the nanosecond, the clock's own resolution: what follows would only lengthen the journal."""
    return tuple(round(time_s, 9) for time_s in times_s)


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
    wake_on_time()
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
