"""What our way of timing says beside plain loops, Polygraphy's way and that of OpenVINO's benchmark_app.

Run from the checkout: ``python -m benchmarks.against_peers [--model M --batch-size N --minutes M]``. Every way has a
process of its own (`ways.py` says what each does); between its windows it is stopped, so that no thread pool spins
into another's window. Short windows of all ways alternate in random order. Twice a minute, and twelve times at least,
all processes are replaced: below 1 % a process's memory layout is part of its speed, so a set of processes gives one
ratio, and the intervals are over these sets.

The rule, fixed before anything was measured: noise is the distance from 1 of the farther limit of a second bound loop
/ the first. The goal is met when the whole interval of joulebatch / bound loop lies within 1 % plus noise of 1, for the
mean latency that we report and for the window's wall time. Noise above 1 % decides nothing: run longer.
"""

import argparse
import json
import math
import platform
import random
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import fmean
from time import monotonic
from types import TracebackType
from typing import Literal, Self

from benchmarks.ways import WAYS, Task, Timing
from runner.machine.cpu import usable_cores
from runner.modelfile import open_model
from runner.report.environment import read_cpu
from runner.stats.intervals import RatioInterval, ratio_interval

GOAL_RATIO = 0.01
LEAST_CASTS = 12
"""sets of fresh processes in a run: Student's t is 2.2 then, with six it would be 2.6"""
CASTS_PER_MINUTE = 2
"""Near the optimum where a set takes 8 s to start, pairs of windows scatter by 8 % and layouts by 1 %."""
WINDOW_S = 0.05
"""short ones alternate sooner, and for the same total time do as well as long ones (docs/measurement.md, section 4)"""
MIN_INFERENCES = 3
PLAIN = "bound loop"
AGAIN = "bound loop, again"
OURS = "joulebatch"
COMPARED = {AGAIN: PLAIN, "run loop": PLAIN, OURS: PLAIN, "benchmark_app": PLAIN, "polygraphy": "run loop"}
"""each way with the plain loop of the same call"""
PEERS = {"benchmark_app": ("openvino", "2026.4.1"), "polygraphy": ("polygraphy", "0.53.6")}
"""the package of each, and the version that the README's figures were taken with"""
ROOT = Path(__file__).parent.parent

Figure = Literal["latency_s", "wall_s"]
FIGURES: tuple[Figure, ...] = ("latency_s", "wall_s")


@dataclass(frozen=True, slots=True)
class Round:
    """One window of every way."""

    cast: int
    """which set of processes took it"""
    timings: Mapping[str, Timing]


