"""A gate over one run: each contender against the baseline of the same run, paired over blocks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runner.report.comparison.compare import distrusted
from runner.report.comparison.evidence import GateMetric
from runner.report.comparison.gate import Missed, Verdict
from runner.report.comparison.spread import ERROR_SHARE
from runner.report.evidence import Exclusions
from runner.report.queue_rank import queue_exclusion
from runner.report.schema import Cell, Comparison, QueueComparison, Report
from runner.stats.intervals import RatioInterval
from runner.stats.onesided import one_sided

_METRICS: Mapping[str, GateMetric] = {
    "latency": "latency",
    "response": "latency",
    "cpu_s_per_image": "cpu",
    "energy_per_image": "energy",
}


@dataclass(frozen=True, slots=True)
class RunJudged:
    """A ratio of a run and what the gate says of it."""

    key: str
    baseline_key: str
    metric: GateMetric
    ratio: float
    low: float | None
    """that holds for all judged ratios together; None where there are too few pairs"""
    threshold_ratio: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class RunGate:
    """What a gate says of a run."""

    judged: tuple[RunJudged, ...]
    missed: tuple[Missed, ...]
    """cells that the baseline measured and that cannot be judged"""
    parity: tuple[str, ...]
    """what failed parity; empty where nobody asked"""

    @property
    def failed(self) -> int:
        """How much there is to exit with 1 for."""
        regressions = sum(each.verdict == "regression" for each in self.judged)
        return regressions + len(self.missed) + len(self.parity)

    @property
    def inconclusive(self) -> int:
        """How many ratios could not be told."""
        return sum(each.verdict == "inconclusive" for each in self.judged)


def judge_run(report: Report, thresholds: Mapping[GateMetric, float], *, parity: bool) -> RunGate:
    """Return what a gate says of a run: a ratio fails when its lower limit exceeds the threshold.

    The limits are one-sided and hold for all judged ratios together (Bonferroni). They are paired, so that no spread
    of repeated runs is needed: what the machine does between runs happens to both sides.
    """
    compared = [each for each in _ratios(report) if _METRICS[each.metric] in thresholds]
    error = ERROR_SHARE / max(1, len(compared))
    return RunGate(
        judged=tuple(_judged(each, 1 + thresholds[_METRICS[each.metric]], error) for each in compared),
        missed=tuple(_missed(report)) if thresholds else (),
        parity=tuple(distrusted(report)) if parity else (),
    )


def _ratios(report: Report) -> Iterator[Comparison | QueueComparison]:
    yield from report.comparisons
    if report.queue:
        yield from (each for each in report.queue.comparisons if each.against == "backend")


def _judged(found: Comparison | QueueComparison, threshold_ratio: float, error: float) -> RunJudged:
    interval = RatioInterval(found.ratio, found.low, found.high, found.pair_count, found.worker_count)
    bounds = one_sided(interval, error)
    verdict: Verdict = "inconclusive"
    if bounds and bounds.low > threshold_ratio:
        verdict = "regression"
    elif bounds and bounds.high < 1:
        verdict = "improvement"
    elif bounds and bounds.high < threshold_ratio:
        verdict = "ok"
    low = bounds.low if bounds else None
    return RunJudged(
        found.cell, found.baseline_cell, _METRICS[found.metric], found.ratio, low, threshold_ratio, verdict
    )


def _missed(report: Report) -> Iterator[Missed]:
    """Yield the cells that count for nothing although the baseline's do at the same load."""
    exclusions, baselines = Exclusions(report), report.baselines
    whys = {(cell.key, _place(cell)): exclusions.of(cell) for cell in report.cells}
    known = {
        _place(cell)
        for cell in report.cells
        if cell.contender == baselines.get(cell.model) and not whys[cell.key, _place(cell)]
    }
    yield from (Missed(key, why, fails=True) for (key, place), why in whys.items() if why and place in known)
    if report.queue is None:
        return
    queued = {
        cell.key: (cell, queue_exclusion(cell, exclusions.distrust(cell))) for cell in report.queue.cells
    }
    served = {
        (cell.model, cell.load)
        for cell, why in queued.values()
        if cell.contender == baselines.get(cell.model) and not why
    }
    for key, (queue_cell, why) in queued.items():
        if why and (queue_cell.model, queue_cell.load) in served:
            yield Missed(key, why, fails=True)


def _place(cell: Cell) -> tuple[object, ...]:
    """Return what a cell shares with the baseline's it is compared with."""
    return cell.model, cell.load, cell.io
