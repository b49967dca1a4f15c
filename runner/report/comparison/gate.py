"""A gate over a comparison: which cells got worse by more than was allowed, and what cannot be told."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from runner.errors import UsageError
from runner.report.comparison.compare import Comparison, Figure
from runner.report.comparison.evidence import METRICS, GateMetric
from runner.report.comparison.spread import ERROR_SHARE
from runner.units import parse_percent_ratio

Verdict = Literal["regression", "improvement", "ok", "inconclusive"]
MISSING = "missing"
"""what --allow calls cells that the reference measured and the other side did not"""


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
    """what failed parity; empty where nobody asked"""

    def of(self, verdict: Verdict) -> tuple[Judged, ...]:
        """Return the figures with this verdict."""
        return tuple(each for each in self.judged if each.verdict == verdict)

    @property
    def failed(self) -> bool:
        """Whether the command is to exit with 1."""
        return bool(self.of("regression") or self.parity or any(each.fails for each in self.missed))

    @property
    def inconclusive(self) -> bool:
        """Whether something could not be told."""
        return bool(self.of("inconclusive") or any(not each.fails for each in self.missed))

    @property
    def detectable(self) -> float | None:
        """The smallest ratio that would fail in every judged figure; None where one has no spread."""
        ratios = [each.detectable for each in self.judged]
        known = [ratio for ratio in ratios if ratio is not None]
        return max(known) if known and len(known) == len(ratios) else None


def parse_thresholds(texts: Sequence[str], flag: str) -> dict[GateMetric, float]:
    """Return by metric the share of a figure that it may grow by: from ``5%``, or ``latency=5%,energy=3%``.

    Raises:
        UsageError: not of the form, an unknown metric, or one twice.
    """
    found: dict[GateMetric, float] = {}
    for part in (part.strip() for text in texts for part in text.split(",")):
        name, equals, percent = part.rpartition("=")
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
        found |= dict.fromkeys(metrics, ratio)
    return found


_EXAMPLE = "Write for example 5%, or latency=5%,energy=3%,cpu=10%"


def judge(
    comparison: Comparison, thresholds: Mapping[GateMetric, float], *, parity: bool, allowed: frozenset[str]
) -> Gate:
    """Return what a gate says.

    A figure fails when the lower limit of its ratio, the spread of repeated runs included, exceeds the threshold. The
    limits are one-sided and hold for all judged figures together (Bonferroni), so that of twenty comparisons of equal
    runs at most one fails, however many cells they have.
    """
    figures = [each for each in comparison.figures if each.metric in thresholds and not each.occupancy]
    error = ERROR_SHARE / max(1, len(figures))
    return Gate(
        judged=tuple(judge_figure(each, 1 + thresholds[each.metric], error) for each in figures),
        missed=tuple(_missed(comparison, thresholds, allowed)) if thresholds else (),
        parity=comparison.new.distrusted if parity else (),
    )


def judge_figure(figure: Figure, threshold_ratio: float, error: float) -> Judged:
    """Return what the gate says of a figure whose limits may be wrong in this share of cases."""
    if figure.spread is None:
        return Judged(figure, "inconclusive", threshold_ratio, None, None, None, figure.no_spread)
    low, high = figure.difference.lower(error), figure.difference.upper(error)
    verdict: Verdict = "inconclusive"
    if low > threshold_ratio:
        verdict = "regression"
    elif high < 1:
        verdict = "improvement"
    elif high < threshold_ratio:
        verdict = "ok"
    detectable = figure.difference.detectable(threshold_ratio, error)
    reason = "its limits reach over the threshold" if verdict == "inconclusive" else ""
    return Judged(figure, verdict, threshold_ratio, low, high, detectable, reason)


def _missed(
    comparison: Comparison, thresholds: Mapping[GateMetric, float], allowed: frozenset[str]
) -> Iterator[Missed]:
    fails = MISSING not in allowed
    for cell in comparison.matched:
        if cell.reference_excluded:
            continue
        if cell.new_excluded:
            yield Missed(cell.key, cell.new_excluded, fails)
            continue
        refused = [
            each
            for each in cell.breaches
            if each.action == "refuse" and set(each.rule.metrics) & set(thresholds)
        ]
        if refused:
            names = ", ".join(each.rule.name for each in refused)
            yield Missed(cell.key, f"refused by {names}", fails=False)
        elif not any(figure.metric in thresholds and not figure.occupancy for figure in cell.figures):
            yield Missed(cell.key, "no figure that the gate judges", fails=False)
    for key in (cell.key for cell in comparison.reference_only):
        own = comparison.reference.cells[key]
        if all(run and not run.excluded for run in own):
            yield Missed(key, "not planned", fails)
