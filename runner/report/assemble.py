"""The report of a run, from its journal alone."""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from runner.errors import FileError
from runner.report.figures import Metering, summarise
from runner.report.journal import (
    BlockLine,
    CellLine,
    EndLine,
    HeaderLine,
    Line,
    NoteLine,
    SessionLine,
    WindowLine,
)
from runner.report.rank import Evidence, best_sets, choose, compare, exclusion
from runner.report.schema import Cell, Load, Report, SessionEntry, Window


@dataclass(slots=True)
class _Contents:
    """What the lines said, by subject."""

    header: HeaderLine | None = None
    sessions: dict[tuple[str, str, str], SessionEntry] = field(default_factory=dict)
    cells: dict[str, Cell] = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)
    latencies_s: dict[str, "array[float]"] = field(default_factory=lambda: defaultdict(lambda: array("d")))
    blocks: set[tuple[str, str, int]] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    end: EndLine | None = None

    def add(self, line: Line) -> None:
        match line:
            case HeaderLine():
                self.header = line
                self.cells |= {cell.key: cell for cell in line.cells}
            case SessionLine(entry=session):
                self.sessions[session.model, session.variant, session.backend] = session
            case CellLine(entry=cell):
                self.cells[cell.key] = cell
            case WindowLine(entry=window):
                self.windows.append(window)
                self.latencies_s[window.cell].extend(line.latencies_s)
            case BlockLine():
                self.blocks.add((line.model, line.variant, line.block))
            case NoteLine():
                self.notes.append(line.text)
            case EndLine():
                self.end = line

    def session_of(self, cell: Cell) -> SessionEntry | None:
        return self.sessions.get((cell.model, cell.variant, cell.backend))

    def is_paired(self, window: Window) -> bool:
        cell = self.cells[window.cell]
        return (cell.model, cell.variant, window.block) in self.blocks


def assemble(lines: Iterable[Line]) -> Report:
    """Return the report of a run that ended, was interrupted or was killed.

    Raises:
        FileError: the journal has no header, as when a run was killed at its start.
    """
    contents = _Contents()
    for line in lines:
        contents.add(line)
    header, end = contents.header, contents.end
    if header is None:
        raise FileError(
            "Cannot assemble a report", expected="a journal that begins with a header", got="none"
        )
    windows = tuple(
        window.model_copy(update={"paired": contents.is_paired(window)}) for window in contents.windows
    )
    cells = tuple(_finished(contents, header, windows))
    evidence = _evidence(contents, header, cells, windows)
    baseline = _baseline_label(header)
    comparisons, detectable_ratio = compare(evidence, baseline)
    pairs = dict.fromkeys((cell.model, cell.variant, cell.backend) for cell in cells)
    return Report(
        report_id=header.report_id,
        name=header.name,
        status=end.status if end else "interrupted",
        started_at=header.started_at,
        ended_at=end.ended_at if end else None,
        measured_s=end.measured_s if end else _span_s(windows),
        joulebatch=header.joulebatch,
        provenance=header.provenance,
        environment=header.environment,
        meters=header.meters,
        models=header.models,
        backends=header.backends,
        sessions=tuple(contents.sessions.values()),
        cells=cells,
        windows=windows,
        comparisons=comparisons,
        best_sets=tuple(best_sets(evidence, quick=header.provenance.profile == "quick")),
        choices=tuple(choose(evidence, *pair) for pair in pairs),
        minimum_detectable_ratio=detectable_ratio,
        notes=(*contents.notes, *_baseline_notes(contents, cells, baseline)),
    )


def _finished(contents: _Contents, header: HeaderLine, windows: tuple[Window, ...]) -> Iterator[Cell]:
    """Yield every planned cell with its summary and a status that its windows bear out."""
    by_cell = _by_cell(windows)
    devices = {backend.label: backend.device for backend in header.backends}
    metered = tuple(meter.domain for meter in header.meters if meter.status == "measured")
    planned = {cell.key: cell for cell in header.cells}
    complete = contents.end is not None and contents.end.status == "complete"
    for cell in contents.cells.values():
        own = by_cell.get(cell.key, ())
        if own:
            metering = Metering(devices[cell.backend], metered)
            found: dict[str, object] = {
                "summary": summarise(cell, own, contents.latencies_s[cell.key], metering)
            }
            if cell.status == "skipped":  # as planned: nothing more is said of a cell that goes well
                found |= {"status": "measured", "reason": ""}
            yield cell.model_copy(update=found)
        elif cell.status in {"failed", "overloaded"} or (
            cell.status == "skipped" and cell.reason != planned[cell.key].reason
        ):
            yield cell
        else:
            reason = "no window was taken" if complete else "interrupted before it was reached"
            yield cell.model_copy(update={"status": "skipped", "reason": reason})


def _evidence(
    contents: _Contents, header: HeaderLine, cells: tuple[Cell, ...], windows: tuple[Window, ...]
) -> Evidence:
    gpus = {gpu.uuid for gpu in header.environment.gpus}
    metered = {
        device
        for meter in header.meters
        if meter.domain == "gpu" and meter.status == "measured"
        for device in meter.devices
    }
    return Evidence(
        cells=tuple(cell for cell in cells if exclusion(cell, contents.session_of(cell)) is None),
        windows=_by_cell(window for window in windows if window.paired),
        devices={backend.label: backend.device for backend in header.backends},
        all_gpus_counted=gpus <= metered,
    )


def _by_cell(windows: Iterable[Window]) -> dict[str, list[Window]]:
    grouped: dict[str, list[Window]] = defaultdict(list)
    for window in windows:
        grouped[window.cell].append(window)
    return dict(grouped)


def _baseline_label(header: HeaderLine) -> str:
    """Return the label of the baseline, which may have been asked for by its spec."""
    asked = header.provenance.baseline
    return next(
        (backend.label for backend in header.backends if asked in {backend.label, backend.spec}), asked
    )


def _baseline_notes(contents: _Contents, cells: tuple[Cell, ...], baseline: str) -> Iterator[str]:
    """Yield, per model and cause, the loads at which nothing could be compared with the baseline."""
    loads: dict[tuple[str, str], list[str]] = defaultdict(list)
    others = {(cell.model, cell.load, cell.io) for cell in cells if cell.backend != baseline}
    for cell in cells:
        reason = exclusion(cell, contents.session_of(cell))
        if cell.backend == baseline and reason and (cell.model, cell.load, cell.io) in others:
            loads[cell.model, reason].append(_describe(cell.load))
    for (model, reason), named in loads.items():
        yield f"{model}: no comparison with the baseline {baseline} at {', '.join(named)} ({reason})"


def _describe(load: Load) -> str:
    return f"batch {load.batch_size}" + (f" at {load.pace_hz:g} images/s" if load.pace_hz else "")


def _span_s(windows: tuple[Window, ...]) -> float:
    """Return the time from the first window's start to the last one's end: all that a killed run tells."""
    if not windows:
        return 0.0
    return max(window.started_s + window.wall_s for window in windows) - windows[0].started_s
