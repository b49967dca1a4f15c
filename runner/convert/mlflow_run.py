"""A report as a run on an MLflow tracking server: tags, parameters, metrics, and its files as artefacts.

Logging the same thing twice changes nothing there, so a run that was left unfinished is finished and not made anew.
"""

import csv
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from runner.convert.interface import Converted, Request
from runner.convert.mlflow_contents import REPORT_TAG, SeriesPoint, cut, params, points, tags
from runner.errors import AbsentError, FileError, UsageError
from runner.report.schema import Report

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

EXPERIMENT: Final = "joulebatch"
URI_VARIABLE: Final = "MLFLOW_TRACKING_URI"
METRICS_NAME: Final = "metrics.csv"
"""artefact that says which metric is which cell's"""

# MLflow, mlflow/utils/validation.py: of one request.
_PARAMS_AT_ONCE: Final = 100
_METRICS_AT_ONCE: Final = 1000
_DETAIL_LENGTH: Final = 300
"""of an error's text, which may quote a whole page"""
_SETTINGS: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing is asked but the tracking server
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # standard output is ours
}
_PATIENCE: Final = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
"""a server that is not there is known within seconds and not, by MLflow's own seven retries, after minutes"""

Item = TypeVar("Item")


def convert(request: Request) -> Converted:
    """Log a complete report, once; return where the run is to be seen.

    Raises:
        AbsentError: MLflow is not installed, or the server cannot be reached or refuses.
        FileError: the report is not complete, so it may yet change.
        UsageError: no server was named, or not by an address.
    """
    report, uri = request.report, _address(request)
    if report.status != "complete":
        raise FileError(
            f"Cannot log report {report.report_id} to MLflow",
            expected="a complete report",
            got=f"one that is {report.status}",
            fix="Wait for its end"
            if report.status == "running"
            else f"Finish it with: joulebatch run --resume {report.report_id}",
        )
    with _environment(), _explained(report, uri):
        return _log_once(request, uri, EXPERIMENT if request.experiment is None else request.experiment)


def _address(request: Request) -> str:
    uri = os.environ.get(URI_VARIABLE) if request.tracking_uri is None else request.tracking_uri
    fix = "Pass for example --tracking-uri http://127.0.0.1:5000"
    if not uri:
        expected = f"--tracking-uri or {URI_VARIABLE}"
        raise UsageError("Cannot log to MLflow", expected=expected, got="neither", fix=fix)
    try:
        urlsplit(uri)
    except ValueError as error:
        raise UsageError("Cannot log to MLflow", expected="an address", got=str(error), fix=fix) from error
    return uri


@contextmanager
def _environment() -> Iterator[None]:
    """Set what MLflow can only be told through the environment, and put back what was there."""
    wanted = {**{name: os.environ.get(name, value) for name, value in _PATIENCE.items()}, **_SETTINGS}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            os.environ.update({} if value is None else {name: value})


@contextmanager
def _explained(report: Report, uri: str) -> Iterator[None]:
    """Turn what MLflow raises into one line, without the password that an address may hold."""
    try:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - an extra, and it costs a second
        from requests.exceptions import RequestException  # noqa: PLC0415 - MLflow brings it
    except ImportError as error:
        raise AbsentError(
            "Cannot log to MLflow",
            expected="the package mlflow-skinny or mlflow",
            got="none",
            fix='Run: python -m pip install "joulebatch[mlflow]"',
        ) from error
    try:
        yield
    except (MlflowException, RequestException, OSError, ImportError) as error:
        secret = urlsplit(uri).netloc.rpartition("@")[0]
        detail = str(error).replace(f"{secret}@", "") if secret else str(error)
        raise AbsentError(
            f"Cannot log report {report.report_id} to {_public(uri)}",
            expected="a tracking server that takes it",
            got=cut(" ".join(detail.split()), _DETAIL_LENGTH),
            fix="Check --tracking-uri and the server; converting again logs nothing twice",
        ) from None


def _public(uri: str) -> str:
    """Return an address without user and password."""
    secret, at, _ = urlsplit(uri).netloc.rpartition("@")
    return uri.replace(f"{secret}{at}", "", 1) if at else uri


