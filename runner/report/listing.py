"""The rows of ``reports list``: what the head of each report says, without reading the rest."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from runner.report.archive import REPORT_NAME, report_folders
from runner.report.journal import JOURNAL_NAME, is_being_written


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of ``reports list``; None and 0 where the folder does not say."""

    report_id: str
    started_at: str | None
    status: str
    """running, interrupted, complete or unreadable"""
    models: tuple[str, ...]
    backends: tuple[str, ...]
    cell_count: int
    name: str | None


def listing(reports_dir: Path) -> tuple[Listed, ...]:
    """Return a row per report, newest first; reads only the first line of each journal."""
    return tuple(_listed(folder) for folder in sorted(report_folders(reports_dir), reverse=True))


def _listed(folder: Path) -> Listed:
    try:
        head = _head(folder)
        models = tuple(dict.fromkeys(str(entry["name"]) for entry in head["models"]))
        backends = tuple(str(entry["label"]) for entry in head["backends"])
        cell_count, started_at, name = len(head["cells"]), str(head["started_at"]), head["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return Listed(folder.name, None, "unreadable", (), (), 0, None)
    return Listed(folder.name, started_at, _status(folder), models, backends, cell_count, name)


def _status(folder: Path) -> str:
    if (folder / REPORT_NAME).exists():
        return "complete"
    return "running" if is_being_written(folder) else "interrupted"


def _head(folder: Path) -> dict[str, Any]:
    """Return the fields that a journal's first line and a report share."""
    journal = folder / JOURNAL_NAME
    if not journal.exists():
        head = from_json((folder / REPORT_NAME).read_bytes())
    else:
        with journal.open("rb") as stream:
            head = from_json(stream.readline())
    if not isinstance(head, dict):
        raise TypeError(folder)
    return head
