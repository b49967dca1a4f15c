import errno
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import FileError
from runner.render.archived import RENDERINGS
from runner.report import archive, prune
from runner.report.disk import replace_file
from runner.report.filters import Filters
from runner.report.folders import JOURNAL_NAME, report_folders
from runner.report.journal import Journal
from runner.report.listing import Listed, listing
from runner.report.prune import LEFTOVER_PREFIX, Fate, Keeps, delete, fates, leftovers, remove
from runner.report.samples import SAMPLES_NAME
from tests.fakes import make_journal
from tests.processes import ROOT

NOW = datetime(2026, 11, 23, 21, 34, 5, tzinfo=UTC)
FILES = (SAMPLES_NAME, *RENDERINGS)


def make(reports_dir: Path, day: int, *, complete: bool = True) -> Path:
    folder = archive.create(reports_dir, None, NOW + timedelta(days=day))
    with Journal(folder) as journal:
        header, *others = make_journal(blocks=2, ending="complete" if complete else None)
        started_at = (NOW + timedelta(days=day)).isoformat()
        for line in (header.model_copy(update={"started_at": started_at}), *others):
            journal.write(line)
    if complete:
        archive.finish(folder, RENDERINGS)
    return folder


@pytest.fixture
def reports(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Two complete reports, and an interrupted one that is newer."""
    return make(tmp_path, 0), make(tmp_path, 1), make(tmp_path, 2, complete=False)


def decide(
    reports_dir: Path, rules: Keeps, filters: Filters | None = None, *, interrupted: bool = False
) -> dict[str, Fate]:
    rows = listing(reports_dir)
    found = fates(reports_dir, rows, filters or Filters(), rules, interrupted=interrupted, files=FILES)
    assert [each.row for each in found] == list(rows)
    return {each.row.report_id: each for each in found}


def prune_all(reports_dir: Path, rules: Keeps) -> dict[str, str]:
    found = decide(reports_dir, rules).values()
    removals = [remove(each, reports_dir, FILES) for each in found if each.goes]
    return {each.report_id: each.reason for each in removals}


def test_what_no_rule_keeps_goes_whole(reports: tuple[Path, Path, Path]) -> None:
    old, new, interrupted = reports
    expected_bytes = sum(path.stat().st_size for path in old.iterdir())
    found = decide(old.parent, Keeps(last=1))
    assert {name for name, fate in found.items() if fate.goes} == {old.name}
    assert found[old.name].size_bytes == expected_bytes
    assert found[new.name].reason == "--keep-last 1"
    assert found[interrupted.name].reason.startswith("interrupted: ")
    removal = remove(found[old.name], old.parent, FILES)
    assert (removal.reason, removal.size_bytes) == ("", expected_bytes)
    assert sorted(path.name for path in old.parent.iterdir()) == [new.name, interrupted.name]


def test_interrupted_reports_are_considered_when_asked(reports: tuple[Path, Path, Path]) -> None:
    found = decide(reports[0].parent, Keeps(last=1), interrupted=True)
    assert [name for name, fate in found.items() if not fate.goes] == [reports[2].name]


def test_filters_choose_what_is_considered(reports: tuple[Path, Path, Path]) -> None:
    found = decide(reports[0].parent, Keeps(last=1), Filters(models=("vit",)))
    assert not any(fate.goes for fate in found.values())
    assert found[reports[0].name].reason == "not what the filters ask for"


def test_latest_is_the_newest_that_can_be_read(reports: tuple[Path, Path, Path]) -> None:
    (reports[0].parent / "zz").mkdir()
    (reports[0].parent / "zz" / JOURNAL_NAME).write_text("{")
    found = decide(reports[0].parent, Keeps(latest=True), interrupted=True)
    assert {name: fate.goes for name, fate in found.items()} == {
        "zz": False,
        reports[2].name: False,
        reports[1].name: True,
        reports[0].name: True,
    }


days = st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=12)


@given(
    days=days,
    last=st.integers(0, 5),
    daily=st.integers(0, 5),
    named=st.booleans(),
    since=st.integers(0, 12) | st.none(),
)
def test_rules_add_up(
    days: list[tuple[int, bool]], last: int, daily: int, since: int | None, *, named: bool
) -> None:
    rows = [
        Listed(
            f"{place:02}",
            (NOW + timedelta(days=day, minutes=place)).isoformat(),
            "complete",
            (),
            (),
            1,
            "x" if has_name else None,
        )
        for place, (day, has_name) in enumerate(days)
    ]
    rows.sort(key=lambda row: row.started_at or "", reverse=True)
    moment = None if since is None else NOW + timedelta(days=since)
    kept = prune._kept(rows, Keeps(last, daily, moment, named), "")
    expected = {row.report_id for row in rows[:last]}
    expected |= {row.report_id for row in rows if named and row.name}
    if moment:
        expected |= {row.report_id for row in rows if datetime.fromisoformat(row.started_at or "") >= moment}
    first_of_day = {(row.started_at or "")[:10]: row.report_id for row in reversed(rows)}
    expected |= {first_of_day[day] for day in sorted(first_of_day, reverse=True)[:daily]}
    assert kept.keys() == expected


def test_a_folder_with_what_no_run_wrote_stays(reports: tuple[Path, Path, Path]) -> None:
    old, new, _ = reports
    (old / "notes.txt").write_text("mine")
    (new / "plots").mkdir()
    found = decide(old.parent, Keeps(named=True))
    assert found[old.name].reason == "holds what no run wrote: notes.txt"
    assert found[new.name].reason == "holds what no run wrote: plots"


def test_leavings_of_a_killed_run_are_ours(reports: tuple[Path, Path, Path]) -> None:
    def die(*_: object, **__: object) -> None:
        raise SystemExit

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "replace", die)
        patched.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(SystemExit):
            replace_file(reports[0] / "report.html", b"half")
    assert [each.suffix for each in reports[0].glob(".report.html.*")] == [".part"]
    (reports[0] / "samples.parquet.part").touch()
    (reports[0] / ".duckdb").mkdir()
    assert prune_all(reports[0].parent, Keeps(last=1)) == {reports[0].name: ""}


def test_links_are_neither_followed_nor_removed(reports: tuple[Path, Path, Path], tmp_path: Path) -> None:
    old, new, _ = reports
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    linked = make(elsewhere, 5)
    (tmp_path / "2026-12-link").symlink_to(linked)
    (new / "report.md").unlink()
    (new / "report.md").symlink_to(linked / "report.md")
    assert prune_all(tmp_path, Keeps(named=True)) == {old.name: ""}
    assert (tmp_path / "2026-12-link").is_symlink()
    assert (new / "report.md").is_symlink()
    assert (linked / "report.json").exists()


def test_a_report_that_is_being_written_is_never_touched(reports: tuple[Path, Path, Path]) -> None:
    _, new, interrupted = reports
    found = decide(new.parent, Keeps(named=True), interrupted=True)
    with Journal(interrupted), Journal(new):
        assert decide(new.parent, Keeps(named=True), interrupted=True)[interrupted.name].reason == "running"
        # Even if it was resumed after the decision.
        for folder in (interrupted, new):
            assert remove(found[folder.name], new.parent, FILES).reason == "in use by another process"
    assert interrupted.exists()
    assert remove(found[interrupted.name], new.parent, FILES).reason == ""


def test_a_run_cannot_resume_what_is_going(
    reports: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, interrupted = reports
    said: list[str] = []

    def resume(leftover: Path) -> None:
        for folder in (interrupted, leftover):
            with pytest.raises(FileError) as caught:
                Journal(folder)
            said.append(str(caught.value))

    monkeypatch.setattr(prune, "delete", resume)
    fate = decide(interrupted.parent, Keeps(named=True), interrupted=True)[interrupted.name]
    assert remove(fate, interrupted.parent, FILES).reason == ""
    assert "No such file" in said[0]
    assert "another run that is writing it" in said[1]


def test_what_changed_after_the_decision_stays(reports: tuple[Path, Path, Path]) -> None:
    old, new, interrupted = reports
    found = decide(old.parent, Keeps(named=True), interrupted=True)
    (interrupted / "report.json").write_bytes((old / "report.json").read_bytes())
    (new / "mine").touch()
    for path in old.iterdir():
        path.unlink()
    old.rmdir()
    reasons = [remove(found[each.name], old.parent, FILES).reason for each in (old, new, interrupted)]
    assert reasons == ["gone already", "holds what no run wrote: mine", "changed meanwhile"]


def test_two_prunes_at_once_remove_each_report_once(tmp_path: Path) -> None:
    made = [make(tmp_path, day) for day in range(6)]
    command = [sys.executable, "-m", "runner", "reports", "prune", "--keep-last", "1", "--yes", "-f", "json"]
    running = [
        subprocess.Popen(
            [*command, "--reports-dir", str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    assert sum(out.count('"fate": "removed"') for out, _ in said) == 5
    assert [path.name for path in tmp_path.iterdir()] == [made[-1].name]


def test_the_new_name_is_on_the_disk_before_anything_is_deleted(
    reports: tuple[Path, Path, Path], synced: Callable[[Path], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bool, bool]] = []
    real = prune.delete

    def check(leftover: Path) -> None:
        seen.append((synced(leftover.parent), (leftover / "report.json").exists()))
        real(leftover)

    monkeypatch.setattr(prune, "delete", check)
    assert prune_all(reports[0].parent, Keeps(last=1)) == {reports[0].name: ""}
    assert seen == [(True, True)]


KILLED = """
import os, signal, sys
from pathlib import Path
from runner.cli import main
from runner.report import prune

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

{replace} = die
main(["reports", "prune", "--keep-last", "1", "--yes", "--reports-dir", sys.argv[1]])
"""


@pytest.mark.parametrize(
    ("point", "replace"), [("before", "Path.rename"), ("renamed", "prune.sync"), ("deleting", "os.rmdir")]
)
def test_a_killed_prune_leaves_a_whole_report_or_a_leftover(
    reports: tuple[Path, Path, Path], point: str, replace: str
) -> None:
    old, reports_dir = reports[0], reports[0].parent
    names = sorted(path.name for path in old.iterdir())
    command = [sys.executable, "-c", KILLED.format(replace=replace), str(reports_dir)]
    assert subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode == -signal.SIGKILL
    hidden = reports_dir / f"{LEFTOVER_PREFIX}{old.name}"
    if point == "before":
        assert sorted(path.name for path in old.iterdir()) == names
        assert leftovers(reports_dir) == ()
        return
    assert old.name not in {folder.name for folder in report_folders(reports_dir)}
    assert leftovers(reports_dir) == (hidden,)
    assert sorted(path.name for path in hidden.iterdir()) == (names if point == "renamed" else [])
    delete(hidden)
    assert leftovers(reports_dir) == ()


def test_a_disk_that_refuses_is_said_and_nothing_is_lost(
    reports: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    fate = decide(reports[0].parent, Keeps(last=1))[reports[0].name]
    removal = remove(fate, reports[0].parent, FILES)
    assert (removal.reason, removal.failed, removal.size_bytes) == (
        "cannot be removed: Permission denied",
        True,
        0,
    )
    assert archive.load(reports[0]).status == "complete"


def test_a_leftover_that_cannot_be_deleted_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leftover = tmp_path / f"{LEFTOVER_PREFIX}x"
    leftover.mkdir()

    def refuse(path: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(FileError, match=r"Cannot delete .*got Permission denied"):
        delete(leftover)


def test_only_our_own_leftovers_are_found(tmp_path: Path) -> None:
    (tmp_path / f"{LEFTOVER_PREFIX}file").touch()
    (tmp_path / f"{LEFTOVER_PREFIX}link").symlink_to(tmp_path)
    (tmp_path / ".git").mkdir()
    assert leftovers(tmp_path) == ()
    assert leftovers(tmp_path / "missing") == ()
