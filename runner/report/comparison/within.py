"""A gate over one run: each contender against the baseline of the same run, paired over blocks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runner.contender import Contender
from runner.report.comparison.compare import distrusted, unproven
from runner.report.comparison.evidence import GateMetric
from runner.report.comparison.gate import Missed, Thresholds, Verdict, verdict_of
from runner.report.comparison.spread import ERROR_SHARE
from runner.report.evidence import Exclusions
from runner.report.queue_rank import queue_exclusion
from runner.report.schema import Cell, Comparison, QueueComparison, Report
from runner.stats.intervals import RatioInterval
from runner.stats.onesided import one_sided

_MORE = "more blocks or a longer --time-budget tell more"
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
    """who failed parity; empty where nobody asked"""
    unproven: tuple[str, ...]
    """whose parity nobody knows, where it was asked for, and metrics asked for by name that have no ratio"""

    @property
    def failed(self) -> int:
        """How much there is to exit with 1 for."""
        regressions = sum(each.verdict == "regression" for each in self.judged)
        return regressions + sum(each.fails for each in self.missed) + len(self.parity)

    @property
    def untold(self) -> tuple[str, ...]:
        """Why something could not be told, once for each that could not."""
        judged = (_MORE for each in self.judged if each.verdict == "inconclusive")
        return (*judged, *(each.reason for each in self.missed if not each.fails), *self.unproven)


def judge_run(report: Report, thresholds: Thresholds, *, parity: bool) -> RunGate:
    """Return what a gate says of a run: a ratio fails when its lower limit exceeds the threshold.

    The limits are one-sided and hold for all judged ratios together (Bonferroni). They are paired, so that no spread
    of repeated runs is needed: what the machine does between runs happens to both sides.
    """
    compared = [each for each in _ratios(report) if _METRICS[each.metric] in thresholds]
    error = ERROR_SHARE / max(1, len(compared))
    known = {_METRICS[each.metric] for each in compared}
    absent = [metric for metric, threshold in thresholds.items() if threshold.named and metric not in known]
    return RunGate(
        judged=tuple(_judged(each, thresholds[_METRICS[each.metric]].ratio, error) for each in compared),
        missed=tuple(_missed(report)) if thresholds else (),
        parity=tuple(distrusted(report)) if parity else (),
        unproven=(
            *(f"no ratio of {metric} to the baseline" for metric in absent),
            *(unproven(report) if parity else ()),
        ),
    )


def _ratios(report: Report) -> Iterator[Comparison | QueueComparison]:
    yield from report.comparisons
    if report.queue:
        yield from (each for each in report.queue.comparisons if each.against == "backend")


def _judged(found: Comparison | QueueComparison, threshold_ratio: float, error: float) -> RunJudged:
    interval = RatioInterval(found.ratio, found.low, found.high, found.pair_count, found.worker_count)
    bounds = one_sided(interval, error)
    verdict = verdict_of(bounds.low, bounds.high, threshold_ratio) if bounds else "inconclusive"
    low = bounds.low if bounds else None
    return RunJudged(
        found.cell, found.baseline_cell, _METRICS[found.metric], found.ratio, low, threshold_ratio, verdict
    )


def _missed(report: Report) -> Iterator[Missed]:
    """Yield the cells that cannot be judged, because theirs or the baseline's figures count for nothing."""
    exclusions = Exclusions(report)
    yield from _unmatched(
        report, [(cell.key, cell.contender, _place(cell), exclusions.of(cell)) for cell in report.cells]
    )
    if report.queue is None:
        return
    queued = [cell for cell in report.queue.cells if cell.load.relative_load is None]
    yield from _unmatched(
        report,
        [
            (
                cell.key,
                cell.contender,
                (cell.model, cell.load),
                queue_exclusion(cell, exclusions.distrust(cell)),
            )
            for cell in queued
        ],
    )
    for cell in report.queue.cells:
        if cell.load.relative_load is not None and cell.contender != report.baselines.get(cell.model):
            yield Missed(cell.key, "at a share of its own capacity, which is no baseline's", fails=False)


def _unmatched(
    report: Report, cells: Sequence[tuple[str, Contender, tuple[object, ...], str | None]]
) -> Iterator[Missed]:
    """Args: key, contender, what it shares with the baseline's cell (the model first), why it counts for nothing."""
    baselines = report.baselines
    bases = {place: why for _, contender, place, why in cells if contender == baselines.get(str(place[0]))}
    for key, contender, place, why in cells:
        if place not in bases or contender == baselines.get(str(place[0])):
            continue
        if why and not bases[place]:
            yield Missed(key, why, fails=True)
        elif bases[place] and not why:
            yield Missed(key, f"the baseline counts for nothing there ({bases[place]})", fails=False)


def _place(cell: Cell) -> tuple[object, ...]:
    """Return what a cell shares with the baseline's it is compared with."""
    return cell.model, cell.load, cell.io
