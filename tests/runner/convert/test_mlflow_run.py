"""A report on a real MLflow tracking server, which `make test` prepares, and what becomes of one that fails."""

import csv
import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.convert.interface import Request
from runner.convert.mlflow_run import convert
from runner.errors import AbsentError, FileError, UsageError
from runner.report.archive import load
from runner.report.lines import Line
from tests.fakes import make_journal
from tests.processes import ROOT, environment, joulebatch

Requested = Callable[[Sequence[Line]], Request]
REFERENCE = ROOT / "reports" / "reference" / "2026-11-24T02-54-50-r2mc"


def runs_of(client: Any, experiment: str) -> list[Any]:
    return list(client.search_runs([client.get_experiment_by_name(experiment).experiment_id]))


@pytest.mark.live
def test_a_real_report_is_read_back_as_it_was_archived(
    server: str, client: Any, experiment: str, tmp_path: Path
) -> None:
    report = load(REFERENCE)
    done = joulebatch(
        "reports", "convert", REFERENCE, "--to", "mlflow", "--tracking-uri", server, "--experiment", experiment,
        cwd=tmp_path,
    )  # fmt: skip
    (run,) = runs_of(client, experiment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{server}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}\n"

    assert (run.info.status, run.info.run_name) == ("FINISHED", report.report_id)
    assert (run.info.start_time, run.info.end_time) == (1795488890000, 1795488980000)  # the report's, in UTC
    assert run.data.tags["joulebatch.report_id"] == report.report_id
    assert report.environment.git
    assert run.data.tags["mlflow.source.git.commit"] == report.environment.git.commit
    assert run.data.tags["mlflow.note.content"].startswith(f"# joulebatch report {report.report_id}")
    assert run.data.params["seed"] == "0"
    assert run.data.params["version/onnxruntime"] == "1.32.0"
    assert run.data.params["backend/cpu:spin.3Doff"] == "cpu:spin=off, threads=auto, spin=off"

    local = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))
    for path in REFERENCE.iterdir():
        assert _digest(local / path.name) == _digest(path)
    _check_metrics(client, run, local / "metrics.csv")
    means = {cell.key: cell.summary.latency_s.mean for cell in report.cells if cell.summary}
    with (local / "metrics.csv").open() as stream:
        logged = {
            row["cell"]: row for row in csv.DictReader(stream) if row["metric"].startswith("latency_s/")
        }
    assert {cell: float(row["value"]) for cell, row in logged.items()} == means


def _check_metrics(client: Any, run: Any, table: Path) -> None:
    """Hold every number of the table by what the server says."""
    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["metric"] for row in rows} == set(run.data.metrics)
    for name in run.data.metrics:
        history = {each.step: each.value for each in client.get_metric_history(run.info.run_id, name)}
        assert history == {int(row["step"]): float(row["value"]) for row in rows if row["metric"] == name}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


ASKED = """
import atexit, json, socket, sys
real, asked = socket.getaddrinfo, set()
def getaddrinfo(host, *rest, **more):
    asked.add(str(host))
    return real(host, *rest, **more)
socket.getaddrinfo = getaddrinfo
from runner.cli import main
code = main(sys.argv[1:])
# MLflow's telemetry waits in a thread of its own, which ends in an exit handler that was registered later.
atexit.register(lambda: print(json.dumps([code, sorted(asked)])))
"""


@pytest.mark.live
def test_nobody_is_asked_but_the_server(server: str, experiment: str, tmp_path: Path) -> None:
    quiet = {"CI", "DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY", "PYTEST_CURRENT_TEST"}
    done = subprocess.run(
        [sys.executable, "-c", ASKED, "reports", "convert", str(REFERENCE), "--to", "mlflow",
         "--tracking-uri", server, "--experiment", experiment],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        env={name: value for name, value in environment().items() if name not in quiet},
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1]) == [0, ["127.0.0.1"]], done.stderr


@pytest.mark.live
def test_a_report_is_logged_once_unless_forced(
    requested: Requested, server: str, client: Any, experiment: str
) -> None:
    request = replace(requested(make_journal()), tracking_uri=server, experiment=experiment)
    first, second = convert(request), convert(request)
    assert first.data == second.data
    assert (first.notes, second.notes) == ((), ("this report was logged before; --force logs one more run",))
    assert len(runs_of(client, experiment)) == 1
    assert convert(replace(request, force=True)).data != first.data
    assert len(runs_of(client, experiment)) == 2


@pytest.mark.live
def test_a_run_that_another_conversion_may_be_writing_is_left_alone(
    requested: Requested, server: str, client: Any, experiment: str
) -> None:
    request = replace(requested(make_journal()), tracking_uri=server, experiment=experiment)
    convert(request)
    (run,) = runs_of(client, experiment)
    client.update_run(run.info.run_id, status="RUNNING")
    with pytest.raises(UsageError, match=rf"got one that goes on, or was killed, as run {run.info.run_id}"):
        convert(request)
    assert len(runs_of(client, experiment)) == 1


