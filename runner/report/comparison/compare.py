"""Two sides of archived runs, matched cell by cell: what differs between them, and by how much."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from runner.report.comparison.evidence import METRICS, NOT_PLANNED, CellEvidence, GateMetric, cell_evidence
from runner.report.comparison.rules import BETWEEN, AnyCell, Breach, breaches, contexts, facts
from runner.report.comparison.spread import Spread
from runner.report.schema import Report
from runner.stats.unpaired import Difference, LogMean, RunSpread, difference, pooled


@dataclass(frozen=True, slots=True)
class Side:
    """One run, or several of one thing that count as one."""

    report_ids: tuple[str, ...]
    cells: Mapping[str, tuple[CellEvidence | None, ...]]
    """by key, one per run; None where a run had not planned it"""
    facts: Mapping[str, Mapping[str, str]]
    """by key and rule; where runs of a side differ, all of their facts"""
    distrusted: tuple[str, ...]
    """contenders that could not be opened, failed parity or lost their quality, in words"""
    unproven: tuple[str, ...]
    """contenders whose parity nobody knows, in words"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of a cell on both sides."""

    key: str
    metric: GateMetric
    occupancy: bool
    """of CPU time: threads x latency, which no gate judges"""
    reference: float
    """mean, in s or J"""
    new: float
    difference: Difference
    low: float
    """95 % limits of the ratio: of later runs where the spread is known, else of these very runs"""
    high: float
    spread: RunSpread | None
    """of repeated runs of this cell; None where it is not known"""
    no_spread: str = ""
    """why it is not known"""


