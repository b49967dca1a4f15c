"""How often the tool calls a backend different from itself, on this machine.

Run from the checkout: ``python -m benchmarks.aa RECORDING [--comparisons 500] [--models-dir models]`` records until the
file holds that many comparisons, then judges them; ``--judge`` only judges. A recording may be interrupted at any time
and goes on where it stopped. One comparison: a fresh pair of workers, 10 blocks of a window of 0.15 s each in random
order, and the tool's own interval and verdict. Goal: the exact upper 95 % limit of the rate of "less" and "more" is at
most 8 %. A fresh pair per comparison: what one process's memory layout does to its speed is part of the noise.
"""

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import ceil, log, sqrt
from pathlib import Path
from statistics import fmean, median, stdev
from time import monotonic

from pydantic import TypeAdapter
from scipy.special import ndtri, stdtrit
from scipy.stats import binomtest

from runner.backends.spec import parse_specs
from runner.conditions import Observer, disturbance
from runner.contender import Contender
from runner.interruption import InterruptedRunError, Interruption
from runner.load.warmup import VISIT_S
from runner.modelfile import open_model
from runner.stats.compare import verdict
from runner.stats.intervals import beyond_processes, ratio_interval
from runner.variants import REFERENCE_VARIANT
from runner.workers.crew import Crew, Terms
from runner.workers.protocol import Measure, Prepare

GOAL_RATE = 0.08
CONFIDENCE = 0.95
CASES = (("shufflenet", 1), ("shufflenet", 8), ("alexnet", 1), ("alexnet", 8))
BLOCKS = 10
WINDOW_S = 0.15
WARM_UP_INFERENCES, WARM_UP_S = 2, 1.0
"""the quick profile's"""
DIFFERENT = ("less", "more")
PLANTED_RATIO = 1.05


@dataclass(frozen=True, slots=True)
class Comparison:
    """One backend under two names: the windows' mean latencies by block, and what disturbed a block."""

    model: str
    batch_size: int
    a_s: tuple[float, ...]
    b_s: tuple[float, ...]
    disturbed: tuple[str, ...]
    """by block: the recorded cause, or empty"""
    foreign_ratio: tuple[float | None, ...]
    """by block: others' CPU time as a share of the machine"""
    wall_s: float
    """of everything: opening, warming up, measuring"""


_COMPARISON = TypeAdapter(Comparison)


def compare_with_itself(model: str, batch_size: int, models_dir: Path, seed: str) -> Comparison:
    """Return one comparison by a fresh pair of workers."""
    began_s, rng = monotonic(), random.Random(seed)  # noqa: S311 - an order, no secret
    specs = parse_specs(("A=cpu", "B=cpu"))
    observer = Observer()
    means_s: dict[str, list[float]] = {"A": [], "B": []}
    disturbed, foreign = [], []
    with (
        Interruption() as interruption,
        Crew({REFERENCE_VARIANT: open_model(models_dir, model)}, specs, Terms(interruption, seed=0)) as crew,
    ):
        crew.open_all()
        request = Prepare(batch_size, "host", WARM_UP_INFERENCES, WARM_UP_S, warm_up_steady=False)
        inference_s = min(
            crew.prepare(Contender(REFERENCE_VARIANT, label), request, WARM_UP_S).inference_s
            for label in means_s
        )
        count = ceil(WINDOW_S / inference_s)
        for _ in range(BLOCKS):
            causes, shares = [], []
            for label in rng.sample(tuple(means_s), 2):
                contender = Contender(REFERENCE_VARIANT, label)
                observer.begin(crew.cpu_s(contender))
                measured = crew.measure(
                    contender, Measure(batch_size, "host", count, None), VISIT_S + count * inference_s
                )
                conditions = observer.end(crew.cpu_s(contender), measured)
                means_s[label].append(fmean(measured.latencies_s))
                causes.append(disturbance(conditions))
                if conditions.foreign_cpu_s is not None:
                    shares.append(conditions.foreign_cpu_s / conditions.span_s / conditions.cores)
            disturbed.append(next(filter(None, causes), ""))
            foreign.append(max(shares, default=None))
    a_s, b_s = (tuple(means_s[label]) for label in "AB")
    return Comparison(model, batch_size, a_s, b_s, tuple(disturbed), tuple(foreign), monotonic() - began_s)


def read(recording: Path) -> list[Comparison]:
    """Return the comparisons of a recording; a torn last line is one that was not finished."""
    if not recording.exists():
        return []
    lines = recording.read_text().splitlines(keepends=True)
    return [_COMPARISON.validate_json(line) for line in lines if line.endswith("\n")]


