"""Files as no run writes them give a report that every renderer can show, or one line that says why not.

``python -m benchmarks.fuzz`` tries a hundred thousand of them; these are the same cases, drawn by Hypothesis.
"""

import warnings
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz import Reader, write_small
from runner.errors import FileError
from runner.report import archive
from runner.report.folders import JOURNAL_NAME, REPORT_NAME
from runner.report.listing import listing
from tests.hostile import FOREIGN

QUIET = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
WHILE_READING = settings(max_examples=300, suppress_health_check=QUIET)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    home = tmp_path_factory.mktemp("fuzz")
    write_small(home / "whole")
    return Reader(home / "whole", home / "reports" / "2026-11-23T21-34-05-k3f9")


@pytest.fixture(autouse=True)
def _figures_of_nonsense() -> None:
    # Figures of what was edited may overflow on their way to an error or a number; that is no fault of the reader.
    warnings.simplefilter("ignore", RuntimeWarning)


@WHILE_READING
@given(rng=st.randoms(use_true_random=False))
def test_whatever_was_done_to_a_file_there_is_a_report_or_a_typed_error(reader: Reader, rng: Random) -> None:
    assert reader.read(rng).partition(":")[0] in {"report", "journal"}


def test_some_of_what_was_changed_can_still_be_shown_and_verified(reader: Reader) -> None:
    outcomes = {reader.read(Random(seed)) for seed in range(400)}
    assert {"report: FileError", "report: shown", "journal: FileError", "journal: shown"} <= outcomes
    assert "report: shown, differs" in outcomes


@pytest.mark.parametrize("name", [REPORT_NAME, JOURNAL_NAME])
@pytest.mark.parametrize("data", FOREIGN, ids=range(len(FOREIGN)))
def test_a_foreign_file_is_one_line_and_unreadable(tmp_path: Path, name: str, data: bytes) -> None:
    folder = tmp_path / "2026-11-23T21-34-05-k3f9"
    folder.mkdir()
    (folder / name).write_bytes(data)
    with pytest.raises(FileError) as caught:
        archive.load(folder)
    assert "\n" not in str(caught.value)
    assert [row.status for row in listing(tmp_path)] == ["unreadable"]


def test_a_report_cut_anywhere_is_one_line(reader: Reader, tmp_path: Path) -> None:
    write_small(tmp_path / "whole")
    path = tmp_path / "whole" / REPORT_NAME
    data = path.read_bytes()
    for length in {
        *range(0, len(data) - 2, 211),
        *range(len(data) - 40, len(data) - 2),
    }:  # its last line is "}\n"
        path.write_bytes(data[:length])
        with pytest.raises(FileError, match=r"expected JSON, got .* Move it away to rebuild the report"):
            archive.load(tmp_path / "whole")
    path.unlink()  # as the error advises
    assert archive.load(tmp_path / "whole").windows
