"""The lines of ``journal.jsonl``, one class per kind."""

from typing import Literal

from runner.report.schema import (
    SCHEMA_VERSION,
    BackendEntry,
    Cell,
    Environment,
    IdleWindow,
    MeterEntry,
    ModelEntry,
    Provenance,
    QueueCell,
    QueueWindow,
    Record,
    Resume,
    SessionEntry,
    Window,
)
from runner.report.schema.record import AboveZero, Count, NotNegative, Positive, Timestamp


class HeaderLine(Record):
    """The first line: what is measured, where and how."""

    kind: Literal["header"] = "header"
    schema_version: Literal[1] = SCHEMA_VERSION
    report_id: str
    name: str | None
    started_at: Timestamp
    joulebatch: str
    provenance: Provenance
    environment: Environment
    meters: tuple[MeterEntry, ...]
    models: tuple[ModelEntry, ...]
    backends: tuple[BackendEntry, ...]
    cells: tuple[Cell, ...]
    """as planned"""
    queue_cells: tuple[QueueCell, ...] | None = None
    """as planned; null where no queue was asked for"""


class SessionLine(Record):
    """A session was opened, or could not be."""

    kind: Literal["session"] = "session"
    entry: SessionEntry


class CellLine(Record):
    """What became of a cell; the last line of a cell counts."""

    kind: Literal["cell"] = "cell"
    entry: Cell


class WindowLine(Record):
    """A window ended."""

    kind: Literal["window"] = "window"
    entry: Window
    latencies_s: tuple[AboveZero, ...]


class BlockLine(Record):
    """Every cell of a model was visited once: the windows since its last block line are paired."""

    kind: Literal["block"] = "block"
    model: str
    variant: str | None = None
    """the only one of the model, in journals that kept variants apart; so are the next two"""
    block: Count
    repeats: int | None = None
    """the disturbed block that this one stands in for"""


class QueueCellLine(Record):
    """What became of a cell of the queue; the last line of a cell counts."""

    kind: Literal["queue_cell"] = "queue_cell"
    entry: QueueCell


class QueueWindowLine(Record):
    """A trace was replayed; all times count from the start of the window."""

    kind: Literal["queue_window"] = "queue_window"
    entry: QueueWindow
    arrivals_s: tuple[NotNegative, ...]
    """of every request, ascending; those beyond the served ones were given up"""
    dispatched_s: tuple[NotNegative, ...]
    """of every batch, as are the next three"""
    ready_s: tuple[NotNegative, ...]
    """when its images were decoded; empty without images"""
    finished_s: tuple[NotNegative, ...]
    counts: tuple[Positive, ...]


class QueueBlockLine(Record):
    """Every queue cell of a model was visited once: its windows since the last such line are paired."""

    kind: Literal["queue_block"] = "queue_block"
    model: str
    variant: str | None = None
    block: Count
    repeats: int | None = None


class ModelEndLine(Record):
    """A model is done: a resumed run passes it over."""

    kind: Literal["model"] = "model"
    model: str
    variant: str | None = None


class IdleLine(Record):
    """The machine was measured at rest."""

    kind: Literal["idle"] = "idle"
    entry: IdleWindow


class ResumeLine(Record):
    """The run goes on: windows of a block that was open before this line stay unpaired for ever."""

    kind: Literal["resume"] = "resume"
    schema_version: Literal[1] = SCHEMA_VERSION
    """of the lines from this one on"""
    entry: Resume


class NoteLine(Record):
    """Something a reader of the report must know."""

    kind: Literal["note"] = "note"
    text: str


class EndLine(Record):
    """The run ended by itself, or was interrupted and could still say so."""

    kind: Literal["end"] = "end"
    status: Literal["interrupted", "complete"]
    ended_at: Timestamp
    measured_s: NotNegative


Line = (
    HeaderLine
    | SessionLine
    | CellLine
    | WindowLine
    | BlockLine
    | QueueCellLine
    | QueueWindowLine
    | QueueBlockLine
    | ModelEndLine
    | IdleLine
    | ResumeLine
    | NoteLine
    | EndLine
)
