"""What a run has learned so far: the only thing that a run which goes on knows of its earlier stretches."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from runner.contender import Contender
from runner.report.lines import (
    BlockLine,
    CellLine,
    HeaderLine,
    IdleLine,
    Line,
    ModelEndLine,
    QueueBlockLine,
    QueueCellLine,
    QueueWindowLine,
    ResumeLine,
    SessionLine,
    WindowLine,
)
from runner.report.schema import Cell, IdleWindow, QueueCell, QueueWindow, SessionEntry, Window
from runner.report.walltime import WallTime

LATE_FLAG = "late"
"""of a window: its last inference ran past the schedule of its pace"""
REPEATED_PART = 4
"""At most one block in four is repeated: a machine that disturbs more of them is to be left in peace, and said so."""


@dataclass(slots=True)
class BlocksSoFar:
    """Finished blocks of one kind, whose windows are paired."""

    blocks: int = 0
    """number of the next block: finished ones count on, repeats included"""
    disturbed: dict[int, str] = field(default_factory=dict)
    """by finished block that was disturbed and not repeated: the first cause"""
    repeated: set[int] = field(default_factory=set)
    """blocks that another one stands in for"""

    @property
    def original_count(self) -> int:
        """How many finished blocks repeat no other."""
        return self.blocks - len(self.repeated)

    @property
    def to_repeat(self) -> list[int]:
        """The disturbed blocks that may still be repeated, the oldest first."""
        left = ceil(self.original_count / REPEATED_PART) - len(self.repeated)
        return sorted(self.disturbed)[: max(0, left)]

    def count_block(self, line: BlockLine | QueueBlockLine, windows: Sequence[Window | QueueWindow]) -> None:
        """Count a block whose line is in the journal."""
        self.blocks = line.block + 1
        if line.repeats is not None:
            self.repeated.add(line.repeats)
            self.disturbed.pop(line.repeats, None)
        if cause := next((window.disturbed for window in windows if window.disturbed), ""):
            self.disturbed[line.block] = cause


@dataclass(slots=True)
class QueueSoFar(BlocksSoFar):
    """What a run has learned of a model's queue; it grows block by block."""

    cells: dict[str, QueueCell] = field(default_factory=dict)
    """by key: the latest of each"""


@dataclass(slots=True)
class ModelSoFar(BlocksSoFar):
    """What a run has learned of a model, in earlier stretches and in this one; it grows block by block."""

    done: bool = False
    cells: dict[str, Cell] = field(default_factory=dict)
    """by key: the latest of each"""
    sessions: dict[Contender, SessionEntry] = field(default_factory=dict)
    means_s: dict[str, dict[int, float]] = field(default_factory=dict)
    """``latency_mean_s`` by cell and finished block"""
    takers: dict[str, dict[int, int]] = field(default_factory=dict)
    """number of the worker by cell and finished block"""
    late: dict[str, int] = field(default_factory=dict)
    """by cell: windows of finished blocks that ran late"""
    workers: dict[Contender, int] = field(default_factory=dict)
    """how many processes took its windows in earlier stretches"""
    queue: QueueSoFar = field(default_factory=QueueSoFar)

    def is_closed(self, planned: Cell) -> bool:
        """Return whether a planned cell failed, was skipped or was overloaded.

        What is called overloaded for its late windows is so at the end of a model, and judged there again.
        """
        latest = self.cells.get(planned.key, planned)
        if latest.status == "overloaded" and planned.key in self.means_s:
            return False
        return (latest.status, latest.reason) != (planned.status, planned.reason)

    def was_visited(self, planned: Cell) -> bool:
        """Return whether a planned cell was taken into the blocks of an earlier stretch: what fitted then stays in."""
        latest = self.cells.get(planned.key)
        return latest is not None and latest.inferences_per_window is not None

    def finish_block(self, line: BlockLine, windows: Sequence[Window]) -> None:
        """Count a block whose line is in the journal, and keep what its windows say."""
        self.count_block(line, windows)
        for window in windows:
            self.means_s.setdefault(window.cell, {})[line.block] = window.latency_mean_s
            self.takers.setdefault(window.cell, {})[line.block] = window.worker
            self.late[window.cell] = self.late.get(window.cell, 0) + (LATE_FLAG in window.flags)


@dataclass(frozen=True, slots=True)
class SoFar:
    """What a run knows when it begins or goes on."""

    header: HeaderLine
    models: Mapping[str, ModelSoFar]
    """by name, in the order of the run"""
    measured_s: float
    """wall time of all earlier stretches"""
    idle: tuple[IdleWindow, ...]
    torn_bytes: int
    """of a last line that is cut off before the next is written"""


def so_far_of(header: HeaderLine, lines: Iterable[Line] = (), torn_bytes: int = 0) -> SoFar:
    """Return what a run knows: that of a new one is what its header says.

    Args:
        header: the first line of its journal.
        lines: those after it.
        torn_bytes: of the last line.
    """
    models = {model.name: ModelSoFar() for model in header.models}
    for cell in header.cells:
        models[cell.model].cells[cell.key] = cell
    for queue_cell in header.queue_cells or ():
        models[queue_cell.model].queue.cells[queue_cell.key] = queue_cell
    contents = _Contents(models)
    for line in lines:
        contents.add(line)
    return SoFar(header, models, contents.time.total_s, tuple(contents.idle), torn_bytes)


@dataclass(slots=True)
class _Contents:
    """What the lines said, by subject."""

    models: Mapping[str, ModelSoFar]
    idle: list[IdleWindow] = field(default_factory=list)
    open: list[Window] = field(default_factory=list)
    """windows since the last line that ended a block"""
    queue_open: list[QueueWindow] = field(default_factory=list)
    """the same of the queue"""
    time: WallTime = field(default_factory=WallTime)

    def add(self, line: Line) -> None:
        self.time.add(line)
        match line:
            case SessionLine(entry=session):
                self.models[session.model].sessions[session.contender] = session
            case CellLine(entry=cell):
                self.models[cell.model].cells[cell.key] = cell
            case WindowLine(entry=window):
                self._add_window(window)
            case BlockLine():
                self.models[line.model].finish_block(line, self.open)
                self.open = []
            case QueueCellLine() | QueueWindowLine() | QueueBlockLine():
                self._add_queue(line)
            case ModelEndLine():
                self.models[line.model].done = True
            case IdleLine(entry=idle):
                self.idle.append(idle)
            case ResumeLine():
                self.open, self.queue_open = [], []

    def _add_window(self, window: Window) -> None:
        self.open.append(window)
        model, cell = next(
            (model, model.cells[window.cell]) for model in self.models.values() if window.cell in model.cells
        )
        model.workers[cell.contender] = max(model.workers.get(cell.contender, 0), window.worker + 1)

    def _add_queue(self, line: QueueCellLine | QueueWindowLine | QueueBlockLine) -> None:
        match line:
            case QueueCellLine(entry=cell):
                self.models[cell.model].queue.cells[cell.key] = cell
            case QueueWindowLine(entry=window):
                self._add_queue_window(window)
            case QueueBlockLine():
                self.models[line.model].queue.count_block(line, self.queue_open)
                self.queue_open = []

    def _add_queue_window(self, window: QueueWindow) -> None:
        self.queue_open.append(window)
        model = next(model for model in self.models.values() if window.cell in model.queue.cells)
        contender = model.queue.cells[window.cell].contender
        model.workers[contender] = max(model.workers.get(contender, 0), window.worker + 1)
