"""A gate over a comparison: which cells got worse by more than was allowed, and what cannot be told."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from runner.errors import UsageError
from runner.report.comparison.compare import Comparison, Figure, Matched
from runner.report.comparison.evidence import METRICS, NOT_PLANNED, GateMetric
from runner.report.comparison.spread import ERROR_SHARE
from runner.units import parse_percent_ratio

Verdict = Literal["regression", "improvement", "ok", "inconclusive"]
MISSING = "missing"
"""what --allow calls cells that the reference measured and the other side did not"""


@dataclass(frozen=True, slots=True)
class Threshold:
    """How much a figure may grow."""

    ratio: float
    """above which it is a regression: 1.05"""
    named: bool
    """whether this metric was asked for by its name; then its absence is said"""


Thresholds = Mapping[GateMetric, Threshold]


@dataclass(frozen=True, slots=True)
class Judged:
    """A figure and what the gate says of it."""

    figure: Figure
    verdict: Verdict
    threshold_ratio: float
    """above which it is a regression: 1.05"""
    low: float | None
    """limits that hold for all judged figures together; None without a spread"""
    high: float | None
    detectable: float | None
    """the smallest ratio that would fail in four of five comparisons; None without a spread"""
    reason: str = ""
    """of an inconclusive one"""


@dataclass(frozen=True, slots=True)
class Missed:
    """A cell that the reference measured and that cannot be judged."""

    key: str
    reason: str
    fails: bool
    """whether the gate fails for it; else it is inconclusive"""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a gate says of a comparison."""

    judged: tuple[Judged, ...]
    missed: tuple[Missed, ...]
    parity: tuple[str, ...]
    """who failed parity; empty where nobody asked"""
    unproven: tuple[str, ...]
    """whose parity nobody knows; empty where nobody asked"""

    def of(self, verdict: Verdict) -> tuple[Judged, ...]:
        """Return the figures with this verdict."""
        return tuple(each for each in self.judged if each.verdict == verdict)

    @property
    def failed(self) -> int:
        """How much there is to exit with 1 for."""
        return len(self.of("regression")) + len(self.parity) + sum(each.fails for each in self.missed)

    @property
    def untold(self) -> tuple[str, ...]:
        """Why something could not be told, once for each that could not."""
        judged = (each.reason for each in self.of("inconclusive"))
        return (*judged, *(each.reason for each in self.missed if not each.fails), *self.unproven)

    @property
    def detectable(self) -> float | None:
        """The smallest ratio that would fail in every judged figure; None where one has no spread."""
        ratios = [each.detectable for each in self.judged]
        known = [ratio for ratio in ratios if ratio is not None]
        return max(known) if known and len(known) == len(ratios) else None


def parse_thresholds(texts: Sequence[str], flag: str) -> dict[GateMetric, Threshold]:
    """Return by metric how much a figure may grow: from ``5%``, or ``latency=5%,energy=3%``.

    Raises:
        UsageError: not of the form, an unknown metric, or one twice.
    """
    found: dict[GateMetric, Threshold] = {}
    for part in (part.strip() for text in texts for part in text.split(",")):
        name, equals, percent = part.rpartition("=")
        if not equals and percent.lower() in METRICS:
            raise UsageError(f"Cannot read {flag}", expected=f"{percent}=PERCENT", got=percent, fix=_EXAMPLE)
        metrics = [metric for metric in METRICS if not equals or metric == name.strip().lower()]
        if not metrics:
            raise UsageError(
                f"Cannot read {flag}", expected=f"one of {', '.join(METRICS)}", got=repr(name), fix=_EXAMPLE
            )
        ratio = parse_percent_ratio(percent, flag)
        if twice := [metric for metric in metrics if metric in found]:
            raise UsageError(
                f"Cannot read {flag}", expected="each metric once", got=f"{twice[0]} twice", fix=_EXAMPLE
            )
        found |= dict.fromkeys(metrics, Threshold(1 + ratio, named=bool(equals)))
    return found


