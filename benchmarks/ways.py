"""Ways of timing an inference, each in a process of its own; `against_peers` starts and asks them.

All open the same file with ONNX Runtime and the same settings, and time the same input. Two plain loops differ in what
they call, and a way belongs to the loop that makes the same call: `run_with_iobinding` on arrays that were bound once
(ours, and benchmark_app in its default mode), or `run` on arrays passed each time (Polygraphy).
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Any

from runner.backends.cpu import BACKEND
from runner.backends.interface import Array, Call, OpenRequest
from runner.inputs import make_inputs
from runner.load.warmup import WarmUpRule, warm_up, warm_visit
from runner.manifest import TensorSpec
from runner.workers.child import Worker
from runner.workers.lineage import leave_with_parent
from runner.workers.protocol import Measure, Measurement

WARM_UP = WarmUpRule(inferences=1000, cap_s=1.0, steady=False)
"""until code and arenas are in place; the machine's own wandering meets all ways alike"""
MS_PER_S = 1000
MEDIAN = 50
"""benchmark_app's default -latency_percentile"""


@dataclass(frozen=True, slots=True)
class Task:
    """What every way opens and times."""

    model_path: str
    inputs: tuple[Mapping[str, Any], ...]
    """name, dtype and shape of each"""
    batch_size: int
    threads: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds per inference of one window."""

    latency_s: float
    """the mean latency that this way reports to its user"""
    wall_s: float
    """of its whole loop, shared among the inferences"""


@dataclass(frozen=True, slots=True)
class Way:
    """A way of timing, ready to use."""

    inference: Callable[[], object]
    """one inference, untimed"""
    time: Callable[[int], Timing]
    """so many inferences, timed"""


def feeds_of(task: Task) -> dict[str, Array]:
    """Return the input, the same in every process."""
    specs = tuple(TensorSpec(s["name"], s["dtype"], tuple(s["shape"])) for s in task.inputs)
    return make_inputs(specs, task.batch_size, seed=0)


def bare_session(task: Task) -> Any:  # noqa: ANN401 - onnxruntime ships no types
    """Return a session made without anything of ours."""
    import onnxruntime as ort  # noqa: PLC0415 - only children open sessions

    options = ort.SessionOptions()
    options.intra_op_num_threads = task.threads
    return ort.InferenceSession(task.model_path, options, providers=["CPUExecutionProvider"])


def bound_inference(task: Task) -> Callable[[], object]:
    """Return one inference on arrays bound once."""
    session = bare_session(task)
    binding = session.io_binding()
    for name, array in feeds_of(task).items():
        binding.bind_cpu_input(name, array)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return partial(session.run_with_iobinding, binding)


def plain_loop(inference: Callable[[], object]) -> Way:
    """Return the way of a loop between two reads of the clock."""

    def time(count: int) -> Timing:
        warm_visit(inference)
        started_s = perf_counter()
        for _ in range(count):
            inference()
        each_s = (perf_counter() - started_s) / count
        return Timing(each_s, each_s)

    return Way(inference, time)


def bound_loop(task: Task) -> Way:
    """Return the plain loop over a bound inference."""
    return plain_loop(bound_inference(task))


def run_loop(task: Task) -> Way:
    """Return the plain loop over `session.run`."""
    return plain_loop(partial(bare_session(task).run, None, feeds_of(task)))


def joulebatch(task: Task) -> Way:
    """Return what a worker does with a request for a window."""
    options = {option.name: option.default for option in BACKEND.options} | {"threads": str(task.threads)}
    call = BACKEND.open(OpenRequest(Path(task.model_path), None, options)).bind(feeds_of(task), "host")
    worker = MeasuringWorker(task.batch_size, call)

    def time(count: int) -> Timing:
        measured = worker.answer(Measure(task.batch_size, "host", count, None))
        assert isinstance(measured, Measurement)
        return Timing(fmean(measured.latencies_s), (measured.ended_s - measured.started_s) / count)

    return Way(call.run, time)


class MeasuringWorker(Worker):
    """A worker to which one batch was bound."""

    def __init__(self, batch_size: int, call: Call) -> None:
        super().__init__()
        self._calls[batch_size, "host"] = call


def polygraphy(task: Task) -> Way:
    """Return Polygraphy's runner, timed as its Comparator does: `infer`, then `last_inference_time`."""
    from polygraphy.backend.onnxrt import OnnxrtRunner  # noqa: PLC0415 - only where it is installed

    runner, feeds = OnnxrtRunner(bare_session(task)), feeds_of(task)
    runner.activate()
    inference = partial(runner.infer, feeds)

    def time(count: int) -> Timing:
        warm_visit(inference)
        total_s = 0.0
        started_s = perf_counter()
        for _ in range(count):
            inference()
            total_s += runner.last_inference_time()
        wall_s = perf_counter() - started_s
        return Timing(total_s / count, wall_s / count)

    return Way(inference, time)


class Request:
    """Stands in for OpenVINO's infer request: `latency` in ms is of the last `infer`."""

    def __init__(self, inference: Callable[[], object]) -> None:
        self._inference = inference
        self.latency = 0.0

    def infer(self) -> None:
        """Run once; OpenVINO, too, takes the time inside the request."""
        started_s = perf_counter()
        self._inference()
        self.latency = (perf_counter() - started_s) * MS_PER_S


class Batches:
    """Stands in for benchmark_app's queue of inputs, of which its default mode only asks the batch size."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size

    def get_next_batch_size(self) -> int:
        """Return the images of one inference."""
        return self._batch_size

    def __len__(self) -> int:
        """Return what benchmark_app multiplies with inferences per second."""
        return self._batch_size


def benchmark_app(task: Task) -> Way:
    """Return the real loop and figures of OpenVINO's benchmark_app (synchronous API) around ONNX Runtime's session.

    The way of timing is compared and not OpenVINO as an engine, which would run other kernels.
    """
    from openvino.tools.benchmark.benchmark import Benchmark  # noqa: PLC0415 - only where it is installed

    inference = bound_inference(task)
    request, batches = Request(inference), Batches(task.batch_size)

    def time(count: int) -> Timing:
        warm_visit(inference)
        app.niter = count
        _fps, _median, mean_ms, _low, _high, total_s, made = app.main_loop(
            [request], batches, batches, MEDIAN, pcseq=False
        )
        return Timing(mean_ms / MS_PER_S, total_s / made)

    app = Benchmark("CPU", number_iterations=1, api_type="sync", inference_only=True)
    return Way(inference, time)


WAYS: Mapping[str, Callable[[Task], Way]] = {
    "bound loop": bound_loop,
    "bound loop, again": bound_loop,
    "run loop": run_loop,
    "joulebatch": joulebatch,
    "benchmark_app": benchmark_app,
    "polygraphy": polygraphy,
}


def main() -> None:
    """Time windows of as many inferences as each line of standard input says, by the way named by the argument."""
    leave_with_parent()
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not look like a reply
    way = WAYS[sys.argv[1]](Task(**json.loads(sys.stdin.readline())))
    warm_up(way.inference, WARM_UP)
    print("warm", file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(asdict(way.time(int(line)))), file=replies, flush=True)


if __name__ == "__main__":
    main()
