"""How often the gate of ``reports compare`` fails two runs of one thing, and how often it finds a slowdown.

Run from the checkout: ``python -m benchmarks.gate RECORDING [--runs 40] [--pause 0] [--models-dir models]`` records
runs of the real command until the file holds so many, then judges them; ``--judge`` only judges. A recording may be
interrupted at any time and goes on where it stopped; of each run it keeps three numbers per cell and metric.

Live pairs are successive runs, each in one pair only; with ``--side 4`` four of them are a side, as ``--pool`` and
``--reference`` take them. The spread is calibrated from five runs (``--calibrate``) that are not in the pair,
drawn by chance; resampled pairs are any two of the recording with any five others. The slowdown is planted by
arithmetic, a model of 1.2 times the work: every figure of the new run times 1.2, and the gate has to fail ("slowed,
fails"). Harder is one figure alone, drawn by chance: the share of pairs in which that very one fails ("one, found"),
for which there is no goal. Goals: of live pairs at most 5 % fail; of slowed ones at least 80 % do.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from math import log
from pathlib import Path
from statistics import fmean, median
from time import sleep
from typing import get_args

from scipy.stats import binomtest

from runner.report import archive
from runner.report.comparison.compare import Figure
from runner.report.comparison.evidence import GateMetric, cell_evidence
from runner.report.comparison.gate import judge_figure
from runner.report.comparison.spread import ERROR_SHARE
from runner.stats.spread import run_spreads
from runner.stats.unpaired import LEAST_RUNS, LogMean, RunSpread, difference, pooled

GOAL_FALSE, GOAL_CAUGHT = 0.05, 0.8
PLANTED_RATIO = 1.2
THRESHOLD_RATIO = 1.05
RESAMPLES = 2000
COMMAND = (
    *("-m", "shufflenet", "--backend", "cpu", "--batch-sizes", "1,8", "--pace", "40@1"),
    *("--workers", "3", "--meter", "none", "-q", "-f", "json"),
)
Key = tuple[str, GateMetric]
Run = Mapping[Key, LogMean]


def record(recording: Path, runs: int, pause_s: float, options: Sequence[str]) -> None:
    """Append runs until the recording holds so many."""
    done = read(recording)
    recording.parent.mkdir(parents=True, exist_ok=True)
    if recording.exists():  # what a torn last line has left
        lines = recording.read_text().splitlines(keepends=True)
        recording.write_text("".join(line for line in lines if line.endswith("\n")))
    with recording.open("a") as stream:
        for number in range(len(done), runs):
            stream.write(json.dumps(_measure(options)) + "\n")
            stream.flush()
            print(f"{number + 1} of {runs}", end="\r", file=sys.stderr)
            sleep(pause_s if number + 1 < runs else 0)


def _measure(options: Sequence[str]) -> dict[str, object]:
    """Return what one run of the command says, as a line of the recording."""
    began = datetime.now(UTC).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory() as folder:
        command = (sys.executable, "-m", "runner", "run", *COMMAND, *options, "--reports-dir", folder)
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{done.stderr.strip()}\nThe recording goes on where it stopped.")
        report = archive.load(archive.resolve(Path(folder), archive.LATEST))
    figures = [
        (key, metric, figure.log_mean, figure.log_variance, figure.degrees_of_freedom)
        for key, cell in cell_evidence(report).items()
        for metric, figure in cell.figures.items()
        if not (metric == "cpu" and cell.occupancy)
    ]
    return {"at": began, "cpu": report.environment.cpu, "figures": figures}


def read(recording: Path) -> list[Run]:
    """Return the runs of a recording; a torn last line is one that was not finished.

    Only figures that every run has: a busy machine may leave a budget no time for the last cell.
    """
    lines = recording.read_text().splitlines(keepends=True) if recording.exists() else []
    rows = [json.loads(line)["figures"] for line in lines if line.endswith("\n")]
    runs = [{(key, metric): LogMean(*numbers) for key, metric, *numbers in row} for row in rows]
    shared = [figure for figure in runs[0] if all(figure in run for run in runs)] if runs else []
    return [{figure: run[figure] for figure in shared} for run in runs]


def fails(
    reference: Run, new: Run, calibrating: Sequence[Run], threshold_ratio: float
) -> tuple[frozenset[Key], float]:
    """Return the figures of a pair that the gate fails, and the smallest slowdown that it finds in all of them."""
    spreads = dict(zip(reference, _spreads(tuple(reference), calibrating), strict=True))
    judged = []
    for (key, metric), base in reference.items():
        found = difference(new[key, metric], base, spreads[key, metric])
        figure = Figure(key, metric, False, 1.0, 1.0, found, *found.limits(), spreads[key, metric])  # noqa: FBT003 - no occupancy
        judged.append(judge_figure(figure, threshold_ratio, ERROR_SHARE / len(reference)))
    detectable = [each.detectable for each in judged if each.detectable is not None]
    failed = frozenset(
        (each.figure.key, each.figure.metric) for each in judged if each.verdict == "regression"
    )
    return failed, max(detectable)


def _spreads(keys: Sequence[tuple[str, GateMetric]], runs: Sequence[Run]) -> Iterator[RunSpread]:
    """Yield the spread of each figure, taken over the cells of its metric as the command does."""
    by_metric: dict[tuple[str, GateMetric], RunSpread] = {}
    for metric in dict.fromkeys(metric for _, metric in keys):
        alike = [key for key in keys if key[1] == metric]
        by_metric |= dict(zip(alike, run_spreads([[run[key] for run in runs] for key in alike]), strict=True))
    yield from (by_metric[key] for key in keys)


def planted(run: Run, slowed: Collection[Key]) -> Run:
    """Return a run with these figures 1.2 times as large."""
    more = log(PLANTED_RATIO)
    return {
        key: replace(each, log_mean=each.log_mean + more) if key in slowed else each
        for key, each in run.items()
    }


def judge(runs: Sequence[Run], side: int, calibrating: int) -> bool:
    """Print how often pairs fail; return whether both goals are met by the live ones."""
    rng = random.Random("gate")  # noqa: S311 - which runs calibrate, no secret
    places = range(len(runs))
    live = [tuple(places[at : at + 2 * side]) for at in range(0, len(runs) - 2 * side + 1, 2 * side)]
    drawn = [tuple(rng.sample(places, 2 * side)) for _ in range(RESAMPLES)]
    print(
        f"{len(runs)} runs, {side} a side; {calibrating} others calibrate each pair; {len(runs[0])} figures a pair"
    )
    print(
        "pairs       count   false, >1.00x   false, >1.05x   upper 95 %   slowed, fails   one, found   needs (median)"
    )
    met = True
    for name, pairs in (("live", live), ("resampled", drawn)):
        of = partial(_judged, runs, pairs, rng, calibrating)
        strict = fmean(bool(failed) for _, failed, _ in of(1.0, _none))
        judged = list(of(THRESHOLD_RATIO, _none))
        false = fmean(bool(failed) for _, failed, _ in judged)
        needed = median(least for _, _, least in judged)
        one = of(THRESHOLD_RATIO, lambda keys: [rng.choice(keys)])
        found = fmean(slowed <= failed for slowed, failed, _ in one)
        every = of(THRESHOLD_RATIO, lambda keys: keys)
        caught = fmean(bool(failed) for _, failed, _ in every)
        limit = binomtest(round(false * len(pairs)), len(pairs), alternative="less").proportion_ci(0.95).high
        shown = f"{limit:11.1%}" if name == "live" else " " * 10 + "-"  # resampled pairs share their runs
        print(
            f"{name:10} {len(pairs):6} {strict:14.1%} {false:15.1%} {shown} "
            f"{caught:15.1%} {found:12.1%} {needed:15.2f}x"
        )
        if name == "live":
            met = false <= GOAL_FALSE and caught >= GOAL_CAUGHT
    print(
        f"goals: of live pairs at most {GOAL_FALSE:.0%} fail, {GOAL_CAUGHT:.0%} of slowed: {'met' if met else 'MISSED'}"
    )
    return met


def _none(keys: Sequence[Key]) -> Sequence[Key]:
    return keys[:0]


def _judged(  # noqa: PLR0913, PLR0917 - what is drawn, from what, and what is planted
    runs: Sequence[Run],
    pairs: Sequence[tuple[int, ...]],
    rng: random.Random,
    calibrating: int,
    threshold_ratio: float,
    slow: Callable[[Sequence[Key]], Sequence[Key]],
) -> Iterator[tuple[frozenset[Key], frozenset[Key], float]]:
    """Yield of each pair the figures that were slowed, those that fail, and what the gate finds in all of them."""
    for pair in pairs:
        others = [runs[place] for place in range(len(runs)) if place not in pair]
        half = len(pair) // 2
        reference, new = (_side([runs[place] for place in side]) for side in (pair[:half], pair[half:]))
        slowed = frozenset(slow(tuple(new)))
        yield (
            slowed,
            *fails(reference, planted(new, slowed), rng.sample(others, calibrating), threshold_ratio),
        )


def _only(run: Run, metric: GateMetric | None) -> Run:
    """Return a run's figures of one metric, or all."""
    return {key: figure for key, figure in run.items() if metric in {None, key[1]}}


