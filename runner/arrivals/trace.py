"""``trace:FILE[:COLUMN]``: times that were recorded somewhere, replayed as they are."""

import csv
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from runner.arrivals.interface import ArrivalsKind, Rates
from runner.errors import FileError, UsageError, nearest

Cells = Iterable[tuple[int, str]]
"""line numbers from 1 on, and what is written there"""
_SHOWN = 40
"""characters of a line that is no number; half a terminal's width"""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Arrivals at the times of a file; its rate is what they make it, so that no request rate is taken."""

    takes_rate: ClassVar[bool] = False

    spec: str
    recorded_s: NDArray[np.float64] = field(repr=False)
    """ascending from 0 on"""

    @property
    def available(self) -> int:
        """How many arrivals the file holds."""
        return self.recorded_s.size

    @property
    def sha256(self) -> str:
        """SHA-256 of the times, however the file spells them."""
        return hashlib.sha256(self.recorded_s.tobytes()).hexdigest()

    def times_s(self, rate_hz: Rates, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return the first arrival times in seconds."""
        del rng
        self._refuse(rate_hz)
        if count > self.available:
            raise UsageError(
                f"Cannot replay {self.spec}",
                expected=f"at least {count} arrivals",
                got=str(self.available),
                fix=f"Pass --requests {self.available} or a longer trace",
            )
        return self.recorded_s[:count].copy()

    def chunks(
        self, rate_hz: Rates, rows: int, size: int, rng: np.random.Generator
    ) -> Iterator[NDArray[np.float64]]:
        """Return arrival times in seconds, the same in all rows, until the file ends."""
        del rng
        self._refuse(rate_hz)
        starts = range(0, self.available, size)
        return (np.tile(self.recorded_s[start : start + size], (rows, 1)) for start in starts)

    def _refuse(self, rate_hz: Rates) -> None:
        if rate_hz is not None:
            raise UsageError(
                f"Cannot replay {self.spec}",
                expected="no request rate, because the file says when requests arrive",
                got=f"{np.ravel(rate_hz)[0]:g}",
                fix="Leave out --request-rate",
            )


def read_trace(argument: str) -> Trace:
    """Return the arrivals of ``FILE``, a time in seconds per line, or of ``FILE:COLUMN``, a column of a CSV.

    What follows the last colon is a column, unless the whole names a file. Empty lines are passed over.

    Raises:
        FileError: the file cannot be read, or is no text.
        UsageError: no such column, no times, or times that are no numbers, negative or not ascending.
    """
    path, column = Path(argument), ""
    try:
        if ":" in argument and not path.is_file():
            name, _, column = argument.rpartition(":")
            path = Path(name)
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        got = error.strerror if isinstance(error, OSError) else "something else"
        raise FileError(
            f"Cannot read {path}",
            expected="a text file of arrival times",
            got=str(got),
            fix="Correct --arrivals",
        ) from error
    cells = _column(path, text, column) if column else _lines(text)
    times_s = np.fromiter(_ascending(path, cells), dtype=np.float64)
    if not times_s.size:
        raise UsageError(f"Cannot replay {path}", expected="at least one arrival time", got="none")
    return Trace(f"trace:{argument}", times_s)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())


def _column(path: Path, text: str, column: str) -> Iterator[tuple[int, str]]:
    rows = csv.reader(StringIO(text, newline=""))
    try:
        names = tuple(name.strip() for name in next(rows, []))
        if column not in names:
            raise UsageError(f"Cannot find column {column!r} in {path}", fix=nearest(column, names))
        place = names.index(column)
        for row in rows:
            if row:
                yield rows.line_num, row[place] if place < len(row) else ""
    except csv.Error as error:
        raise UsageError(
            f"Cannot read line {rows.line_num} of {path}", expected="CSV", got=str(error)
        ) from error


def _ascending(path: Path, cells: Cells) -> Iterator[float]:
    previous_s = 0.0
    for line, cell in cells:
        time_s = _number(cell)
        if not isfinite(time_s):
            raise UsageError(
                f"Cannot read line {line} of {path}",
                expected="an arrival time in seconds",
                got=repr(cell[:_SHOWN]),
                fix="Write a number per line, or name the column of a CSV: trace:FILE:COLUMN",
            )
        if time_s < previous_s:
            raise UsageError(
                f"Cannot replay line {line} of {path}",
                expected="no negative times"
                if time_s < 0
                else f"times that ascend, so {previous_s!r} or later",
                got=repr(time_s),
                fix="Shift the times to begin at 0" if time_s < 0 else "Sort the file by time",
            )
        previous_s = time_s
        yield time_s


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


KIND = ArrivalsKind(
    name="trace",
    form="trace:FILE[:COLUMN]",
    summary="recorded times in seconds as they are, one per line or a column of a CSV; takes no request rate",
    make=read_trace,
    argument=r":.+",
)