@dataclass(frozen=True, slots=True)
class Matched:
    """A cell that both sides planned."""

    key: str
    cell: AnyCell
    breaches: tuple[Breach, ...]
    figures: tuple[Figure, ...]
    reference_excluded: str
    """why the reference's figures count for nothing; empty where they count"""
    new_excluded: str
    lacks: Mapping[GateMetric, str] = field(default_factory=dict)
    """metrics that one side has alone, with the side that lacks them in words"""

    @property
    def refused(self) -> tuple[Breach, ...]:
        """The rules that keep the whole cell from being compared."""
        return tuple(
            each for each in self.breaches if each.action == "refuse" and each.rule.metrics == METRICS
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """A side beside the reference's."""

    reference: Side
    new: Side
    matched: tuple[Matched, ...]
    reference_only: tuple[AnyCell, ...]
    new_only: tuple[AnyCell, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures that were compared."""
        return tuple(figure for cell in self.matched for figure in cell.figures)


def make_side(reports: Sequence[Report]) -> Side:
    """Return runs of one thing as a side of a comparison."""
    evidence = [cell_evidence(report) for report in reports]
    known = [{context.cell.key: facts(context) for context in contexts(report)} for report in reports]
    keys = tuple(dict.fromkeys(key for own in evidence for key in own))
    return Side(
        report_ids=tuple(report.report_id for report in reports),
        cells={key: tuple(own.get(key) for own in evidence) for key in keys},
        facts={key: _joined([own[key] for own in known if key in own]) for key in keys},
        distrusted=tuple(line for report in reports for line in distrusted(report)),
        unproven=tuple(line for report in reports for line in unproven(report)),
    )


def compare(reference: Side, new: Side, spread: Spread | None, allowed: frozenset[str]) -> Comparison:
    """Return what the cells of a side are beside the reference's.

    Args:
        reference: what is compared with.
        new: what is compared.
        spread: of repeated runs, where it is known.
        allowed: rules that warn instead of refusing.
    """
    shared = [key for key in reference.cells if key in new.cells]
    return Comparison(
        reference=reference,
        new=new,
        matched=tuple(_match(key, reference, new, spread, allowed) for key in shared),
        reference_only=tuple(
            _planned(reference.cells[key]) for key in reference.cells if key not in new.cells
        ),
        new_only=tuple(_planned(new.cells[key]) for key in new.cells if key not in reference.cells),
    )


def excluded(runs: Iterable[CellEvidence | None]) -> str:
    """Return why a side's cell counts for nothing, or nothing where it counts in every run."""
    whys = (NOT_PLANNED if run is None else run.excluded for run in runs)
    return "; ".join(dict.fromkeys(why for why in whys if why))


def _match(key: str, reference: Side, new: Side, spread: Spread | None, allowed: frozenset[str]) -> Matched:
    own, other = new.cells[key], reference.cells[key]
    found = Matched(
        key=key,
        cell=_planned(other),
        breaches=breaches(reference.facts[key], new.facts[key], allowed),
        figures=(),
        reference_excluded=excluded(other),
        new_excluded=excluded(own),
    )
    if found.refused or found.reference_excluded or found.new_excluded:
        return found
    barred = {metric for each in found.breaches if each.action == "refuse" for metric in each.rule.metrics}
    spreads, why = (
        spread.of(
            key,
            reference.facts[key],
            allowed,
            several_hosts=any(each.rule.name == "host" for each in found.breaches),
        )
        if spread
        else ({}, "no spread of repeated runs is known")
    )
    figures = tuple(
        _figure(key, metric, [run for run in other if run], [run for run in own if run], spreads, why)
        for metric in METRICS
        if metric not in barred and all(run is not None and metric in run.figures for run in (*own, *other))
    )
    return replace(found, figures=figures, lacks=dict(_lacks(other, own)))


def _lacks(
    reference: Sequence[CellEvidence | None], new: Sequence[CellEvidence | None]
) -> Iterator[tuple[GateMetric, str]]:
    for metric in METRICS:
        known = [all(run is not None and metric in run.figures for run in side) for side in (reference, new)]
        if known[0] != known[1]:
            yield metric, f"no {metric} in the {'new run' if known[0] else 'reference'}"


def _figure(  # noqa: PLR0913, PLR0917 - what a figure is made of
    key: str,
    metric: GateMetric,
    reference: Sequence[CellEvidence],
    new: Sequence[CellEvidence],
    spreads: Mapping[GateMetric, RunSpread],
    why: str,
) -> Figure:
    spread = spreads.get(metric)
    found = difference(_pooled(new, metric), _pooled(reference, metric), spread)
    low, high = found.limits()
    return Figure(
        key=key,
        metric=metric,
        occupancy=metric == "cpu" and any(run.occupancy for run in (*reference, *new)),
        reference=fmean(run.means[metric] for run in reference),
        new=fmean(run.means[metric] for run in new),
        difference=found,
        low=low,
        high=high,
        spread=spread,
        no_spread="" if spread else why or f"the spread knows nothing of its {metric}",
    )


def _pooled(runs: Sequence[CellEvidence], metric: GateMetric) -> LogMean:
    return pooled([run.figures[metric] for run in runs])


def _planned(runs: Iterable[CellEvidence | None]) -> AnyCell:
    return next(run.cell for run in runs if run)


def _joined(runs: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the facts of runs; where they differ, all that are known."""
    return {name: BETWEEN.join(sorted({run[name] for run in runs if run[name]})) for name in runs[0]}


def distrusted(report: Report) -> Iterator[str]:
    """Yield the contenders that could not be opened, failed parity or lost their quality, in words."""
    for session in report.sessions:
        parity = session.parity
        if session.status == "failed" or (parity and parity.status == "failed"):
            why = session.reason if session.status == "failed" else parity.reason if parity else ""
            what = "could not be opened" if session.status == "failed" else "failed parity"
            yield f"{session.model} {session.contender} {what}{f': {why}' if why else ''}"
    said = {
        (each.model, each.variant)
        for each in report.sessions
        if each.parity and each.parity.status == "failed"
    }
    for model in report.models:
        if model.quality == "lost" and (model.name, model.variant) not in said:
            yield f"{model.name} {model.variant} lost its quality"


def unproven(report: Report) -> Iterator[str]:
    """Yield the contenders whose outputs were not compared with any, in words."""
    sessions = {(each.model, each.contender): each for each in report.sessions}
    cells: tuple[AnyCell, ...] = (*report.cells, *(report.queue.cells if report.queue else ()))
    for model, contender in dict.fromkeys((cell.model, cell.contender) for cell in cells):
        session = sessions.get((model, contender))
        if session is None:
            yield f"parity of {model} {contender}: no session"
        elif session.status == "opened" and (
            session.parity is None or session.parity.status == "unavailable"
        ):
            why = session.parity.reason if session.parity else ""
            yield f"parity of {model} {contender}: {why or 'not taken'}"
