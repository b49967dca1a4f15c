import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from runner.errors import FileError, JoulebatchError, UsageError
from runner.render.archived import RENDERINGS
from runner.report import archive
from runner.report.folders import JOURNAL_NAME, is_being_written
from runner.report.journal import Journal
from runner.report.lines import Line
from runner.report.listing import Listed, listing
from tests.fakes import make_journal

NOW = datetime(2026, 11, 23, 21, 34, 5, tzinfo=UTC)


def write(folder: Path, lines: tuple[Line, ...]) -> Path:
    with Journal(folder) as journal:
        for line in lines:
            journal.write(line)
    return folder


@pytest.fixture
def complete(tmp_path: Path) -> Path:
    folder = write(archive.create(tmp_path / "reports", "Quick look", NOW), make_journal())
    archive.finish(folder, RENDERINGS)
    return folder


def test_an_id_is_safe_unique_and_sorts_by_time_in_any_zone(tmp_path: Path) -> None:
    east = timezone(timedelta(hours=9))
    first = archive.create(tmp_path, "Quick: ../Look!", NOW)
    later = archive.create(tmp_path, None, (NOW + timedelta(minutes=1)).astimezone(east))
    twin = archive.create(tmp_path, "Quick: ../Look!", NOW)
    assert re.fullmatch(r"2026-11-23T21-34-05-quick-look-[a-z0-9]{4}", first.name)
    assert re.fullmatch(r"2026-11-23T21-35-05-[a-z0-9]{4}", later.name)
    assert first != twin
    assert max(first.name, later.name, twin.name) == later.name
    assert all(folder.parent == tmp_path for folder in (first, later, twin))


@pytest.mark.parametrize("unwritable", ["/proc/reports", "/dev/null", "/dev/null/reports"])
def test_an_unwritable_folder_is_a_file_error(unwritable: str) -> None:
    with pytest.raises(FileError, match=r"Cannot create a report in .* Pass another --reports-dir"):
        archive.create(Path(unwritable), None, NOW)


def test_a_finished_report_loads_as_it_was_written(tmp_path: Path) -> None:
    folder = write(archive.create(tmp_path, None, NOW), make_journal(energy="measured", pace_hz=2))
    report = archive.finish(folder, RENDERINGS)
    assert archive.load(folder) == report
    names = {JOURNAL_NAME, "report.json", "report.html", "report.md", "samples.parquet", "SHA256SUMS"}
    assert {path.name for path in folder.iterdir()} == names


def test_coreutils_verifies_the_checksums(complete: Path) -> None:
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    done = subprocess.run(check, cwd=complete, capture_output=True, text=True, check=True)
    assert done.stdout.count(": OK") == 5
    (complete / "report.md").write_text("changed")
    assert subprocess.run(check, cwd=complete, capture_output=True, check=False).returncode == 1


def test_a_complete_report_never_changes(complete: Path) -> None:
    before = {path: path.read_bytes() for path in complete.iterdir()}
    with pytest.raises(FileError, match="expected a report that is not complete"):
        archive.finish(complete, RENDERINGS)
    assert {path: path.read_bytes() for path in complete.iterdir()} == before


def test_a_report_that_cannot_be_finished_is_not_complete(tmp_path: Path) -> None:
    folder = write(archive.create(tmp_path, None, NOW), make_journal())
    (folder / "SHA256SUMS").mkdir()
    with pytest.raises(FileError, match="Cannot finish the report"):
        archive.finish(folder, RENDERINGS)
    assert not (folder / "report.json").exists()
    assert (archive.load(folder).status, listing(tmp_path)[0].status) == ("interrupted", "interrupted")
    (folder / "SHA256SUMS").rmdir()
    assert archive.finish(folder, RENDERINGS).status == "complete"
    assert listing(tmp_path)[0].status == "complete"


