"""``journal.jsonl``: everything a run learns, a line each, synced before the run goes on.

The journal is the only thing a run writes while it measures. The report is assembled from it, whether the run
ended by itself or was killed.
"""

import fcntl
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError

from runner.errors import FileError
from runner.report.disk import sync
from runner.report.queue_schema import QueueCell, QueueWindow
from runner.report.record import Record
from runner.report.schema import (
    BackendEntry,
    Cell,
    Environment,
    IdleWindow,
    MeterEntry,
    ModelEntry,
    Provenance,
    Resume,
    SessionEntry,
    Window,
)

JOURNAL_NAME = "journal.jsonl"

_TAIL_BYTES = 1 << 16
"""read at a time in search of the last newline; a line of 1000 latencies has a third of it"""


class HeaderLine(Record):
    """The first line: what is measured, where and how."""

    kind: Literal["header"] = "header"
    schema_version: Literal[0] = 0
    report_id: str
    name: str | None
    started_at: str
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
    latencies_s: tuple[float, ...]


class BlockLine(Record):
    """Every cell of a model was visited once: the windows since its last block line are paired."""

    kind: Literal["block"] = "block"
    model: str
    variant: str
    block: int
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
    arrivals_s: tuple[float, ...]
    """of every request, ascending; those beyond the served ones were given up"""
    dispatched_s: tuple[float, ...]
    """of every batch, as are the next three"""
    ready_s: tuple[float, ...]
    """when its images were decoded; empty without images"""
    finished_s: tuple[float, ...]
    counts: tuple[int, ...]


class QueueBlockLine(Record):
    """Every queue cell of a model was visited once: its windows since the last such line are paired."""

    kind: Literal["queue_block"] = "queue_block"
    model: str
    variant: str
    block: int
    repeats: int | None = None


class ModelEndLine(Record):
    """A model is done: a resumed run passes it over."""

    kind: Literal["model"] = "model"
    model: str
    variant: str


class IdleLine(Record):
    """The machine was measured at rest."""

    kind: Literal["idle"] = "idle"
    entry: IdleWindow


class ResumeLine(Record):
    """The run goes on: windows of a block that was open before this line stay unpaired for ever."""

    kind: Literal["resume"] = "resume"
    entry: Resume


class NoteLine(Record):
    """Something a reader of the report must know."""

    kind: Literal["note"] = "note"
    text: str


class EndLine(Record):
    """The run ended by itself, or was interrupted and could still say so."""

    kind: Literal["end"] = "end"
    status: Literal["interrupted", "complete"]
    ended_at: str
    measured_s: float


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
_LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])


class Journal:
    """Appends lines to a journal, each on disk before ``write`` returns.

    The file is locked while it is open. The kernel ends the lock with the process, so a locked journal
    belongs to a run that is alive, and two runs never write one folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL_NAME
        try:
            self._file = self._path.open("a+b", buffering=0)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for holder in (folder, folder.absolute().parent):  # or a power cut may forget the names
                sync(holder)
            self._end = _whole_bytes(self._file)
        except BlockingIOError:
            self._file.close()
            raise FileError(f"Cannot write {self._path}", got="another run that is writing it") from None
        except OSError as error:
            raise FileError(
                f"Cannot write {self._path}", got=str(error), fix="Pass another --reports-dir"
            ) from error

    def write(self, line: Line) -> None:
        """Append one line and wait until the disk has it; a torn line before it is cut off.

        Raises:
            FileError: the disk is full or went away; lines written before stay.
        """
        data = memoryview(line.model_dump_json().encode() + b"\n")
        try:
            if os.fstat(self._file.fileno()).st_size > self._end:
                self._file.truncate(self._end)
            written = 0
            while written < len(data):
                written += os.write(self._file.fileno(), data[written:])
            os.fsync(self._file.fileno())
        except OSError as error:
            raise FileError(
                f"Cannot write {self._path}",
                got=str(error),
                fix="What was measured before is kept there; free some space",
            ) from error
        self._end += written

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def is_being_written(folder: Path) -> bool:
    """Return whether a run that is alive holds the journal of this folder."""
    try:
        with (folder / JOURNAL_NAME).open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no journal, or a file system without locks: nobody can be seen writing
        return False
    return False


def torn_bytes(folder: Path) -> int:
    """Return the length of a torn last line, as a killed run leaves one; 0 where the last line is whole.

    Raises:
        FileError: no journal.
    """
    path = folder / JOURNAL_NAME
    try:
        with path.open("rb", buffering=0) as stream:
            return os.fstat(stream.fileno()).st_size - _whole_bytes(stream)
    except OSError as error:
        raise FileError(f"Cannot read {path}", expected="a journal", got=str(error)) from error


def _whole_bytes(stream: FileIO) -> int:
    """Return where the last whole line ends."""
    end = stream.seek(0, os.SEEK_END)
    while end:
        begin = max(0, end - _TAIL_BYTES)
        stream.seek(begin)
        newline = stream.read(end - begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0


def read_journal(folder: Path) -> Iterator[Line]:
    """Yield the lines of a journal; a torn last line is dropped, as a killed run leaves one.

    Raises:
        FileError: no journal, or a line before the last that is none of ours.
    """
    path = folder / JOURNAL_NAME
    try:
        with path.open("rb") as stream:
            for number, raw in enumerate(stream, start=1):
                if not raw.endswith(b"\n"):
                    return
                yield _parse(path, number, raw)
    except OSError as error:
        raise FileError(f"Cannot read {path}", expected="a journal", got=str(error)) from error


def _parse(path: Path, number: int, raw: bytes) -> Line:
    try:
        return _LINE.validate_json(raw)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        raise FileError(
            f"Cannot read {path}",
            expected="a journal line of schema version 0",
            got=f"line {number}: {detail['msg']}",
        ) from error
