"""What a run that is to go on knows already, read from its journal, and whether it may go on here and now."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.config import RunConfig
from runner.errors import FileError, UsageError
from runner.report.archive import LATEST, REPORT_NAME, report_folders, resolve
from runner.report.journal import (
    JOURNAL_NAME,
    BlockLine,
    CellLine,
    EndLine,
    HeaderLine,
    IdleLine,
    Line,
    ModelEndLine,
    ResumeLine,
    SessionLine,
    WindowLine,
    is_being_written,
    read_journal,
    torn_bytes,
)
from runner.report.schema import Cell, Gpu, IdleWindow, SessionEntry, Window

LATE_FLAG = "late"
"""of a window: its last inference ran past the schedule of its pace"""

_SAME_MEMORY_RATIO = 0.01
"""what the kernel keeps for itself differs by some megabytes from one boot to the next"""


@dataclass(slots=True)
class ModelSoFar:
    """What a run has learned of a model, in earlier stretches and in this one; it grows block by block."""

    done: bool = False
    cells: dict[str, Cell] = field(default_factory=dict)
    """by key: the latest of each"""
    sessions: dict[str, SessionEntry] = field(default_factory=dict)
    """by backend"""
    blocks: int = 0
    """number of the next block: finished ones count on, repeats included"""
    means_s: dict[str, dict[int, float]] = field(default_factory=dict)
    """``latency_mean_s`` by cell and finished block"""
    late: dict[str, int] = field(default_factory=dict)
    """by cell: windows of finished blocks that ran late"""
    disturbed: dict[int, str] = field(default_factory=dict)
    """by finished block that was disturbed and not repeated: the first cause"""
    repeats: int = 0
    """how many blocks stand in for a disturbed one"""
    workers: dict[str, int] = field(default_factory=dict)
    """by backend: how many processes took its windows in earlier stretches"""

    def is_closed(self, planned: Cell) -> bool:
        """Return whether a planned cell failed, was skipped or was overloaded.

        What is called overloaded for its late windows is so at the end of a model, and judged there again.
        """
        latest = self.cells.get(planned.key, planned)
        if latest.status == "overloaded" and planned.key in self.means_s:
            return False
        return (latest.status, latest.reason) != (planned.status, planned.reason)

    def check_session(self, now: SessionEntry) -> None:
        """Check that a backend opened the model as it did in earlier stretches.

        Raises:
            FileError: another library, placement or setting; the message names what was and what is.
        """
        was = self.sessions.get(now.backend)
        if was is None or "failed" in {was.status, now.status}:
            return
        then = {**was.facts, "nodes": str(was.nodes_by_provider)}
        here = {**now.facts, "nodes": str(now.nodes_by_provider)}
        _refuse_changes(f"Cannot resume {now.model} on {now.backend}", then, here)

    def finish_block(self, line: BlockLine, windows: Sequence[Window]) -> None:
        """Count a block whose line is in the journal."""
        self.blocks = line.block + 1
        if line.repeats is not None:
            self.repeats += 1
            self.disturbed.pop(line.repeats, None)
        if cause := next((window.disturbed for window in windows if window.disturbed), ""):
            self.disturbed[line.block] = cause
        for window in windows:
            self.means_s.setdefault(window.cell, {})[line.block] = window.latency_mean_s
            self.late[window.cell] = self.late.get(window.cell, 0) + (LATE_FLAG in window.flags)


@dataclass(frozen=True, slots=True)
class SoFar:
    """What a resumed run knows."""

    header: HeaderLine
    models: Mapping[tuple[str, str], ModelSoFar]
    """by name and variant, in the order of the run"""
    measured_s: float
    """wall time of all earlier stretches; of one that was killed, the span of its windows"""
    idle: tuple[IdleWindow, ...]
    torn_bytes: int
    """of a last line that is cut off before the next is written"""


def resumable(reports_dir: Path, text: str) -> Path:
    """Return the folder of a run that can go on: an id, a path, or ``latest`` of those that are not complete.

    Raises:
        UsageError: it is complete, or its run goes on.
        FileError: no report is there.
    """
    if text == LATEST:
        folders = [each for each in report_folders(reports_dir) if not (each / REPORT_NAME).exists()]
        if not folders:
            raise UsageError(
                "Cannot resume", expected=f"a report in {reports_dir} that is not complete", got="none"
            )
        folder = max(folders, key=lambda each: each.name)
    else:
        folder = resolve(reports_dir, text)
    _refuse_complete(folder)
    if is_being_written(folder):
        raise UsageError(
            f"Cannot resume {folder.name}", expected="a run that has ended", got="one that goes on"
        )
    return folder


def _refuse_complete(folder: Path) -> None:
    if (folder / REPORT_NAME).exists():
        raise UsageError(
            f"Cannot resume {folder.name}", expected="a report that is not complete", got="one that is"
        )


def resumed_config(header: HeaderLine) -> RunConfig:
    """Return the configuration that a run was begun with.

    Raises:
        FileError: this joulebatch does not understand it.
    """
    try:
        return RunConfig.read(header.provenance.config)
    except UsageError as error:
        raise FileError(
            f"Cannot resume {header.report_id}, begun by joulebatch {header.joulebatch}",
            got=str(error),
            fix="Resume it with that version",
        ) from error


def read_so_far(folder: Path) -> SoFar:
    """Return what the journal of a run says that was interrupted or killed.

    Only under the journal's lock does it hold for longer than a moment.

    Raises:
        UsageError: another run completed it meanwhile.
        FileError: no journal, or none that can be read.
    """
    _refuse_complete(folder)
    contents = _Contents()
    for line in read_journal(folder):
        contents.add(line)
    if contents.header is None:
        raise FileError(
            f"Cannot resume {folder.name}",
            expected=f"a {JOURNAL_NAME} that begins with a header",
            got="a run that was ended before it began",
            fix="Start a new run",
        )
    return SoFar(
        header=contents.header,
        models=contents.models,
        measured_s=contents.earlier_s + contents.stretch_s,
        idle=tuple(contents.idle),
        torn_bytes=torn_bytes(folder),
    )


def check_unchanged(so_far: SoFar, header_now: HeaderLine) -> None:
    """Check that models, backends, versions, meters and machine are those that the run was begun with.

    Raises:
        FileError: its stretches could not be compared; the message names what was and what is.
    """
    then, now = dict(_identity(so_far.header)), dict(_identity(header_now))
    was_bytes, is_bytes = (header.environment.memory_bytes for header in (so_far.header, header_now))
    if abs(is_bytes - was_bytes) > _SAME_MEMORY_RATIO * was_bytes:
        then["memory"], now["memory"] = f"{was_bytes} bytes", f"{is_bytes} bytes"
    _refuse_changes(f"Cannot resume {so_far.header.report_id}", then, now)


def _refuse_changes(what: str, then: Mapping[str, str], now: Mapping[str, str]) -> None:
    changed = [subject for subject in {**then, **now} if then.get(subject) != now.get(subject)]
    if changed:
        raise FileError(
            what,
            expected=", ".join(f"{subject} {then.get(subject, 'absent')}" for subject in changed),
            got=", ".join(f"{subject} {now.get(subject, 'absent')}" for subject in changed),
            fix="Go back to what it was begun with, or start a new run",
        )


def _identity(header: HeaderLine) -> Iterator[tuple[str, str]]:
    """Yield, by subject, what must be the same in all stretches of a run."""
    machine = header.environment
    yield "host", machine.host
    yield "kernel", machine.kernel
    yield "CPU", machine.cpu
    yield "cores", f"{machine.cores} ({machine.usable_cores:g} usable)"
    yield "GPUs", "; ".join(map(_describe, machine.gpus)) or "none"
    yield "python", machine.python
    yield from machine.versions.items()
    for model in header.models:
        yield f"model {model.name} {model.variant}", f"sha256 {model.sha256}"
    for backend in header.backends:
        options = ",".join(f"{key}={value}" for key, value in sorted(backend.options.items()))
        by = f" by {backend.interpreter}" if backend.interpreter else ""
        yield f"backend {backend.label}", f"{backend.name}:{options}{by}"
    for meter in header.meters:
        yield f"meter of {meter.domain}", " ".join((meter.status, meter.source, *meter.devices)).strip()
    for number, cell in enumerate(header.cells, start=1):
        yield f"cell {cell.key}", f"as number {number}"


def _describe(gpu: Gpu) -> str:
    limit = "" if gpu.power_limit_w is None else f", {gpu.power_limit_w:g} W"
    return f"{gpu.name} {gpu.uuid} with {gpu.memory_bytes} bytes{limit}, driver {gpu.driver}"


@dataclass(slots=True)
class _Contents:
    """What the lines said, by subject."""

    header: HeaderLine | None = None
    models: dict[tuple[str, str], ModelSoFar] = field(default_factory=dict)
    idle: list[IdleWindow] = field(default_factory=list)
    open: list[Window] = field(default_factory=list)
    """windows since the last line that ended a block"""
    earlier_s: float = 0.0
    """wall time of the stretches before this one"""
    stretch_s: float = 0.0
    began_s: float | None = None
    """when the first window of this stretch did; a boot sets the clock back, but only between stretches"""

    def add(self, line: Line) -> None:
        self._keep_time(line)
        match line:
            case HeaderLine(models=models, cells=cells):
                self.header = line
                self.models = {(model.name, model.variant): ModelSoFar() for model in models}
                for cell in cells:
                    self.models[cell.model, cell.variant].cells[cell.key] = cell
            case SessionLine(entry=session):
                self.models[session.model, session.variant].sessions[session.backend] = session
            case CellLine(entry=cell):
                self.models[cell.model, cell.variant].cells[cell.key] = cell
            case WindowLine(entry=window):
                self._add_window(window)
            case BlockLine():
                self.models[line.model, line.variant].finish_block(line, self.open)
                self.open = []
            case ModelEndLine():
                self.models[line.model, line.variant].done = True
            case IdleLine(entry=idle):
                self.idle.append(idle)
            case ResumeLine():
                self.open = []

    def _add_window(self, window: Window) -> None:
        self.open.append(window)
        model, cell = next(
            (model, model.cells[window.cell]) for model in self.models.values() if window.cell in model.cells
        )
        model.workers[cell.backend] = max(model.workers.get(cell.backend, 0), window.worker + 1)

    def _keep_time(self, line: Line) -> None:
        match line:
            case WindowLine(entry=window) | IdleLine(entry=window):
                self.began_s = window.started_s if self.began_s is None else self.began_s
                self.stretch_s = window.started_s + window.wall_s - self.began_s
            case ResumeLine(entry=resume):
                self.earlier_s, self.stretch_s, self.began_s = resume.measured_s, 0.0, None
            case EndLine(measured_s=measured_s):
                self.stretch_s = measured_s