@pytest.mark.live
@pytest.mark.parametrize(
    ("error", "expected", "status"),
    [
        (OSError("the line is gone"), AbsentError, "FAILED"),
        (KeyboardInterrupt(), KeyboardInterrupt, "KILLED"),
    ],
)
def test_a_failure_half_way_is_marked_and_the_next_attempt_finishes_that_run(  # noqa: PLR0913, PLR0917 - fixtures
    requested: Requested,
    server: str,
    client: Any,
    experiment: str,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    expected: type[BaseException],
    status: str,
) -> None:
    request = replace(requested(make_journal(batch_sizes=(1, 4))), tracking_uri=server, experiment=experiment)

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr("mlflow.tracking.MlflowClient.log_artifact", fail)
        with pytest.raises(expected):
            convert(request)
    (run,) = runs_of(client, experiment)
    assert run.info.status == status
    assert convert(request).notes == ("an earlier attempt was unfinished; this is its run",)
    (again,) = runs_of(client, experiment)
    assert (again.info.run_id, again.info.status) == (run.info.run_id, "FINISHED")
    curve = client.get_metric_history(run.info.run_id, "latency_s/alexnet/fp32/cpu")
    assert [point.step for point in curve] == [1, 4]
    assert {each.path for each in client.list_artifacts(run.info.run_id)} >= {"report.json", "metrics.csv"}


@pytest.mark.live
def test_more_than_a_request_holds_is_logged_whole(
    requested: Requested, server: str, client: Any, experiment: str
) -> None:
    models = [f"model{place}" for place in range(110)]
    lines = make_journal(models=models, batch_sizes=(1,), blocks=2, inferences=2)
    convert(replace(requested(lines), tracking_uri=server, experiment=experiment))
    (run,) = runs_of(client, experiment)
    assert len(run.data.params) > 110
    assert len(run.data.metrics) > 1000
    assert all(f"latency_s/{model}/fp32/cpu" in run.data.metrics for model in models)


@pytest.mark.live
def test_links_and_hidden_files_stay_here(
    requested: Requested, server: str, client: Any, experiment: str, tmp_path: Path
) -> None:
    request = replace(requested(make_journal()), tracking_uri=server, experiment=experiment)
    (tmp_path / "secret").write_text("key")
    (request.folder / "link").symlink_to(tmp_path / "secret")
    (request.folder / ".report.md.part").write_text("half")
    convert(request)
    (run,) = runs_of(client, experiment)
    names = {each.path for each in client.list_artifacts(run.info.run_id)}
    assert names == {
        "SHA256SUMS", "journal.jsonl", "metrics.csv", "report.html", "report.json", "report.md",
        "samples.parquet",
    }  # fmt: skip


def test_a_server_that_is_not_there_is_one_line_without_the_password(
    requested: Requested, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as bound:  # not listening: refused at once
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        request = replace(requested(make_journal()), tracking_uri=f"http://me:secret@{address}")
        with pytest.raises(AbsentError) as caught:
            convert(request)
    assert str(caught.value).startswith(f"Cannot log report {request.report.report_id} to http://{address}: ")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "MLFLOW_DISABLE_TELEMETRY" not in os.environ


def test_without_an_address_it_is_said_where_one_is_taken_from(
    requested: Requested, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(UsageError, match="expected --tracking-uri or MLFLOW_TRACKING_URI, got neither"):
        convert(requested(make_journal()))


def test_what_is_no_address_is_one_line(requested: Requested) -> None:
    with pytest.raises(UsageError, match="expected an address, got Invalid IPv6 URL"):
        convert(replace(requested(make_journal()), tracking_uri="http://["))


@pytest.mark.parametrize(
    ("status", "fix"), [("interrupted", "run --resume 2026"), ("running", "Wait for its end")]
)
def test_a_run_that_may_go_on_is_not_logged(requested: Requested, status: str, fix: str) -> None:
    request = requested(make_journal())
    unfinished = request.report.model_copy(update={"status": status})
    with pytest.raises(FileError, match=f"expected a complete report, got one that is {status}. .*{fix}"):
        convert(replace(request, report=unfinished, tracking_uri="http://127.0.0.1:9"))


def test_without_mlflow_the_remedy_is_named(requested: Requested, monkeypatch: pytest.MonkeyPatch) -> None:
    request = replace(requested(make_journal()), tracking_uri="http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", None)
    with pytest.raises(AbsentError, match=r"got none\. Run: python -m pip install"):
        convert(request)
