"""Whether the memory of ``joulebatch run`` stays flat while it makes inferences, for the parent and every worker.

Run from the checkout: ``python -m benchmarks.memory [--time-budget 120s]``. The real command measures a small network
under two backends and two batch sizes, while this process reads everybody's resident memory. Counted are samples from
the block on in which all code is loaded until the last window, against the inferences in the journal's windows.
Goal: a trend of at most 1 MiB per 10,000 inferences, over at least 10,000.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from statistics import linear_regression, median

import numpy as np
import onnx
import psutil
from onnx import TensorProto, helper, numpy_helper

from runner.profiles import PROFILES
from runner.report.journal import read_journal
from runner.report.lines import WindowLine
from runner.report.schema import Window

MIB = 1 << 20
GOAL_BYTES = MIB
PER_INFERENCES = 10_000
PROFILE = "standard"
SETTLED_BLOCK = PROFILES[PROFILE].min_blocks + 1
"""the parent loads its statistics when it first asks whether it may stop, which is after the fewest blocks"""
BACKENDS = ("cpu", "cpu:threads=1")
SAMPLE_S = 0.1
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Sample:
    """Resident memory of one process at one moment of the monotonic clock."""

    at_s: float
    pid: int
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Growth:
    """How the memory of one process went along with the inferences made."""

    inferences: int
    first_bytes: float
    """median over the first quarter of the inferences"""
    last_bytes: float
    """median over the last quarter"""
    slope_bytes: float
    """per inference, by least squares over all samples"""

    @property
    def verdict(self) -> str:
        """Whether the goal was reached, if there were enough inferences to say so."""
        if self.inferences < PER_INFERENCES:
            return "TOO FEW INFERENCES, pass a longer --time-budget"
        return "met" if self.slope_bytes * PER_INFERENCES <= GOAL_BYTES else "MISSED"


def write_network(path: Path) -> None:
    """Write two convolutions of about a millisecond: windows of many inferences, and many windows."""
    generator = np.random.default_rng(0)
    shapes = {"w1": (32, 3, 3, 3), "w2": (32, 32, 3, 3)}
    weights = [
        numpy_helper.from_array(generator.standard_normal(shape, dtype=np.float32), name)
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["c", "w2"], ["d"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["d"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 64, 64])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 32, 1, 1])
    opsets = [helper.make_opsetid("", 18)]
    graph = helper.make_graph(nodes, "small", [x], [y], weights)
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)


def run_command(folder: Path, profile: str, time_budget: str) -> tuple[int, list[Sample]]:
    """Run the command to its end, its reports in this folder; return the parent's process id and all samples."""
    network = folder / "small.onnx"
    write_network(network)
    command = [
        sys.executable,
        "-m",
        "runner",
        "run",
        "--quiet",
        "--onnx",
        str(network),
        "--batch-sizes",
        "1,4",
    ]
    command += [part for backend in BACKENDS for part in ("--backend", backend)]
    # A target that nothing reaches: only the budget ends the run.
    command += ["--profile", profile, "--target-ci", "0.001%", "--time-budget", time_budget]
    command += ["--reports-dir", str(folder / "reports")]
    output = folder / "output.txt"
    with (
        output.open("w") as stream,
        subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT) as process,
    ):
        samples = list(watch(psutil.Process(process.pid)))
    if process.returncode:
        sys.exit(f"The run failed with {process.returncode}: {output.read_text()}")
    return process.pid, samples


def watch(parent: psutil.Process) -> Iterator[Sample]:
    """Yield a sample of a process and each of its children, again and again until it ends."""
    while True:
        try:
            for process in (parent, *parent.children()):
                yield Sample(time.monotonic(), process.pid, process.memory_info().rss)
            if parent.status() == psutil.STATUS_ZOMBIE:
                return
        except psutil.NoSuchProcess:
            if not parent.is_running():
                return
        time.sleep(SAMPLE_S)


def growth(windows: Sequence[Window], samples: Sequence[Sample]) -> Growth:
    """Return how memory went along with the inferences of these windows.

    Args:
        windows: in order of time.
        samples: of one process, taken while the windows were.
    """
    ends_s = [window.started_s + window.wall_s for window in windows]
    made = [0, *accumulate(window.inference_count for window in windows)]
    points = [(made[bisect_right(ends_s, sample.at_s)], sample.rss_bytes) for sample in samples]
    return Growth(
        inferences=made[-1],
        first_bytes=median(rss for count, rss in points if count <= made[-1] / 4),
        last_bytes=median(rss for count, rss in points if count >= made[-1] * 3 / 4),
        slope_bytes=linear_regression(*zip(*points, strict=True)).slope,
    )


def growths(folder: Path, parent: int, samples: Sequence[Sample], first_block: int) -> dict[str, Growth]:
    """Return the growth of the parent, over all inferences, and of each worker, over its own."""
    entries = (line.entry for line in read_journal(folder) if isinstance(line, WindowLine))
    windows = [window for window in entries if window.block >= first_block]
    if not windows:
        sys.exit(f"No more than {first_block} blocks fitted: pass a longer --time-budget.")
    begin_s, end_s = windows[0].started_s, windows[-1].started_s + windows[-1].wall_s
    by_pid: dict[int, list[Sample]] = {parent: []}
    for sample in samples:
        if begin_s <= sample.at_s <= end_s:
            by_pid.setdefault(sample.pid, []).append(sample)
    # Workers are started in the order of the backends; more of them mean that one was lost and replaced.
    workers = sorted(by_pid.keys() - {parent})
    found = {"parent": growth(windows, by_pid[parent])}
    for backend, pid in zip(BACKENDS, workers, strict=True):
        own = [window for window in windows if f"/{backend}/" in window.cell]
        found[f"worker {backend}"] = growth(own, by_pid[pid])
    return found


def main() -> int:
    """Measure, print, and return 1 when the goal was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--time-budget", default="120s", help="as of `joulebatch run`")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parent, samples = run_command(folder, PROFILE, parser.parse_args().time_budget)
        (report,) = (folder / "reports").glob("2*")
        found = growths(report, parent, samples, SETTLED_BLOCK)
    print("goal: at most 1 MiB per 10,000 inferences, over at least 10,000 of each process\n")
    print(
        f"{'resident memory, MiB':<24}{'inferences':>11}{'1st quarter':>13}{'last quarter':>14}{'per 1,000':>11}"
    )
    for process, each in found.items():
        first, last, slope = each.first_bytes / MIB, each.last_bytes / MIB, each.slope_bytes * 1000 / MIB
        print(
            f"{process:<24}{each.inferences:>11,}{first:>13.2f}{last:>14.2f}{slope:>+11.4f}  {each.verdict}"
        )
    peak_bytes = max(sample.rss_bytes for sample in samples if sample.pid == parent)
    print(f"parent's peak, while it assembles and prints the report: {peak_bytes / MIB:.0f} MiB")
    return 0 if all(each.verdict == "met" for each in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