def test_a_run_is_running_while_its_process_lives_and_interrupted_after(tmp_path: Path) -> None:
    folder = write(archive.create(tmp_path, None, NOW), make_journal(ending=None))
    code = (
        "import sys, time; from pathlib import Path; from runner.report.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1])); print('open', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"open\n"
        assert is_being_written(folder)
        assert archive.load(folder).status == "running"
        assert listing(tmp_path)[0].status == "running"
        with pytest.raises(FileError, match="another run that is writing it"):
            Journal(folder)
        writer.send_signal(signal.SIGKILL)
    assert archive.load(folder).status == "interrupted"
    assert listing(tmp_path)[0].status == "interrupted"


def test_an_interrupted_report_keeps_its_finished_windows(tmp_path: Path) -> None:
    folder = write(archive.create(tmp_path, None, NOW), make_journal(ending=None))
    with (folder / JOURNAL_NAME).open("ab") as stream:
        stream.write(b'{"kind":"window","entry":{"ce')  # a line that was being written when the power went
    windows = [line for line in make_journal() if line.kind == "window"]
    assert len(archive.load(folder).windows) == len(windows)


def change(**fields: Any) -> Callable[[bytes], bytes]:
    return lambda data: json.dumps(json.loads(data) | fields).encode()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (change(schema_version=7), r"expected schema version 1 or older, got 7\. Upgrade joulebatch\."),
        (change(schema_version=-1), r"expected schema version 1 or older, got -1\."),
        (change(schema_version="1"), "expected a report, got schema_version: Input should be 1"),
        (change(measured_s="soon"), "expected a report, got measured_s: Input should be a valid number"),
        (lambda data: data.replace(b"300.0", b"NaN", 1), "expected JSON, got"),
        (lambda data: data.replace(b"300.0", b"1e999", 1), "finite number"),
        (lambda data: b"\xef\xbb\xbf" + data, "expected JSON, got"),
        (lambda data: b"[" * 100_000, "expected JSON, got recursion limit"),
        (lambda data: b'{"schema_version": ' + b"9" * 4000 + b"}", r"got 999999999999\. Upgrade"),
        (lambda data: b"\xff" + data, "expected JSON, got"),
        (lambda data: data.replace(b'"bench"', b'"\\ud800"', 1), "expected JSON, got"),
        (lambda data: b"null", "expected a report"),
        (lambda data: data[: len(data) // 2], "expected JSON, got"),
        (lambda data: b"\xff\xfe" + data, "expected JSON, got"),
        (lambda data: b"[1, 2]", "expected a report"),
        (lambda data: b'{"hello": "world"}', "expected a report"),
        (lambda data: b"", "expected JSON"),
    ],
)
def test_a_report_that_is_none_of_ours_is_one_line(
    complete: Path, damage: Callable[[bytes], bytes], said: str
) -> None:
    path = complete / "report.json"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FileError, match=said) as caught:
        archive.load(complete)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_empty_journal_is_a_file_error(tmp_path: Path) -> None:
    folder = archive.create(tmp_path, None, NOW)
    (folder / JOURNAL_NAME).touch()
    with pytest.raises(FileError):
        archive.load(folder)


@pytest.fixture
def three(tmp_path: Path) -> tuple[Path, Path, Path]:
    made = [
        archive.create(tmp_path, name, NOW + timedelta(days=day)) for day, name in enumerate(("a", "b", "c"))
    ]
    for folder in made:
        write(folder, make_journal())
    (tmp_path / "reference").mkdir()
    (tmp_path / "zz.txt").touch()
    return made[0], made[1], made[2]


def test_a_report_is_found_by_latest_id_prefix_and_path(three: tuple[Path, Path, Path]) -> None:
    reports_dir = three[0].parent
    assert archive.resolve(reports_dir, "latest") == three[2]
    assert archive.resolve(reports_dir, three[1].name) == three[1]
    assert archive.resolve(reports_dir, "2026-11-24") == three[1]
    assert archive.resolve(Path("elsewhere"), str(three[0])) == three[0]


def test_a_report_is_found_by_the_path_of_its_file(complete: Path) -> None:
    assert archive.resolve(Path("elsewhere"), str(complete / "report.json")) == complete


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026", "expected one report, got 2026-11-23"),
        ("2031", "Cannot find report '2031'"),
        ("", "Cannot find"),
        ("x" * 300, "Cannot find"),
        ("x/" * 3000, "Cannot find"),
    ],
)
def test_an_unknown_or_ambiguous_id_is_a_usage_error(
    three: tuple[Path, Path, Path], text: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        archive.resolve(three[0].parent, text)


@pytest.mark.parametrize("folder", ["", "missing", "file"])
def test_an_archive_without_reports_says_how_to_make_one(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        JoulebatchError, match=r"got none\. Pass another --reports-dir, or run: joulebatch run"
    ) as caught:
        archive.resolve(tmp_path / folder, "latest")
    assert caught.value.exit_code == 4
    assert listing(tmp_path / folder) == ()


def test_the_listing_is_newest_first_and_survives_damage(three: tuple[Path, Path, Path]) -> None:
    archive.finish(three[0], RENDERINGS)
    (three[1] / JOURNAL_NAME).write_bytes(b"{")
    rows = listing(three[0].parent)
    assert [row.report_id for row in rows] == [folder.name for folder in reversed(three)]
    assert [row.status for row in rows] == ["interrupted", "unreadable", "complete"]
    cells = len({line.entry.key for line in make_journal() if line.kind == "cell"})
    assert rows[2] == Listed(
        report_id=three[0].name,
        started_at="2026-11-23T21:34:05+00:00",
        status="complete",
        models=("alexnet",),
        backends=("cpu", "torch"),
        cell_count=cells,
        name=None,
        host="bench",
        measured_s=300.0,
        specs=("cpu", "torch"),
    )


def test_a_report_without_its_journal_is_still_listed(complete: Path) -> None:
    before = listing(complete.parent)
    (complete / JOURNAL_NAME).unlink()
    assert listing(complete.parent) == before
