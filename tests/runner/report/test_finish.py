"""A report is archived whole or not at all, whoever else writes and whatever the disk does."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.errors import FileError
from runner.render.archived import RENDERINGS
from runner.report import archive
from runner.report.folders import JOURNAL_NAME, report_folders
from runner.report.journal import Journal
from runner.report.listing import listing
from runner.report.schema import Report
from runner.report.verify import verify
from tests.disks import small_disk
from tests.fakes import make_journal
from tests.processes import environment

NOW = datetime(2026, 11, 23, 21, 34, 5, tzinfo=UTC)
FINISH = (
    "import sys; from pathlib import Path; from runner.errors import JoulebatchError\n"
    "from runner.render.archived import RENDERINGS; from runner.report.archive import finish\n"
    "print('ready', flush=True); sys.stdin.readline()\n"
    "try: finish(Path(sys.argv[1]), RENDERINGS)\n"
    "except JoulebatchError as error: sys.exit(str(error))\n"
)
ARCHIVE = (
    "import sys; from datetime import UTC, datetime; from pathlib import Path\n"
    "from runner.render.archived import RENDERINGS; from runner.report import archive\n"
    "from runner.report.journal import Journal; from tests.fakes import make_journal\n"
    "print('ready', flush=True); sys.stdin.readline()\n"
    "for _ in range(10):\n"
    "    folder = archive.create(Path(sys.argv[1]), None, datetime(2026, 11, 23, tzinfo=UTC))\n"
    "    with Journal(folder) as journal: [journal.write(line) for line in make_journal(blocks=1)]\n"
    "    archive.finish(folder, RENDERINGS)\n"
)
AS_A_USER = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--") if os.geteuid() == 0 else ()
"""root, too, is to be refused what the permissions forbid"""


def write_run(reports_dir: Path, *, blocks: int = 5) -> Path:
    folder = archive.create(reports_dir, None, NOW)
    with Journal(folder) as journal:
        for line in make_journal(blocks=blocks):
            journal.write(line)
    return folder


def at_once(code: str, argument: Path, count: int) -> list[tuple[int, str]]:
    """Run a program several times at the same moment; return their exit codes and errors."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, argument],
            env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(count)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=120)[1] for process in processes]
    return [(process.returncode, error) for process, error in zip(processes, errors, strict=True)]


def assert_whole(folder: Path) -> None:
    assert [each for check in verify(folder, RENDERINGS) for each in check.differences] == []
    names = {JOURNAL_NAME, "report.json", "samples.parquet", "SHA256SUMS", *RENDERINGS}
    assert {path.name for path in folder.iterdir()} == names


def test_of_processes_that_finish_one_report_one_does_and_the_others_say_so(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    ended = at_once(FINISH, folder, 3)
    assert sorted(code for code, _ in ended) == [0, 1, 1]
    for code, error in ended:
        assert ("expected a report that is not complete, got one that is." in error) == (code == 1)
    assert_whole(folder)


def test_processes_that_archive_into_one_folder_leave_whole_reports(tmp_path: Path) -> None:
    assert at_once(ARCHIVE, tmp_path, 2) == [(0, ""), (0, "")]
    folders = list(report_folders(tmp_path))
    assert len(folders) == 20
    assert {row.status for row in listing(tmp_path)} == {"complete"}
    for folder in folders:
        assert_whole(folder)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of its own, large enough for a journal."""
    with small_disk(tmp_path / "disk", "4m") as folder:
        yield folder


@pytest.mark.parametrize("free_bytes", [0, 8_192, 20_480, 40_960, 65_536, 131_072])
def test_a_full_disk_is_one_line_and_leaves_the_report_as_it_was(disk: Path, free_bytes: int) -> None:
    whole = archive.finish(write_run(disk / "enough", blocks=30), RENDERINGS)
    folder = write_run(disk / "reports", blocks=30)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    filler = disk / "filler"
    with filler.open("wb") as stream:
        free = os.statvfs(disk)
        stream.write(b"\0" * max(0, free.f_bavail * free.f_frsize - free_bytes))
    with pytest.raises(
        FileError,
        match=r"^Cannot (finish the report in|write) .*(No space left|not enough space|Could not write)",
    ) as caught:
        archive.finish(folder, RENDERINGS)
    assert "\n" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert archive.load(folder).status == "interrupted"
    filler.unlink()
    assert archive.finish(folder, RENDERINGS).windows == whole.windows
    assert_whole(folder)


def test_a_folder_without_rights_is_one_line_and_nothing_changes(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    folder.chmod(0o555)
    command = [*AS_A_USER, sys.executable, "-c", FINISH, folder]
    done = subprocess.run(
        command, env=environment(), input="go\n", capture_output=True, text=True, check=False, timeout=120
    )
    folder.chmod(0o755)
    assert done.returncode == 1
    assert "Permission denied" in done.stderr
    assert done.stderr.count("\n") == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_rendering_that_fails_leaves_nothing_half_done(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    shutil.copy(folder / JOURNAL_NAME, tmp_path / "before")

    def fail(report: Report) -> str:
        raise RuntimeError(report.report_id)

    with pytest.raises(RuntimeError):
        archive.finish(folder, {**RENDERINGS, "other.txt": fail})
    assert [path.name for path in folder.iterdir()] == [JOURNAL_NAME]
    assert (folder / JOURNAL_NAME).read_bytes() == (tmp_path / "before").read_bytes()
