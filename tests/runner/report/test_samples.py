from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from runner.errors import FileError
from runner.report.assemble import assemble
from runner.report.folders import JOURNAL_NAME
from runner.report.lines import Line, WindowLine
from runner.report.samples import read_samples, write_samples
from tests.fakes import make_journal

COLUMNS = [
    ("cell", "VARCHAR"),
    ("block", "INTEGER"),
    ("window", "INTEGER"),
    ("inference", "INTEGER"),
    ("latency_s", "DOUBLE"),
    ("paired", "BOOLEAN"),
]


def write_journal(folder: Path, lines: Sequence[Line]) -> None:
    text = "".join(line.model_dump_json() + "\n" for line in lines)
    (folder / JOURNAL_NAME).write_text(text, encoding="utf-8")


def write(folder: Path, lines: Sequence[Line]) -> Path:
    """Write a journal and its samples."""
    write_journal(folder, lines)
    return write_samples(folder, [window.paired for window in assemble(lines).windows])


def read_rows(path: Path) -> list[Any]:
    with duckdb.connect() as connection:
        return connection.sql("SELECT * FROM read_parquet($path)", params={"path": str(path)}).fetchall()


def read_columns(path: Path) -> list[tuple[str, str]]:
    with duckdb.connect() as connection:
        relation = connection.sql("SELECT * FROM read_parquet($path)", params={"path": str(path)})
        return [(name, str(kind)) for name, kind in zip(relation.columns, relation.types, strict=True)]


def expected_rows(lines: Sequence[Line]) -> list[Any]:
    """Returns what the file must hold, from the assembled report's windows and the journal's latencies."""
    latencies = [line.latencies_s for line in lines if isinstance(line, WindowLine)]
    return [
        (window.cell, window.block, index, inference, latency_s, window.paired)
        for index, window in enumerate(assemble(lines).windows)
        for inference, latency_s in enumerate(latencies[index])
    ]


def test_every_inference_is_a_row_in_full_precision_and_order(tmp_path: Path) -> None:
    lines = make_journal(models=("alexnet", "vit_b_16"), blocks=3)
    path = write(tmp_path, lines)
    assert read_columns(path) == COLUMNS
    assert read_rows(path) == expected_rows(lines)
    assert len(read_rows(path)) == 2 * 4 * 3 * 12


def test_pairing_is_that_of_the_report_window_by_window(tmp_path: Path) -> None:
    lines = make_journal(("alexnet", "vit_b_16"), blocks=4, disturbed={2: "throttled"}, killed_in=1)
    rows = read_rows(write(tmp_path, lines))
    assert rows == expected_rows(lines)
    # A block that was killed and run again has rows of both kinds under one number.
    kinds = {(block, paired) for cell, block, *_, paired in rows if cell.startswith("alexnet")}
    assert kinds == {(0, True), (1, False), (1, True), (2, False), (3, True), (4, True)}


def test_what_is_read_is_what_the_journal_says(tmp_path: Path) -> None:
    lines = make_journal(blocks=3, disturbed={0: "throttled"}, killed_in=2)
    write(tmp_path, lines)
    windows, journaled = assemble(lines).windows, [line for line in lines if isinstance(line, WindowLine)]
    read = read_samples(tmp_path)
    assert [(each.cell, each.block, each.window, each.paired) for each in read] == [
        (window.cell, window.block, place, window.paired) for place, window in enumerate(windows)
    ]
    assert [each.latencies_s for each in read] == [array("d", line.latencies_s) for line in journaled]


@pytest.mark.parametrize("content", [None, b"", b"PAR1 cut"])
def test_samples_that_are_none_are_a_file_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "samples.parquet").write_bytes(content)
    with pytest.raises(FileError, match=r"Cannot read .*samples\.parquet: expected samples of a report"):
        read_samples(tmp_path)


def test_a_run_without_windows_gives_the_columns_and_no_row(tmp_path: Path) -> None:
    path = write(tmp_path, make_journal(blocks=0))
    assert read_columns(path) == COLUMNS
    assert read_rows(path) == []
    assert read_samples(tmp_path) == ()


def test_a_line_beyond_the_limit_of_the_reader_is_read(tmp_path: Path) -> None:
    first, *_ = (line for line in make_journal(blocks=1) if isinstance(line, WindowLine))
    long = first.model_copy(update={"latencies_s": (0.123456789012345678,) * 900_000})
    assert len(long.model_dump_json()) > 16 * 1024 * 1024
    assert len(read_rows(write(tmp_path, [make_journal(blocks=0)[0], long]))) == 900_000


def test_writing_again_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, make_journal(blocks=1))
    assert len(read_rows(write(tmp_path, make_journal(blocks=2)))) == 4 * 2 * 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.jsonl", "samples.parquet"]


def test_a_damaged_line_is_an_error_and_no_missing_row(tmp_path: Path) -> None:
    write_journal(tmp_path, make_journal(blocks=1))
    with (tmp_path / JOURNAL_NAME).open("a") as stream:
        stream.write('{"kind":"window","entry":{"cell":"vi')
    with pytest.raises(FileError, match=r"Cannot write .*samples\.parquet"):
        write_samples(tmp_path, [])


def test_the_rows_are_on_the_disk_before_they_get_their_name(
    tmp_path: Path, synced: Callable[[Path], bool]
) -> None:
    assert synced(write(tmp_path, make_journal(blocks=1)))


def test_a_failure_keeps_the_old_file_and_leaves_no_part(tmp_path: Path) -> None:
    (tmp_path / "samples.parquet").write_bytes(b"old")
    with pytest.raises(FileError, match=r"Cannot write .*samples\.parquet"):
        write_samples(tmp_path, [])
    assert [path.name for path in tmp_path.iterdir()] == ["samples.parquet"]
    assert (tmp_path / "samples.parquet").read_bytes() == b"old"


def test_a_folder_with_quotes_and_wildcards_in_its_name_is_read_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "it's [a] *report*"
    other = tmp_path / "it's a good report"
    folder.mkdir()
    other.mkdir()
    write(other, make_journal(blocks=3))
    write(folder, make_journal(blocks=1))
    assert [len(each.latencies_s) for each in read_samples(folder)] == [12] * 4
