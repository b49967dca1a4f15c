"""All reports of an archive at a glance: whose they are, and what a comparison of any two needs of their cells."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.errors import JoulebatchError
from runner.report.archive import load
from runner.report.comparison.evidence import CellEvidence, GateMetric, cell_evidence
from runner.report.comparison.rules import AnyCell, contexts, facts
from runner.report.comparison.spread import Spread
from runner.report.schema import Report
from runner.stats.unpaired import LogMean, RunSpread

PAGES = ("report.html", "report.md", "report.json")
"""what shows a report, the best first; those of older versions have no page"""


@dataclass(frozen=True, slots=True)
class OverviewFigure:
    """A metric of a cell."""

    mean: float
    """as the report shows it, in s or J"""
    known: LogMean
    spread: RunSpread | None
    """of repeated runs; None where it is not known of such a cell"""


@dataclass(frozen=True, slots=True)
class OverviewCell:
    """A cell of a report."""

    cell: AnyCell
    excluded: str
    """why it is never compared; empty where it is"""
    facts: Mapping[str, str]
    """by the name of their rule"""
    figures: Mapping[GateMetric, OverviewFigure]
    occupancy: bool
    """whether CPU time is threads x latency"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A report; all but the first three fields are empty where it cannot be read."""

    report_id: str
    status: str
    """running, interrupted, complete or unreadable"""
    page: str
    """the file in its folder that shows it; empty where there is none"""
    unreadable: str = ""
    """why it cannot be read"""
    name: str = ""
    started_at: str = ""
    host: str = ""
    profile: str = ""
    joulebatch: str = ""
    models: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    cells: tuple[OverviewCell, ...] = ()


class Spreads:
    """The spread of repeated runs, asked once for cells that share all of their facts.

    Args:
        spread: what repeated runs said, where that is known.
    """

    def __init__(self, spread: Spread | None) -> None:
        self._spread = spread
        self._found: dict[tuple[str, ...], Mapping[GateMetric, RunSpread]] = {}

    def of(self, key: str, known: Mapping[str, str]) -> Mapping[GateMetric, RunSpread]:
        """Return the spread of a cell by metric."""
        if self._spread is None:
            return {}
        asked = (key, *known.values())
        if asked not in self._found:
            self._found[asked], _ = self._spread.of(key, known, frozenset())
        return self._found[asked]


def entry_of(folder: Path, spreads: Spreads) -> Entry:
    """Return a report of an archive, unreadable ones included."""
    page = next((name for name in PAGES if (folder / name).is_file()), "")
    try:
        report = load(folder)
        cells = _cells(report, spreads)
    except JoulebatchError as error:
        return Entry(folder.name, "unreadable", page, str(error))
    except (LookupError, ValueError, ArithmeticError, AssertionError) as error:
        # By its schema it is a report, and its parts do not fit each other: one such must not cost the whole page.
        why = f"Cannot use {folder.name}: its cells, windows and sessions contradict each other ({error!r})"
        return Entry(folder.name, "unreadable", page, why)
    return Entry(
        report_id=folder.name,
        status=report.status,
        page=page,
        name=report.name or "",
        started_at=report.started_at,
        host=report.environment.host,
        profile=report.provenance.profile,
        joulebatch=report.joulebatch,
        models=report.model_names,
        backends=tuple(dict.fromkeys(entry.label for entry in report.backends)),
        cells=cells,
    )


def _cells(report: Report, spreads: Spreads) -> tuple[OverviewCell, ...]:
    known = {context.cell.key: facts(context) for context in contexts(report)}
    return tuple(_cell(own, known[key], spreads) for key, own in cell_evidence(report).items())


def _cell(own: CellEvidence, known: Mapping[str, str], spreads: Spreads) -> OverviewCell:
    spread = spreads.of(own.cell.key, known)
    figures = {
        metric: OverviewFigure(own.means[metric], figure, spread.get(metric))
        for metric, figure in own.figures.items()
    }
    return OverviewCell(own.cell, own.excluded or "", known, {} if own.excluded else figures, own.occupancy)
