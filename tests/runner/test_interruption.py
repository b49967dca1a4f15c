"""A run that is interrupted, killed, hung up or out of space, as its users meet it: real processes and real signals."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.report.archive import load
from runner.report.journal import read_journal
from runner.report.lines import BlockLine, WindowLine
from tests.disks import small_disk
from tests.processes import (
    children_of,
    environment,
    joulebatch,
    report_of,
    start,
    state_of,
    wait_for_windows,
)

pytestmark = pytest.mark.live

LONG = (
    "run", "-m", "tiny", "--backend", "cpu", "--backend", "B=cpu", "--batch-sizes", "1,2,4,8,16", "--profile", "quick",
    "--target-ci", "0.001%", "--meter", "none",
)  # fmt: skip
"""ten blocks of ten windows"""
AS_A_USER = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--") if os.geteuid() == 0 else ()
"""root, too, is to be refused what the permissions forbid"""


def python(home: Path, *before: str) -> "subprocess.Popen[bytes]":
    """Start a long run below other commands, its output in files of its home."""
    with (home / "stdout").open("wb") as stdout, (home / "stderr").open("wb") as stderr:
        return subprocess.Popen(
            [*before, sys.executable, "-m", "runner", *LONG],
            cwd=home, env=environment(), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
        )  # fmt: skip


def wait_until_gone(pids: list[int]) -> None:
    deadline_s = time.monotonic() + 10
    while any(state_of(pid) != "Z" for pid in pids):
        assert time.monotonic() < deadline_s, "a worker outlived its parent"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_an_interrupted_run_keeps_what_it_measured(home: Path, signum: int, code: int) -> None:
    process = start(*LONG, cwd=home)
    wait_for_windows(home / "reports", 12)
    workers = children_of(process.pid)
    assert workers
    process.send_signal(signum)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert "Traceback" not in stderr
    assert "Interrupted report: reports/" in stderr
    assert "interrupted" in stdout
    report = report_of(home)
    assert report.status == "interrupted"
    assert len(report.windows) >= 12
    assert any(f"Interrupted by {signal.Signals(signum).name}" in note for note in report.notes)
    wait_until_gone(workers)
    shown = joulebatch("reports", "show", "latest", cwd=home)
    assert shown.returncode == 0
    assert "interrupted" in shown.stdout


def test_a_terminal_that_closes_interrupts_a_run_that_draws_on_it(home: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", sys.executable, "-m", "runner", *LONG],
        cwd=home, env=environment() | {"TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    os.set_blocking(ours, False)
    wait_for_windows(home / "reports", 4)
    assert b"block" in os.read(ours, 1 << 16), "progress is drawn"
    workers = children_of(process.pid)
    os.close(ours)
    assert process.wait(60) == 129
    assert any("Interrupted by SIGHUP" in note for note in report_of(home).notes)
    wait_until_gone(workers)


def test_under_nohup_a_run_goes_on(home: Path) -> None:
    process = python(home, "nohup")
    wait_for_windows(home / "reports", 4)
    process.send_signal(signal.SIGHUP)
    wait_for_windows(home / "reports", 4 + len(report_of(home).windows))
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143


def test_a_killed_run_keeps_what_it_measured_and_leaves_no_worker(home: Path) -> None:
    process = python(home)
    wait_for_windows(home / "reports", 5)
    workers = children_of(process.pid)
    process.kill()
    process.wait(60)
    report = report_of(home)
    assert report.status == "interrupted"
    assert len(report.windows) >= 5
    wait_until_gone(workers)


@pytest.fixture
def small(home: Path) -> Iterator[Path]:
    with small_disk(home / "small", "1m") as folder:
        yield folder


def test_a_full_disk_ends_the_run_and_loses_nothing(home: Path, small: Path) -> None:
    result = joulebatch(*LONG, "--reports-dir", "small", "--time-budget", "60s", cwd=home)
    assert result.returncode == 4
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("joulebatch: "))
    assert "No space left on device" in line
    (folder,) = small.glob("2*")
    windows = load(folder).windows
    assert len(windows) >= 1

    subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
    resumed = start("run", "--resume", "latest", "--reports-dir", "small", cwd=home)
    wait_for_windows(small, len(windows) + 4)
    resumed.send_signal(signal.SIGTERM)
    resumed.communicate(timeout=60)
    report = load(folder)
    kept = report.windows[: len(windows)]
    assert [(each.started_s, each.paired) for each in kept] == [
        (each.started_s, each.paired) for each in windows
    ]
    assert len(report.resumes) == 1


def test_a_folder_that_becomes_read_only_costs_the_archive_and_no_window(home: Path) -> None:
    process = subprocess.Popen(
        [*AS_A_USER, sys.executable, "-m", "runner", "run", "-m", "tiny", "--backend", "cpu", "--batch-sizes", "1,2,4",
         "--profile", "quick", "--meter", "none"],
        cwd=home, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for_windows(home / "reports", 1)
    (folder,) = (home / "reports").glob("2*")
    folder.chmod(0o555)
    _, stderr = process.communicate(timeout=60)
    folder.chmod(0o755)
    assert process.returncode == 4, stderr
    (line,) = (line for line in stderr.splitlines() if line.startswith("joulebatch: "))
    assert "Permission denied" in line
    report = load(folder)
    assert report.status == "interrupted", "it is not archived"
    assert all(window.paired or window.repeated_by is not None for window in report.windows)

    before = (folder / "journal.jsonl").read_bytes()
    resumed = joulebatch("run", "--resume", "latest", cwd=home)
    assert resumed.returncode == 0, resumed.stderr
    assert (folder / "journal.jsonl").read_bytes().startswith(before)
    archived = load(folder)
    assert archived.status == "complete"
    assert archived.windows == report.windows, "nothing was left to measure"


def test_a_worker_that_is_stopped_within_a_window_has_its_block_repeated(home: Path) -> None:
    process = start(
        "run", "-m", "tiny", "--backend", "cpu", "--batch-sizes", "1", "--pace", "2", "--profile", "quick",
        "--meter", "none", "--seed", "1", cwd=home,
    )  # fmt: skip
    wait_for_windows(home / "reports", 1)  # with this seed the first block's second cell is the paced one
    (worker,) = children_of(process.pid)
    _wait_for_a_gap_in_a_paced_window(worker)
    os.kill(worker, signal.SIGSTOP)
    time.sleep(20)
    os.kill(worker, signal.SIGCONT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr

    (folder,) = (home / "reports").glob("2*")
    report = load(folder)
    stopped = [window for window in report.windows if "stopped the worker once" in window.disturbed]
    assert [window.block for window in stopped] == [0]
    assert stopped[0].wall_s > 20
    assert stopped[0].conditions is not None
    assert stopped[0].conditions.stops == 1
    repeats = {
        line.repeats: line.block
        for line in read_journal(folder)
        if isinstance(line, BlockLine) and line.repeats is not None
    }
    assert 0 in repeats
    for window in report.windows:
        assert window.paired == (window.block not in repeats)
        assert window.repeated_by == repeats.get(window.block)
    assert sum(isinstance(line, WindowLine) for line in read_journal(folder)) == len(report.windows)


def _wait_for_a_gap_in_a_paced_window(worker: int) -> None:
    """Wait until a worker has slept for longer than the untimed period before a paced window, which takes 0.5 s."""
    deadline_s, naps = time.monotonic() + 60, 0
    while naps < 40:
        assert time.monotonic() < deadline_s, "no paced window was seen"
        time.sleep(0.02)
        state = state_of(worker)
        naps = (
            0 if state == "T" else naps + (state == "S")
        )  # parked between windows, running in those back to back
