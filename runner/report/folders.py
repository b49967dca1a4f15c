"""Which folders hold a report, and what state it is in: what is known without reading one; a leaf that loads fast."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from runner.errors import FileError

JOURNAL_NAME = "journal.jsonl"
REPORT_NAME = "report.json"

Status = Literal["running", "interrupted", "complete"]


def report_folders(reports_dir: Path) -> Iterator[Path]:
    """Yield the folders that hold a report; others, such as ``reference``, are passed over.

    So are hidden ones: ``reports prune`` takes a report out of sight before it deletes it.
    """
    try:
        names = os.listdir(reports_dir)  # noqa: PTH208 - paths are made of those alone that are reports
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise FileError(f"Cannot read {reports_dir}", got=str(error.strerror)) from error
    for name in names:
        if not name.startswith(".") and is_report(folder := reports_dir / name):
            yield folder


def is_report(folder: Path) -> bool:
    """Return whether a path is a folder with a report or with the journal of one."""
    # Not by pathlib, which takes several times as long: an archive may hold 10,000 of them.
    return os.path.isfile(f"{folder}/{JOURNAL_NAME}") or os.path.isfile(f"{folder}/{REPORT_NAME}")  # noqa: PTH113


def status_of(folder: Path) -> Status:
    """Return the state of a report: only a complete one has ``report.json``."""
    if os.path.exists(f"{folder}/{REPORT_NAME}"):  # noqa: PTH110 - as above
        return "complete"
    return "running" if is_being_written(folder) else "interrupted"


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
