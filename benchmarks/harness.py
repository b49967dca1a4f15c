"""What our loop adds to every inference: the backend and load of a run beside a bare bound run, identity graph.

Run from the checkout: ``python -m benchmarks.harness [--rounds N] [--inferences N]``. Bare and ours alternate in one
process, the first of them changing from round to round; a round gives one difference, and the median counts. The bare
side is ONNX Runtime alone: a ``for`` loop of ``run_with_iobinding`` between two reads of the clock. Goal: at most 1 us.
"""

import argparse
import platform
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, quantiles
from time import perf_counter, process_time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from runner.backends.cpu import BACKEND
from runner.backends.interface import OpenRequest
from runner.load.back_to_back import run_back_to_back
from runner.load.paced import run_paced
from runner.report.environment import read_cpu

GOAL_US = 1.0
US_PER_S = 1_000_000
THREADS = 1
"""of both sessions: one node is never split, and idle threads would only disturb"""
FEEDS = {"x": np.zeros((1, 1), np.float32)}
PACED_PERIOD_S = 0.005
PACED_INFERENCES = 400

Run = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Round:
    """Microseconds per inference of one round, by what was timed."""

    bare_us: float
    whole_us: float
    """the whole call of our loop, with its arrays and its result"""
    window_us: float
    """from the first start to the last end: what images/s and joules per image are computed from"""
    latency_us: float
    """mean of the latencies that we report"""


def write_identity(path: Path) -> None:
    """Write a graph that copies its input: what remains is the cost of asking."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [x], [y])
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)


def open_ours(path: Path) -> Run:
    """Return the call that a run times: opened and bound by the backend."""
    options = {option.name: option.default for option in BACKEND.options} | {"threads": str(THREADS)}
    return BACKEND.open(OpenRequest(path, None, options)).bind(FEEDS, "host").run


def open_bare(path: Path) -> Callable[[int], float]:
    """Return a function that makes so many bound runs with nothing of ours, and returns microseconds for each."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, array in FEEDS.items():
        binding.bind_cpu_input(name, array)
    binding.bind_output("y")
    run = session.run_with_iobinding

    def bare_us(count: int) -> float:
        started_s = perf_counter()
        for _ in range(count):
            run(binding)
        return (perf_counter() - started_s) / count * US_PER_S

    return bare_us


def measure_rounds(path: Path, rounds: int, count: int) -> list[Round]:
    """Return every round; a first one, in which caches fill, is dropped."""
    ours, bare_us = open_ours(path), open_bare(path)
    done = []
    for number in range(rounds + 1):
        bare = bare_us(count) if number % 2 else None
        began_s = perf_counter()
        timed = run_back_to_back(ours, count)
        whole_s = perf_counter() - began_s
        window_s = timed.ended_s - timed.started_s
        done.append(
            Round(
                bare_us=bare_us(count) if bare is None else bare,
                whole_us=whole_s / count * US_PER_S,
                window_us=window_s / count * US_PER_S,
                latency_us=fmean(timed.latencies_s) * US_PER_S,
            )
        )
    return done[1:]


def paced_cpu_us(count: int, period_s: float) -> float:
    """Return the CPU time per inference of our paced loop itself: the inference is nothing, the sleeps are real."""
    before_s = process_time()
    run_paced(lambda: None, count, period_s)
    return (process_time() - before_s) / count * US_PER_S


def table(rounds: Sequence[Round]) -> list[str]:
    """Return a line per thing timed: its median, then the median and quartiles of its differences to bare."""
    bare_us = median(each.bare_us for each in rounds)
    lines = [
        f"{'us per inference, median':<34}{'':>8}{'added':>9}{'quartiles':>18}{'ratio':>8}",
        f"{'bare bound run':<34}{bare_us:8.3f}",
    ]
    for name, values in (
        ("our loop, the whole call", [each.whole_us for each in rounds]),
        ("our loop, its window", [each.window_us for each in rounds]),
        ("the latency we report", [each.latency_us for each in rounds]),
    ):
        low, added, high = quantiles(
            (value - each.bare_us for value, each in zip(values, rounds, strict=True)), n=4
        )
        spread = f"{low:+.3f} .. {high:+.3f}"
        ratio = median(value / each.bare_us for value, each in zip(values, rounds, strict=True))
        lines.append(f"{name:<34}{median(values):8.3f}{added:+9.3f}{spread:>18}{ratio:8.3f}")
    return lines


def main() -> int:
    """Measure, print, and return 1 when the goal was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--inferences", type=int, default=1000, help="of each side in a round")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "identity.onnx"
        write_identity(path)
        rounds = measure_rounds(path, args.rounds, args.inferences)
    paced_us = paced_cpu_us(PACED_INFERENCES, PACED_PERIOD_S)
    added_us = median(each.whole_us - each.bare_us for each in rounds)
    print(f"python -m benchmarks.harness {shlex.join(sys.argv[1:])}".rstrip())
    print(f"{read_cpu()[0]}, Python {platform.python_version()}, onnxruntime {ort.__version__}")
    print(f"{args.rounds} rounds of {args.inferences} inferences each way\n")
    print("\n".join(table(rounds)))
    print(f"\npaced loop, {1 / PACED_PERIOD_S:.0f}/s: {paced_us:.0f} us of CPU per inference, for its sleeps")
    met = added_us <= GOAL_US
    print(f"added per inference {added_us:.3f} us, goal <= {GOAL_US:g} us: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