def _log_once(request: Request, uri: str, experiment: str) -> Converted:
    from mlflow.tracking import MlflowClient  # noqa: PLC0415 - as above

    client = MlflowClient(tracking_uri=uri)
    experiment_id = _experiment_id(client, experiment)
    runs = [] if request.force else _runs_of(client, experiment_id, request.report)
    finished = [run for run in runs if run.info.status == "FINISHED"]
    if finished:
        where = _where(uri, experiment_id, finished[0].info.run_id)
        return Converted(where, ("this report was logged before; --force logs one more run",))
    running = [run for run in runs if run.info.status == "RUNNING"]
    if running:
        raise UsageError(
            f"Cannot log report {request.report.report_id}",
            expected="no other conversion of it",
            got=f"one that goes on, or was killed, as run {running[0].info.run_id}",
            fix="Wait for it, or pass --force to log one more run",
        )
    run = runs[0] if runs else _create(client, experiment_id, request.report)
    _log(client, run.info.run_id, request)
    notes = ("an earlier attempt was unfinished; this is its run",) if runs else ()
    return Converted(_where(uri, experiment_id, run.info.run_id), notes)


def _experiment_id(client: "MlflowClient", name: str) -> str:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - as above

    if found := client.get_experiment_by_name(name):
        if found.lifecycle_stage == "deleted":
            raise MlflowException(f"experiment {name!r} is deleted there")
        return str(found.experiment_id)
    try:
        return str(client.create_experiment(name))
    except MlflowException:
        if found := client.get_experiment_by_name(name):  # somebody else made it meanwhile
            return str(found.experiment_id)
        raise


def _runs_of(client: "MlflowClient", experiment_id: str, report: Report) -> "list[Run]":
    quoted = report.report_id.replace("'", "")  # an id of ours has none
    return list(client.search_runs([experiment_id], f"tags.`{REPORT_TAG}` = '{quoted}'"))


def _create(client: "MlflowClient", experiment_id: str, report: Report) -> "Run":
    name = f"{report.report_id}" if report.name is None else f"{report.name} ({report.report_id})"
    return client.create_run(
        experiment_id, start_time=_milliseconds(report.started_at), tags=tags(report), run_name=name
    )


def _log(client: "MlflowClient", run_id: str, request: Request) -> None:
    """Log everything and end the run; one that cannot be finished is marked as such."""
    report = request.report
    ended_ms = _milliseconds(report.ended_at or report.started_at)
    try:
        _log_figures(client, run_id, report, ended_ms)
        for path in _files(request.folder):
            client.log_artifact(run_id, str(path))
        client.set_terminated(run_id, "FINISHED", end_time=ended_ms)
    except BaseException as error:
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        with suppress(Exception):  # the server may be what failed; the first error says more
            client.set_terminated(run_id, status, end_time=ended_ms)
        raise


def _log_figures(client: "MlflowClient", run_id: str, report: Report, ended_ms: int) -> None:
    from mlflow.entities import Metric, Param  # noqa: PLC0415 - as above

    logged = tuple(points(report))
    for some in _chunks((Param(key, value) for key, value in params(report).items()), _PARAMS_AT_ONCE):
        client.log_batch(run_id, params=some)
    metrics = (Metric(point.metric, point.value, ended_ms, point.step) for point in logged)
    for batch in _chunks(metrics, _METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=batch)
    client.log_text(run_id, _table(logged), METRICS_NAME)


def _table(logged: Iterable[SeriesPoint]) -> str:
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("metric", "step", "value", "cell"))
    writer.writerows((point.metric, point.step, point.value, point.cell) for point in logged)
    return stream.getvalue()


def _files(folder: Path) -> list[Path]:
    """Return the files of a report; hidden ones are unfinished, and links lead elsewhere."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and not path.is_symlink() and not path.name.startswith(".")
    )


def _chunks(items: Iterable[Item], size: int) -> Iterator[Sequence[Item]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _milliseconds(iso_text: str) -> int:
    return round(datetime.fromisoformat(iso_text).timestamp() * 1000)


def _where(uri: str, experiment_id: str, run_id: str) -> bytes:
    """Return the page of a run, or its id where there is no page."""
    page = f"{_public(uri).rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}"
    return ((page if uri.startswith("http") else run_id) + "\n").encode()
