import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.convert.interface import Request
from runner.render.archived import RENDERINGS
from runner.report import archive
from runner.report.journal import Journal
from runner.report.lines import Line

NOW = datetime(2026, 11, 23, 21, 34, 5, tzinfo=UTC)
MLFLOW = "JOULEBATCH_TEST_MLFLOW"
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a tracking server of this machine, with a database and files of its own."""
    if MLFLOW not in os.environ:
        pytest.skip(f"{MLFLOW} names no Python with mlflow; make test prepares one")
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        os.environ[MLFLOW], "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/runs.db", "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**own, "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        address = f"http://127.0.0.1:{port}"
        try:
            _wait_for(address, process, folder / "log")
            yield address
        finally:
            os.killpg(process.pid, 15)
            process.wait(30)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + 200
    while time.monotonic() < deadline_s:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.2)
    pytest.fail(f"the server did not answer: {log.read_text()}")


@pytest.fixture
def client(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return MLflow's own client."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient  # noqa: PLC0415 - costs a second that other tests need not pay

    return MlflowClient(server)


@pytest.fixture
def experiment(request: pytest.FixtureRequest) -> str:
    """Return an experiment that no other test logs to."""
    return str(request.node.name)