class Child:
    """The process of one way, stopped between its windows."""

    def __init__(self, way: str, task: Task) -> None:
        self._way = way
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.ways", way],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._say(json.dumps(asdict(task)))

    def wait(self) -> None:
        """Wait until it is warm."""
        self._hear()
        self._process.send_signal(signal.SIGSTOP)

    def time(self, count: int) -> Timing:
        """Let it time one window."""
        self._process.send_signal(signal.SIGCONT)
        self._say(str(count))
        timing = Timing(**json.loads(self._hear()))
        self._process.send_signal(signal.SIGSTOP)
        return timing

    def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline() or sys.exit(f"The process of {self._way} ended.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


def measure_cast(cast: int, ways: Sequence[str], task: Task, until_s: float) -> list[Round]:
    """Return rounds of fresh processes, at least one, until the clock says so."""
    shuffle = random.Random(cast).shuffle  # noqa: S311 - an order, no secret
    rounds: list[Round] = []
    with ExitStack() as stack:
        children = {way: stack.enter_context(Child(way, task)) for way in ways}
        for child in children.values():
            child.wait()
        count = max(MIN_INFERENCES, math.ceil(WINDOW_S / children[PLAIN].time(MIN_INFERENCES).wall_s))
        order = list(ways)
        while not rounds or monotonic() < until_s:
            shuffle(order)
            timings = {way: children[way].time(count) for way in order}
            rounds.append(Round(cast, timings))
    return rounds


def cast_count(minutes: float) -> int:
    """Return how many sets of processes a run has."""
    return max(LEAST_CASTS, round(minutes * CASTS_PER_MINUTE))


def compare(rounds: Sequence[Round], way: str, plain: str, figure: Figure) -> RatioInterval:
    """Return a way / its plain loop: paired over rounds within a cast, then over casts."""
    logs: dict[int, tuple[list[float], list[float]]] = {}
    for each in rounds:
        for side, name in zip(logs.setdefault(each.cast, ([], [])), (way, plain), strict=True):
            side.append(math.log(getattr(each.timings[name], figure)))
    values, baseline = ([math.exp(fmean(cast[side])) for cast in logs.values()] for side in (0, 1))
    return ratio_interval(values, baseline)


def distance_ratio(interval: RatioInterval) -> float:
    """Return how far from 1 the farther limit is, as a ratio - 1; infinite where there is no interval."""
    if interval.low is None or interval.high is None:
        return math.inf
    return max(interval.high, 1 / interval.low) - 1


def verdict(ours: RatioInterval, again: RatioInterval) -> str:
    """Return what the rule says."""
    noise_ratio = distance_ratio(again)
    if not noise_ratio <= GOAL_RATIO:
        return f"UNDECIDED, the A/A noise of {noise_ratio:.2%} is above 1 %: pass more --minutes"
    within = distance_ratio(ours) <= GOAL_RATIO + noise_ratio
    return f"{'met' if within else 'MISSED'} at an A/A noise of {noise_ratio:.2%}"


def installed() -> tuple[str, ...]:
    """Return the ways that this environment has, and print what it lacks."""
    ways = list(WAYS)
    for way, (package, seen) in PEERS.items():
        try:
            print(f"{way}: {package} {version(package)}")
        except PackageNotFoundError:
            print(f"{way}: SKIPPED, not installed; pip install {package}=={seen}")
            ways.remove(way)
    return tuple(ways)


def table(rounds: Sequence[Round]) -> list[str]:
    """Return a line per way: its mean latency, and what it and its wall time are to the plain loop of the same call."""
    lines = [
        f"{'':<20}{'reported':>10}   {'':<12}{'reported / plain, 95 %':>27}{'whole loop / plain, 95 %':>29}",
        f"{PLAIN:<20}{_mean_ms(rounds, PLAIN):>7.3f} ms",
    ]
    for way, plain in COMPARED.items():
        if way in rounds[0].timings:
            ratios = "".join(f"{_ratio(compare(rounds, way, plain, each)):>29}" for each in FIGURES)
            lines.append(f"{way:<20}{_mean_ms(rounds, way):>7.3f} ms   {plain:<10}{ratios}")
    return lines


def _mean_ms(rounds: Sequence[Round], way: str) -> float:
    return fmean(each.timings[way].latency_s for each in rounds) * 1000


def _ratio(interval: RatioInterval) -> str:
    limits = "unknown" if interval.low is None else f"{interval.low:.4f} .. {interval.high:.4f}"
    return f"{interval.ratio:.4f}  {limits}"


def main() -> int:
    """Measure, print, and return 1 unless the goal was met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="shufflenet")
    parser.add_argument("--models-dir", type=Path, default=Path("models"))
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=15)
    args = parser.parse_args()
    file = open_model(args.models_dir, args.model)
    inputs = tuple(asdict(each) for each in file.inputs)
    task = Task(str(file.path.resolve()), inputs, args.batch_size, usable_cores())
    print(f"python -m benchmarks.against_peers {shlex.join(sys.argv[1:])}".rstrip())
    print(f"{read_cpu()[0]}, Python {platform.python_version()}, onnxruntime {version('onnxruntime')}")
    ways = installed()
    rounds: list[Round] = []
    began_s = monotonic()
    casts = cast_count(args.minutes)
    for cast in range(casts):
        rounds += measure_cast(cast, ways, task, began_s + (cast + 1) / casts * args.minutes * 60)
    print(f"{file.name} b{task.batch_size}, {task.threads} threads, {len(rounds)} rounds of {casts} casts\n")
    print("\n".join(table(rounds)))
    print(f"\njoulebatch / {PLAIN}, goal <= 1 % beyond A/A noise")
    verdicts = {
        each: verdict(*(compare(rounds, way, PLAIN, each) for way in (OURS, AGAIN))) for each in FIGURES
    }
    print(f"reported latency: {verdicts['latency_s']}\nwhole loop: {verdicts['wall_s']}")
    return 0 if all(each.startswith("met") for each in verdicts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
