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
from typing import Annotated, Self

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from runner.errors import FileError
from runner.report.disk import sync
from runner.report.folders import JOURNAL_NAME
from runner.report.lines import Line
from runner.report.schema import SCHEMA_VERSION
from runner.report.validation import said
from runner.report.versions import check_version, upgraded_line, version_of

_TAIL_BYTES = 1 << 16
"""read at a time in search of the last newline; a line of 1000 latencies has a third of it"""
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

    Lines of an older version are brought up to date; a run that a newer joulebatch resumed has both.

    Raises:
        FileError: no journal, one of a newer version, or a line before the last that is none of ours.
    """
    path = folder / JOURNAL_NAME
    version = SCHEMA_VERSION
    try:
        with path.open("rb") as stream:
            for number, written in enumerate(stream, start=1):
                if not written.endswith(b"\n"):
                    return
                raw = written
                if number == 1 or version != SCHEMA_VERSION:
                    raw, version = _up_to_date(path, number, written, version)
                yield _parse(path, number, raw)
    except OSError as error:
        raise FileError(f"Cannot read {path}", expected="a journal", got=str(error)) from error


def _up_to_date(path: Path, number: int, raw: bytes, version: int) -> tuple[bytes, int]:
    """Return a line as this version writes it, and the version that it and those behind it have."""
    try:
        data = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise _not_a_line(path, number, str(error)) from error
    version = version_of(data, default=version)
    check_version(f"Cannot read {path}", version)
    if version == SCHEMA_VERSION or not isinstance(data, dict):
        return raw, version
    return to_json(upgraded_line(data, version)), version


def _parse(path: Path, number: int, raw: bytes) -> Line:
    try:
        return _LINE.validate_json(raw)
    except ValidationError as error:
        raise _not_a_line(path, number, said(error)) from error


def _not_a_line(path: Path, number: int, got: str) -> FileError:
    return FileError(
        f"Cannot read {path}",
        expected=f"a journal line of schema version {SCHEMA_VERSION}",
        got=f"line {number}: {got}",
    )