def _side(runs: Sequence[Run]) -> Run:
    return {key: pooled([run[key] for run in runs]) for key in runs[0]}


def main() -> None:
    """Record, judge, and exit with 1 when a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recording", type=Path)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--pause", type=float, default=0.0, metavar="SECONDS", help="between two runs")
    parser.add_argument("--time-budget", default="60s", help="of each run")
    parser.add_argument("--models-dir", type=Path, default=Path("models"))
    parser.add_argument("--side", type=int, default=1, metavar="RUNS", help="of each side of a pair")
    parser.add_argument("--calibrate", type=int, default=LEAST_RUNS, metavar="RUNS")
    parser.add_argument("--metric", choices=get_args(GateMetric), help="judge the figures of this one alone")
    parser.add_argument("--judge", action="store_true", help="judge what was recorded, record nothing")
    arguments = parser.parse_args()
    if not arguments.judge:
        options = ("--models-dir", str(arguments.models_dir), "--time-budget", arguments.time_budget)
        record(arguments.recording, arguments.runs, arguments.pause, options)
    runs = [_only(run, arguments.metric) for run in read(arguments.recording)]
    if not all(runs):
        sys.exit(f"{arguments.recording} holds no {arguments.metric}")
    least = arguments.calibrate + 2 * arguments.side
    if len(runs) < least:
        sys.exit(f"{arguments.recording} holds {len(runs)} runs; {least} are the fewest that can be judged")
    sys.exit(0 if judge(runs, arguments.side, arguments.calibrate) else 1)


if __name__ == "__main__":
    main()
