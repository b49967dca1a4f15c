import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODEL = "shufflenet_v2_x0_5"
COMMAND = (sys.executable, "-W", "ignore", "-c", "from exporter.cli import export; export()")

Run = Callable[..., subprocess.CompletedProcess[str]]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PyTorch's folder of checkpoints, empty: no test depends on what was downloaded to this machine."""
    home = tmp_path_factory.mktemp("torch")
    monkeypatch.setenv("TORCH_HOME", str(home))
    folder = home / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(scope="session")
def run() -> Run:
    """Run Python code or, without any, the export command, as a process of its own."""

    def run(*arguments: str | Path, code: str | None = None) -> subprocess.CompletedProcess[str]:
        command = COMMAND if code is None else (*COMMAND[:-1], code)
        return subprocess.run(
            [*command, *map(str, arguments)],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """A models folder with a real ShuffleNet; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("exported")
    result = run("SHUFFLEnet", "--weights", "random", "--models-dir", folder)
    assert result.returncode == 0, result.stderr
    return folder
