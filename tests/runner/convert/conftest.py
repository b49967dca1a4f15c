from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.convert.interface import Request
from runner.render.archived import RENDERINGS
from runner.report import archive
from runner.report.journal import Journal
from runner.report.lines import Line

NOW = datetime(2026, 11, 23, 21, 34, 5, tzinfo=UTC)
Requested = Callable[[Sequence[Line]], Request]


@pytest.fixture
def requested(tmp_path: Path) -> Requested:
    """Return what asks for the conversion of an archived run."""

    def archived(lines: Sequence[Line]) -> Request:
        folder = archive.create(tmp_path / "reports", None, NOW)
        with Journal(folder) as journal:
            for line in lines:
                journal.write(line)
        return Request(folder, archive.finish(folder, RENDERINGS))

    return archived