def record(recording: Path, comparisons: int, models_dir: Path) -> None:
    """Append comparisons until the recording holds so many; every case once in random order, again and again."""
    done = len(read(recording))
    recording.parent.mkdir(parents=True, exist_ok=True)
    if done:  # what a torn last line has left
        recording.write_text("".join(json.dumps(asdict(each)) + "\n" for each in read(recording)))
    with recording.open("a") as stream:
        for number in range(done, comparisons):
            cycle, place = divmod(number, len(CASES))
            order = random.Random(f"aa/{cycle}").sample(CASES, len(CASES))  # noqa: S311 - an order, no secret
            compared = compare_with_itself(*order[place], models_dir, f"{recording.name}/{number}")
            stream.write(json.dumps(asdict(compared)) + "\n")
            stream.flush()
            print(f"{number + 1} of {comparisons}", end="\r", file=sys.stderr)


def upper_limit(different: int, comparisons: int) -> float:
    """Return the exact (Clopper-Pearson) upper 95 % limit of a rate."""
    test = binomtest(different, comparisons, alternative="less")
    return float(test.proportion_ci(CONFIDENCE, method="exact").high)


def judge(comparisons: Sequence[Comparison]) -> bool:
    """Print how often each case was called different; return whether the goal is met over all."""
    print("case             compared  different  upper 95 %  half-width  SD of a pair  disturbed blocks")
    for name, group in (*_by_case(comparisons), ("all", comparisons)):
        intervals = [ratio_interval(each.a_s, each.b_s) for each in group]
        different = sum(verdict(interval) in DIFFERENT for interval in intervals)
        half = median((log(i.high) - log(i.low)) / 2 for i in intervals if i.low and i.high)
        spread = median(stdev(log(a / b) for a, b in zip(each.a_s, each.b_s, strict=True)) for each in group)
        disturbed = fmean(bool(cause) for each in group for cause in each.disturbed)
        print(
            f"{name:16} {len(group):8} {different:10} {upper_limit(different, len(group)):11.1%}"
            f" {half:11.1%} {spread:13.1%} {disturbed:17.1%}"
        )
    different = sum(verdict(ratio_interval(each.a_s, each.b_s)) in DIFFERENT for each in comparisons)
    met = upper_limit(different, len(comparisons)) <= GOAL_RATE
    print(f"goal: upper 95 % limit over all at most {GOAL_RATE:.0%}: {'met' if met else 'MISSED'}")
    return met


def planted(comparisons: Sequence[Comparison]) -> None:
    """Print how often a slowdown of 5 % planted into B is found here, and the wall time that finds it in 80 %."""
    print(f"case             planted {PLANTED_RATIO:.2f}x found in   80 % power after   wall time")
    for case, group in _by_case(comparisons):
        found = fmean(
            verdict(ratio_interval([each_s * PLANTED_RATIO for each_s in each.b_s], each.a_s)) == "more"
            for each in group
        )
        spread = median(stdev(log(a / b) for a, b in zip(each.a_s, each.b_s, strict=True)) for each in group)
        blocks = blocks_to_find(log(PLANTED_RATIO), spread)
        wall_s = median(each.wall_s for each in group) * blocks / BLOCKS
        print(f"{case:16} {found:22.0%} {blocks:11} blocks {wall_s:9.0f} s")


def blocks_to_find(log_ratio: float, spread: float) -> int:
    """Return the fewest blocks in which a log ratio is found with 80 % power, pairs scattering by so much."""
    blocks = 3
    while True:
        reach = spread / sqrt(blocks) * float(stdtrit(blocks - 1, [0.975, 0.8]).sum())
        if beyond_processes(reach, 1, float(ndtri([0.975, 0.8]).sum())) <= log_ratio:
            return blocks
        blocks += 1


def _by_case(comparisons: Iterable[Comparison]) -> Iterator[tuple[str, list[Comparison]]]:
    groups: dict[str, list[Comparison]] = defaultdict(list)
    for each in comparisons:
        groups[f"{each.model} b{each.batch_size}"].append(each)
    yield from sorted(groups.items())


def main() -> None:
    """Record, judge, and exit with 1 when the goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recording", type=Path)
    parser.add_argument("--comparisons", type=int, default=500)
    parser.add_argument("--models-dir", type=Path, default=Path("models"))
    parser.add_argument("--judge", action="store_true", help="judge what was recorded, record nothing")
    arguments = parser.parse_args()
    if not arguments.judge:
        try:
            record(arguments.recording, arguments.comparisons, arguments.models_dir)
        except InterruptedRunError as interrupted:
            print(f"{interrupted} The recording goes on where it stopped.", file=sys.stderr)
    comparisons = read(arguments.recording)
    if not comparisons:
        sys.exit(f"Nothing is recorded in {arguments.recording}")
    met = judge(comparisons)
    planted(comparisons)
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
