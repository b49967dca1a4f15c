"""joulebatch as a real process, with the third-party backend of these tests installed."""

import os
import subprocess
import sys
from pathlib import Path

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
