"""joulebatch as a real process, with the third-party backend of these tests installed."""

import os
import subprocess
import sys
import time
from pathlib import Path

from runner.report.archive import load
from runner.report.schema import Report

ROOT = Path(__file__).parent.parent
THIRD_PARTY = Path(__file__).parent / "third_party"


def environment() -> dict[str, str]:
    """Return an environment in which the checkout and the third-party backend can be imported."""
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{THIRD_PARTY}", "COLUMNS": "120", "NO_COLOR": "1"}


def joulebatch(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "runner", *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def start(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    """Start the command and return its process."""
    return subprocess.Popen(
        [sys.executable, "-m", "runner", *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def report_of(home: Path) -> Report:
    """Return the only report that was written below a folder."""
    (folder,) = (home / "reports").glob("2*")
    return load(folder)


def wait_for_windows(reports_dir: Path, count: int) -> None:
    """Wait until the journals of the reports in a folder hold so many windows."""
    deadline_s = time.monotonic() + 60
    while (
        sum(path.read_text().count('"kind":"window"') for path in reports_dir.glob("*/journal.jsonl")) < count
    ):
        assert time.monotonic() < deadline_s, "no windows were journaled"
        time.sleep(0.05)


def children_of(pid: int) -> list[int]:
    """Return the processes that a process started and that live."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def state_of(pid: int) -> str:
    """Return a process's state as proc(5) writes it: T is stopped; Z, a zombie, stands for gone too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"
