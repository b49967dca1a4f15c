"""The rows of ``reports list``: what the head of each report says, without reading the rest.

There is no index: nothing can go stale, and a report that was copied into the folder is there. Instead little is
read, and less is parsed: of a journal the last line, and of its first the machine, the models and the backends; cells
are only counted. Of a complete report the first lines are read as well: a journal's last says nothing of the time
before it was resumed.
"""

import os
import re
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from pydantic_core import from_json  # twice as fast as json here, and a fortieth of pydantic to load

from runner.report.folders import JOURNAL_NAME, REPORT_NAME, Status, report_folders, status_of

_HEAD_BYTES = 1 << 15
"""read at first; the header lines of the reference reports have 4 to 23 kB"""
_TAIL_BYTES = 1 << 9
"""of which the last line, which says how long the run took, has a quarter"""
_PROVENANCE = b'"provenance":{'
_ENVIRONMENT = b'"environment":{"host":'
_CELLS = b'"cells":['
_AFTER_CELLS = b'],"queue_cells":'
_CELL = b'{"key":'
"""how each of them begins. A quote within a text is escaped, so that these can be nothing but fields"""
_END = b'{"kind":"end",'
_REPORT_BYTES = 1 << 9
"""the time it took is in the first 250"""
_MEASURED = re.compile(rb'"measured_s": ?([^,\s]+)')


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of ``reports list``; None and 0 where the folder does not say."""

    report_id: str
    started_at: str | None
    status: Status | Literal["unreadable"]
    models: tuple[str, ...]
    backends: tuple[str, ...]
    """labels"""
    cell_count: int
    name: str | None
    host: str | None = None
    measured_s: float | None = None
    """None until the run has ended; of an interrupted one, since it was resumed last"""
    specs: tuple[str, ...] = ()
    """of the backends, in their order"""


def listing(reports_dir: Path) -> tuple[Listed, ...]:
    """Return a row per report, newest first; reads only the ends of each journal."""
    folders = sorted(report_folders(reports_dir), key=lambda folder: folder.name, reverse=True)
    return tuple(listed(folder) for folder in folders)


def listed(folder: Path) -> Listed:
    """Return the row of one report."""
    try:
        head, cell_count, measured_s = _read(folder)
        datetime.fromisoformat(head["started_at"])
        return Listed(
            folder.name,
            head["started_at"],
            status_of(folder),
            tuple(dict.fromkeys(str(entry["name"]) for entry in head["models"])),
            tuple(str(entry["label"]) for entry in head["backends"]),
            cell_count,
            None if head["name"] is None else str(head["name"]),
            str(head["environment"]["host"]),
            measured_s if measured_s is not None and isfinite(measured_s) else None,
            tuple(str(entry["spec"]) for entry in head["backends"]),
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return Listed(folder.name, None, "unreadable", (), (), 0, None)


def _read(folder: Path) -> tuple[dict[str, Any], int, float | None]:
    """Return the fields that a journal's first line and a report share, how many cells, and the time it took."""
    try:
        descriptor = os.open(f"{folder}/{JOURNAL_NAME}", os.O_RDONLY | os.O_NONBLOCK)  # a pipe must not block
    except FileNotFoundError:
        report = from_json((folder / REPORT_NAME).read_bytes())
        return report, len(report["cells"]), float(report["measured_s"])
    try:
        size = os.fstat(descriptor).st_size
        head, end = _first_line(descriptor, size)
        tail = os.pread(descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
    finally:
        os.close(descriptor)
    return *_parsed(head, end), _whole_s(folder) or _measured_s(tail)


def _whole_s(folder: Path) -> float | None:
    """Return how long a complete run took, over all its stretches."""
    try:
        descriptor = os.open(f"{folder}/{REPORT_NAME}", os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        found = _MEASURED.search(os.pread(descriptor, _REPORT_BYTES, 0))
    finally:
        os.close(descriptor)
    return float(found[1]) if found else None


def _first_line(descriptor: int, size: int) -> tuple[bytes, int]:
    """Return the begin of a file, and where its first line ends in that: lines are long, and copies take time."""
    length = _HEAD_BYTES
    while True:
        head = os.pread(descriptor, length, 0)
        end = head.find(b"\n")
        if end >= 0 or length >= size:
            return head, end if end >= 0 else len(head)
        length *= 4


def _parsed(head: bytes, end: int) -> tuple[dict[str, Any], int]:
    """Return a header line without its cells and how it was asked for, and how many cells there are."""
    cells = head.find(_CELLS, 0, end)
    begin, rest = head.find(_PROVENANCE, 0, cells), head.find(_ENVIRONMENT, 0, cells)
    if 0 < begin < rest < cells:
        last = head.find(_AFTER_CELLS, cells, end)
        count = head.count(_CELL, cells, last if last >= 0 else end)
        try:
            if count:
                return from_json(b"".join((head[:begin], head[rest:cells], b'"cells":null}'))), count
        except ValueError:
            pass
    header = from_json(head[:end])  # written in another order, or without a cell
    return header, len(header["cells"])


def _measured_s(tail: bytes) -> float | None:
    """Return how long the run took, as the last line says when it has ended by itself or could still say so."""
    last = tail.rstrip(b"\n").rpartition(b"\n")[2]
    if not last.startswith(_END) or not tail.endswith(b"\n"):
        return None
    return float(from_json(last)["measured_s"])
