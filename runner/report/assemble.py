"""The report of a run, from its journal alone."""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from runner.contender import Contender
from runner.report.derive import derive
from runner.report.evidence import Exclusions, group_of
from runner.report.lines import (
    BlockLine,
    CellLine,
    EndLine,
    HeaderLine,
    IdleLine,
    Line,
    NoteLine,
    QueueBlockLine,
    QueueCellLine,
    QueueWindowLine,
    ResumeLine,
    SessionLine,
    WindowLine,
)
from runner.report.pairing import Pairing, unfit
from runner.report.queue_contents import QueueContents
from runner.report.references import broken_reference
from runner.report.schema import Cell, IdleWindow, Load, Report, Resume, SessionEntry, Window
from runner.report.walltime import WallTime
from runner.stats.queueing import Replay
from runner.units import duration_text


@dataclass(slots=True)
class _Contents:
    """What the lines said, by subject."""

    header: HeaderLine | None = None
    sessions: dict[tuple[str, Contender], SessionEntry] = field(default_factory=dict)
    cells: dict[str, Cell] = field(default_factory=dict)
    pairing: Pairing[Window] = field(default_factory=Pairing)
    latencies_s: "list[array[float]]" = field(default_factory=list)
    """of each window"""
    idle: list[IdleWindow] = field(default_factory=list)
    resumes: list[Resume] = field(default_factory=list)
    time: WallTime = field(default_factory=WallTime)
    notes: list[str] = field(default_factory=list)
    queue: QueueContents = field(default_factory=QueueContents)
    end: EndLine | None = None

    def add(self, line: Line) -> None:
        self.time.add(line)
        match line:
            case HeaderLine():
                if self.header:
                    raise unfit("a journal with one header", "a second")
                self.header = line
                self.cells |= {cell.key: cell for cell in line.cells}
                self.queue.cells |= {cell.key: cell for cell in line.queue_cells or ()}
            case SessionLine(entry=session):
                self.sessions[session.model, session.contender] = session
            case CellLine(entry=cell):
                if cell.key not in self.cells:
                    raise unfit("planned cells", f"one of {cell.key}")
                self.cells[cell.key] = cell
            case WindowLine(entry=window):
                self.pairing.add(window, self.cells.get(window.cell))
                self.latencies_s.append(array("d", line.latencies_s))
            case BlockLine():
                self.pairing.finish_block(line)
            case QueueCellLine() | QueueWindowLine() | QueueBlockLine():
                self.queue.add(line)
            case _:
                self._add_event(line)

    def _add_event(self, line: Line) -> None:
        match line:
            case IdleLine(entry=idle):
                self.idle.append(idle)
            case ResumeLine(entry=resume):
                self.resumes.append(resume)
                self.pairing.open.clear()
                self.queue.pairing.open.clear()
                self.end = None
            case NoteLine(text=text):
                self.notes.append(text)
            case EndLine():
                self.end = line


@dataclass(frozen=True, slots=True)
class Assembled:
    """What a journal holds."""

    report: Report
    """without figures"""
    latencies_s: "tuple[array[float], ...]"
    """of every inference, by window"""
    replays: tuple[Replay, ...] = ()
    """of every window of the queue"""


def assemble(lines: Iterable[Line]) -> Report:
    """Return the report of a run that ended, was interrupted or was killed.

    Raises:
        FileError: the journal has no header, as when a run was killed at its start.
    """
    assembled = collect(lines)
    return derive(assembled.report, assembled.latencies_s, assembled.replays)


def collect(lines: Iterable[Line]) -> Assembled:
    """Return what a journal holds, before any figure is computed from it.

    Raises:
        FileError: the journal has no header, as when a run was killed at its start, or contradicts itself.
    """
    contents = _Contents()
    for line in lines:
        contents.add(line)
    header, end = contents.header, contents.end
    if header is None:
        raise unfit("a journal that begins with a header", "none")
    complete = end is not None and end.status == "complete"
    planned = header.queue_cells
    report = Report(
        report_id=header.report_id,
        name=header.name,
        status=end.status if end else "interrupted",
        started_at=header.started_at,
        ended_at=end.ended_at if end else None,
        measured_s=contents.time.total_s,
        joulebatch=header.joulebatch,
        provenance=header.provenance,
        environment=header.environment,
        meters=header.meters,
        models=header.models,
        backends=header.backends,
        sessions=tuple(contents.sessions.values()),
        cells=tuple(_finished(contents, header)),
        windows=tuple(contents.pairing.windows),
        comparisons=(),
        best_sets=(),
        choices=(),
        queue=None if planned is None else contents.queue.study(planned, complete=complete),
        idle=tuple(contents.idle),
        resumes=tuple(contents.resumes),
        minimum_detectable_ratio=None,
        notes=tuple(dict.fromkeys(contents.notes)),  # a run that goes on may say again what holds
    )
    if broken := broken_reference(report):
        raise unfit("a journal whose lines fit its header", broken)
    notes = (*report.notes, *_baseline_notes(report))
    return Assembled(
        report.model_copy(update={"notes": notes}), tuple(contents.latencies_s), tuple(contents.queue.replays)
    )


def _finished(contents: _Contents, header: HeaderLine) -> Iterator[Cell]:
    """Yield every planned cell with a status that its windows bear out."""
    visited = {window.cell for window in contents.pairing.windows}
    planned = {cell.key: cell for cell in header.cells}
    complete = contents.end is not None and contents.end.status == "complete"
    for cell in contents.cells.values():
        if cell.key in visited:
            # As planned: nothing more is said of a cell that goes well.
            done = {"status": "measured", "reason": ""} if cell.status == "skipped" else {}
            yield cell.model_copy(update=done)
        elif cell.status in {"failed", "overloaded"} or (
            cell.status == "skipped" and cell.reason != planned[cell.key].reason
        ):
            yield cell
        else:
            reason = "no window was taken" if complete else "interrupted before it was reached"
            yield cell.model_copy(update={"status": "skipped", "reason": reason})


def _baseline_notes(report: Report) -> Iterator[str]:
    """Yield, per model and cause, the loads at which nothing could be compared with the baseline."""
    baselines = report.baselines
    exclusions = Exclusions(report)
    loads: dict[tuple[str, str], list[str]] = defaultdict(list)
    others = {group_of(cell) for cell in report.cells if cell.contender != baselines.get(cell.model)}
    for cell in report.cells:
        reason = exclusions.of(cell)
        if cell.contender == baselines.get(cell.model) and reason and group_of(cell) in others:
            loads[cell.model, reason].append(_describe(cell.load))
    for (model, reason), named in loads.items():
        who = f"the baseline {baselines[model]}"
        yield f"{model}: no comparison with {who} at {', '.join(named)} ({reason})"


def _describe(load: Load) -> str:
    pace = f" at {load.pace_hz:g} images/s" if load.pace_hz else ""
    gap = f" after {duration_text(load.gap_s)} idle" if load.gap_s else ""
    return f"batch {','.join(map(str, load.sizes))}{pace}{gap}"