_EXAMPLE = "Write for example 5%, or latency=5%,energy=3%,cpu=10%"


def judge(comparison: Comparison, thresholds: Thresholds, *, parity: bool, allowed: frozenset[str]) -> Gate:
    """Return what a gate says.

    A figure fails when the lower limit of its ratio, the spread of repeated runs included, exceeds the threshold. The
    limits are one-sided and hold for all judged figures together (Bonferroni), so that of twenty comparisons of equal
    runs at most one fails, however many cells they have.
    """
    figures = [each for each in comparison.figures if each.metric in thresholds and not each.occupancy]
    error = ERROR_SHARE / max(1, len(figures))
    return Gate(
        judged=tuple(judge_figure(each, thresholds[each.metric].ratio, error) for each in figures),
        missed=tuple(_missed(comparison, thresholds, allowed)) if thresholds else (),
        parity=comparison.new.distrusted if parity else (),
        unproven=comparison.new.unproven if parity else (),
    )


def judge_figure(figure: Figure, threshold_ratio: float, error: float) -> Judged:
    """Return what the gate says of a figure whose limits may be wrong in this share of cases."""
    if figure.spread is None:
        return Judged(figure, "inconclusive", threshold_ratio, None, None, None, figure.no_spread)
    low, high = figure.difference.lower(error), figure.difference.upper(error)
    verdict = verdict_of(low, high, threshold_ratio)
    detectable = figure.difference.detectable(threshold_ratio, error)
    reason = "its limits reach over the threshold" if verdict == "inconclusive" else ""
    return Judged(figure, verdict, threshold_ratio, low, high, detectable, reason)


def verdict_of(low: float, high: float, threshold_ratio: float) -> Verdict:
    """Return what the limits of a ratio say of a threshold."""
    if low > threshold_ratio:
        return "regression"
    if high < 1:
        return "improvement"
    return "ok" if high < threshold_ratio else "inconclusive"


def _missed(comparison: Comparison, thresholds: Thresholds, allowed: frozenset[str]) -> Iterator[Missed]:
    """Yield what the reference measured and nobody can judge, and what was asked for by name and nobody measured."""
    fails = MISSING not in allowed
    for cell in comparison.matched:
        if cell.reference_excluded:
            if any(run and not run.excluded for run in comparison.reference.cells[cell.key]):
                yield Missed(
                    cell.key, f"in a run of the reference side {cell.reference_excluded}", fails=False
                )
        elif cell.new_excluded:
            yield Missed(cell.key, cell.new_excluded, fails)
        else:
            reasons = dict.fromkeys(filter(None, (_gap(cell, *each) for each in thresholds.items())))
            judged = any(figure.metric in thresholds and not figure.occupancy for figure in cell.figures)
            if not judged and not reasons:
                reasons = {"no figure that the gate judges": None}
            yield from (Missed(cell.key, reason, fails=False) for reason in reasons)
    for key in (cell.key for cell in comparison.reference_only):
        own = comparison.reference.cells[key]
        if any(run and not run.excluded for run in own):
            yield Missed(key, NOT_PLANNED, fails and all(run and not run.excluded for run in own))


def _gap(cell: Matched, metric: GateMetric, threshold: Threshold) -> str:
    """Return why a metric of a cell cannot be judged; empty where it can, or where nobody would miss it."""
    refused = [
        each.rule.name for each in cell.breaches if each.action == "refuse" and metric in each.rule.metrics
    ]
    if refused:
        return f"refused by {', '.join(refused)}"
    own = [figure for figure in cell.figures if figure.metric == metric]
    if own:
        return f"{metric} back to back is occupancy" if own[0].occupancy and threshold.named else ""
    if metric in cell.lacks:
        return cell.lacks[metric]
    return f"no {metric} on either side" if threshold.named else ""
