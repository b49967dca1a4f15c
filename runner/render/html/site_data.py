"""What the page of an archive draws from: columns of numbers, and every text and every set of facts once."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from os import fsencode
from posixpath import join
from typing import Any, Final
from urllib.parse import quote

from runner.render import numbers
from runner.render.comparison import METRIC_UNITS, cell_text
from runner.render.gate import METRIC_NAMES
from runner.report.comparison.evidence import METRICS
from runner.report.comparison.rules import RULES
from runner.report.overview import Entry, OverviewCell, OverviewFigure
from runner.report.schema import Cell

_FIGURE: Final = ("mean", "log_mean", "log_variance", "freedom", "spread")
_DIGITS = 9
"""significant ones of a figure: a thousandth of what a comparison is held to"""


@dataclass
class _Table:
    """Values by number, each once."""

    values: list[Hashable] = field(default_factory=list)
    _places: dict[Hashable, int] = field(default_factory=dict)

    def place(self, value: Hashable, key: Hashable = None) -> int:
        """Return the number of a value, which a key may stand for."""
        known = value if key is None else key
        if known not in self._places:
            self._places[known] = len(self.values)
            self.values.append(value)
        return self._places[known]


@dataclass
class _Packed:
    """Cells of all reports, a column per field."""

    texts: _Table = field(default_factory=_Table)
    kinds: _Table = field(default_factory=_Table)
    facts: _Table = field(default_factory=_Table)
    spreads: _Table = field(default_factory=_Table)
    columns: dict[str, list[Any]] = field(
        default_factory=lambda: {name: [] for name in ("kind", "facts", "excluded", "occupancy")}
    )
    figures: dict[str, dict[str, list[Any]]] = field(
        default_factory=lambda: {metric: {name: [] for name in _FIGURE} for metric in METRICS}
    )

    def add(self, own: OverviewCell) -> None:
        """Add a cell."""
        cell = own.cell
        on_device = isinstance(cell, Cell) and cell.io == "device"
        contender = str(cell.contender)
        load = cell_text(cell).removeprefix(f"{contender} ")
        kind = (cell.key, cell.model, contender, f"{load}{' on the device' if on_device else ''}")
        row = tuple(self.texts.place(own.facts[name]) for name in RULES)
        self.columns["kind"].append(self.kinds.place(kind, cell.key))
        self.columns["facts"].append(self.facts.place(row))
        self.columns["excluded"].append(self.texts.place(own.excluded))
        self.columns["occupancy"].append(int(own.occupancy))
        for metric in METRICS:
            for name, value in self._figure(own.figures.get(metric)).items():
                self.figures[metric][name].append(value)

    def _figure(self, figure: OverviewFigure | None) -> dict[str, float | None]:
        if figure is None:
            return dict.fromkeys(_FIGURE)
        known, spread = figure.known, figure.spread
        own = (figure.mean, known.log_mean, known.log_variance, known.degrees_of_freedom)
        if not all(map(isfinite, own)):  # JSON has no word for it, and nobody could compare it
            return dict.fromkeys(_FIGURE)
        row = spread and tuple(
            map(_short, (spread.variance, spread.degrees_of_freedom, spread.within_variance))
        )
        spread_place = None if row is None else self.spreads.place(row)
        return dict(zip(_FIGURE, (*map(_short, own), spread_place), strict=True))


def site_data(entries: Sequence[Entry], address: str, log_t: Sequence[float]) -> Mapping[str, object]:
    """Return the archive as data.

    Args:
        entries: its reports.
        address: of the folder of reports, relative to the page.
        log_t: quantiles, as ``runner.stats.quantiles`` makes them.
    """
    packed = _Packed()
    packed.texts.place("")
    reports = []
    for entry in entries:
        begin = len(packed.columns["kind"])
        for cell in entry.cells:
            packed.add(cell)
        reports.append(_report(entry, address, begin, len(packed.columns["kind"])))
    return {
        "log_t": [_short(value) for value in log_t],
        "metrics": [[metric, METRIC_NAMES[metric], METRIC_UNITS[metric]] for metric in METRICS],
        "rules": [
            [
                rule.name,
                rule.action,
                rule.what,
                rule.remedy,
                [METRICS.index(each) for each in rule.metrics],
            ]
            for rule in RULES.values()
        ],
        "reports": reports,
        "texts": packed.texts.values,
        "kinds": packed.kinds.values,
        "facts": packed.facts.values,
        "spreads": packed.spreads.values,
        "cells": packed.columns,
        "figures": packed.figures,
    }


def address_of(entry: Entry, address: str) -> str:
    """Return where a report is shown, relative to the page; nothing where it is not."""
    # Each part is quoted, as a folder's name may mean something in an address, or be no text at all.
    return join(quote(fsencode(address)), quote(fsencode(entry.report_id)), entry.page) if entry.page else ""


def started_text(entry: Entry) -> str:
    """Return when a report began."""
    try:
        return numbers.moment(entry.started_at)
    except ValueError:
        return entry.started_at


def _report(entry: Entry, address: str, begin: int, end: int) -> dict[str, object]:
    return {
        "id": entry.report_id,
        "status": entry.status,
        "name": entry.name,
        "started": entry.started_at,
        "shown": started_text(entry),
        "host": entry.host,
        "models": entry.models,
        "backends": entry.backends,
        "address": address_of(entry, address),
        "cells": [begin, end],
    }


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
