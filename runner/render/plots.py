"""What ``reports show --plot`` draws instead of the tables: figures over batch sizes, and of a queue over rates."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TextIO

from runner.render.document import head_section
from runner.render.files import title_of
from runner.render.layout import Section
from runner.render.names import domains_text, load_text
from runner.render.numbers import Scale, scale_for
from runner.render.queue_plots import queue_plot_sections
from runner.render.remarks import unread_lines
from runner.render.summary import meter_lines
from runner.render.tables import cells_of
from runner.render.terminal import write_sections
from runner.render.text_axes import Limited
from runner.render.text_plot import Plot, Point, mark_of
from runner.report.schema import UNTRUSTED_PLACEMENTS, Cell, Interval, Report
from runner.units import duration_text

_BARS = (
    "bars: 95 % limits, unless shorter than a letter; "
    "letters of one batch size stand side by side where there is room"
)
_Kind = tuple[float | None, float]
"""pace and gap: cells of one kind differ in contender and batch size only"""


def write_plots(report: Report, stream: TextIO, *, details: bool, width: int | None = None) -> None:
    """Write the plots of a report.

    Args:
        report: what to draw.
        stream: standard output, or any text stream.
        details: whether to draw what calibrated a queue's twin, and loads of one batch size, too.
        width: of the terminal in characters; found out by default, and 80 in a pipe.
    """
    write_sections(plot_document(report, details=details), stream, width, piped_width=80)


def plot_document(report: Report, *, details: bool) -> tuple[Section, ...]:
    """Return a section per model and kind of load, and per model and arrivals of its queue."""
    is_queue = bool(report.queue and report.queue.cells)
    batches = [
        section
        for model in report.model_names
        if details or not is_queue
        for section in _ModelPlots(report, model, details=details).sections()
    ]
    head = head_section(report)
    if report.cells and not batches:
        hint = "What calibrated the twin, over batch sizes: --details draws it"
        head = replace(head, lines=(*head.lines, hint))
    return (head, *batches, *queue_plot_sections(report))


class _ModelPlots:
    """Builds the sections of one model."""

    def __init__(self, report: Report, model: str, *, details: bool) -> None:
        self._report, self._model, self._details = report, model, details
        cells = cells_of(report, model)
        self._mixed = [cell for cell in cells if cell.load.mixed]
        self._kinds: dict[_Kind, list[Cell]] = {}
        for cell in cells:
            if not cell.load.mixed:
                self._kinds.setdefault((cell.load.pace_hz, cell.load.gap_s), []).append(cell)
        self._series = tuple(dict.fromkeys(map(_series_name, cells)))
        self._sessions = {each.contender: each for each in report.sessions if each.model == model}

    def sections(self) -> Iterator[Section]:
        drawn = [kind for kind, cells in self._kinds.items() if self._details or _batch_count(cells) > 1]
        drawn = drawn or list(self._kinds)[:1]
        left = [kind for kind in self._kinds if kind not in drawn]
        for kind in drawn:
            notes = self._left_out(left) if kind == drawn[-1] else ()
            yield self._section(kind, self._kinds[kind], notes)

    def _left_out(self, kinds: Sequence[_Kind]) -> tuple[str, ...]:
        """Return what has no plot: loads of a single batch size, and those that mix several."""
        notes = []
        if kinds:
            loads = dict.fromkeys(load_text(cell.load) for kind in kinds for cell in self._kinds[kind])
            notes.append(f"not drawn, of one batch size each (--details draws them): {', '.join(loads)}")
        if self._mixed:
            loads = dict.fromkeys(load_text(cell.load) for cell in self._mixed)
            notes.append(f"not drawn, of no one batch size: {', '.join(loads)}")
        return tuple(notes)

    def _section(self, kind: _Kind, cells: Sequence[Cell], left_out: tuple[str, ...]) -> Section:
        measured = [cell for cell in cells if cell.summary]
        has_limits = any(cell.summary and cell.summary.latency_s.low is not None for cell in measured)
        notes = (
            *((_BARS,) if has_limits else ()),
            *_unmeasured_lines(cells),
            *self._energy_notes(measured),
            *left_out,
        )
        title = f"{title_of(self._report, self._model)}: {_kind_text(kind)}"
        return Section(title, self._legend(cells), notes=notes, plots=self._plots(cells) if measured else ())

    def _legend(self, cells: Sequence[Cell]) -> tuple[str, ...]:
        """Return a line per series, with what makes its figures other than those that were asked for."""
        lines = []
        contenders = {_series_name(cell): cell.contender for cell in cells}
        for number, name in enumerate(self._series):
            if name not in contenders:
                continue
            session = self._sessions.get(contenders[name])
            doubts = []
            if session and session.placement in UNTRUSTED_PLACEMENTS:
                doubts.append(f"provider {session.placement}")
            if session and session.parity and session.parity.status == "failed":
                doubts.append("parity FAILED")
            lines.append(f"{mark_of(number)} {name}" + (f" ({', '.join(doubts)})" if doubts else ""))
        return tuple(lines)

    def _plots(self, cells: Sequence[Cell]) -> tuple[Plot, ...]:
        known = [(cell, cell.summary) for cell in cells if cell.summary]
        energies = [(cell, each.energy.per_image_j) for cell, each in known if each.energy]
        latencies = [(cell, each.latency_s) for cell, each in known]
        plots = [self._plot("latency, mean of a batch", "s", latencies, cells)]
        if energies:
            plots.append(self._plot("energy per image", "J", energies, cells))
        if len(energies) < len(known):
            is_occupancy = any(each.cpu_occupancy for _, each in known)
            what = (
                "CPU occupancy per image, threads x latency, no cost"
                if is_occupancy
                else "CPU time per image"
            )
            costs = [(cell, each.cpu_s_per_image) for cell, each in known]
            plots.append(self._plot(what, "s", costs, cells))
        return tuple(plots)

    def _plot(
        self, what: str, unit: str, figures: Sequence[tuple[Cell, Interval]], cells: Sequence[Cell]
    ) -> Plot:
        scale = scale_for(unit, tuple(figure.mean for _, figure in figures))
        places = {series: number for number, series in enumerate(self._series)}
        return Plot(
            f"{what}, {scale.unit}",
            "batch size, log axis",
            self._series,
            tuple(
                Point(places[_series_name(cell)], cell.load.batch_size, scaled(figure, scale))
                for cell, figure in figures
            ),
            {cell.load.batch_size: str(cell.load.batch_size) for cell in cells},
        )

    def _energy_notes(self, measured: Sequence[Cell]) -> Iterator[str]:
        counted: dict[str, dict[str, None]] = {}
        for cell in measured:
            if cell.summary and (energy := cell.summary.energy):
                band = "; bars: its error band" if energy.status == "estimated" else ""
                text = f"{energy.status}, gross, idle power included: {domains_text(energy.domains)}{band}"
                counted.setdefault(text, {})[self._mark(cell)] = None
        yield from (f"energy of {', '.join(marks)}: {text}" for text, marks in counted.items())
        silent = [cell for cell in measured if cell.summary and not cell.summary.energy]
        if silent and counted:
            yield f"no energy: {self._names(silent)}"
        if silent:
            yield from unread_lines(self._report, silent)
            yield from meter_lines(self._report)

    def _mark(self, cell: Cell) -> str:
        return mark_of(self._series.index(_series_name(cell)))

    def _names(self, cells: Iterable[Cell]) -> str:
        return ", ".join(f"{self._mark(cell)} at {cell.load.batch_size}" for cell in cells)


def scaled(figure: Interval, scale: Scale) -> Limited:
    """Return a figure in the unit of a scale."""
    low, high = (None if each is None else each / scale.base for each in (figure.low, figure.high))
    return Limited(figure.mean / scale.base, low, high)


def _series_name(cell: Cell) -> str:
    return f"{cell.contender} device" if cell.io == "device" else str(cell.contender)


def _batch_count(cells: Iterable[Cell]) -> int:
    return len({cell.load.batch_size for cell in cells})


def _kind_text(kind: _Kind) -> str:
    pace_hz, gap_s = kind
    if pace_hz is not None:
        return f"at {pace_hz:g} images/s"
    return f"after {duration_text(gap_s)} idle" if gap_s else "back to back"


def _unmeasured_lines(cells: Iterable[Cell]) -> Iterator[str]:
    """Yield a line per cause for which cells were not measured, or not as asked for."""
    causes: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        if cell.summary is None or cell.status != "measured":
            name = f"{_series_name(cell)} b{cell.load.batch_size}"
            causes.setdefault((cell.status, cell.reason), []).append(name)
    for (status, reason), names in causes.items():
        yield f"{status}: {', '.join(names)}: {reason or 'no reason given'}"
