"""What a report is in MLflow's words: tags, parameters and metrics, within the limits of its servers."""

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from runner.convert.figures import Figure, cell_figures, queue_figures
from runner.render.document import document
from runner.render.markdown import sections_to_markdown
from runner.report.schema import Cell, Interval, QueueCell, Report

REPORT_TAG: Final = "joulebatch.report_id"
"""by which a report that was logged is found again"""

# MLflow, mlflow/utils/validation.py; values were limited to these before 2.x raised them, and servers may be older.
_KEY_LENGTH: Final = 250
_VALUE_LENGTH: Final = 500
_TAG_LENGTH: Final = 5000
_DIGEST_LENGTH: Final = 16
_MARK: Final = "..."
"""of a text that was cut"""
_ELSEWHERE: Final = "The rest is in report.md, among the artefacts."


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """A figure as MLflow draws it: one point of a metric."""

    metric: str
    step: int
    """the batch size of back-to-back loads, which makes a curve; else 0"""
    value: float
    cell: str
    """its key in the report, which the metric's name may have to spell differently"""


def name_part(text: str) -> str:
    """Return text in which MLflow accepts every character, a different one for every text.

    Letters, digits, ``_``, ``-`` and ``:`` stay; others become ``.`` and two hexadecimal digits for each byte, as
    ``%`` does in addresses: ``cpu:spin=off`` is ``cpu:spin.3Doff``.
    """
    return re.sub(
        r"[^A-Za-z0-9_:-]", lambda found: "".join(f".{byte:02X}" for byte in found[0].encode()), text
    )


def _name(*parts: str) -> str:
    name = "/".join((parts[0], *map(name_part, parts[1:])))
    if len(name) <= _KEY_LENGTH:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{name[: _KEY_LENGTH - _DIGEST_LENGTH - 1].rstrip('/.')}-{digest}"


def points(report: Report) -> Iterator[SeriesPoint]:
    """Yield every figure that is there and finite."""
    for cell in report.cells:
        series, step = _series(cell)
        ratios = _ratios(report, cell)
        for figure in (*cell_figures(cell), *ratios):
            yield from _points(cell.key, figure, series, step)
    for queued in report.queue.cells if report.queue else ():
        series = ("queue", queued.model, *queued.contender, _load(queued))
        for figure in queue_figures(queued):
            yield from _points(queued.key, figure, series, 0)


def _points(key: str, figure: Figure, series: tuple[str, ...], step: int) -> Iterator[SeriesPoint]:
    name, interval = figure
    for prefix, value in (("", interval.mean), ("low_", interval.low), ("high_", interval.high)):
        if value is not None and math.isfinite(value):
            yield SeriesPoint(_name(f"{prefix}{name}", *series), step, value, key)


def _series(cell: Cell) -> tuple[tuple[str, ...], int]:
    """Return what tells a curve from others, and the place of a cell on it."""
    place = (cell.model, *cell.contender)
    device = ("device",) if cell.io == "device" else ()
    if cell.load.is_back_to_back:
        return (*place, *device), cell.load.batch_size
    return (*place, _load(cell).rpartition("/")[0], *device), 0


def _load(cell: Cell | QueueCell) -> str:
    return cell.key.removeprefix(f"{cell.model}/{cell.variant}/{cell.backend}/")


def _ratios(report: Report, cell: Cell) -> Iterator[Figure]:
    """Yield its ratios to the baseline, paired within the run."""
    for entry in report.comparisons:
        if entry.cell == cell.key and cell.status == "measured":
            yield f"{entry.metric}_ratio", Interval(mean=entry.ratio, low=entry.low, high=entry.high)


def params(report: Report) -> dict[str, str]:
    """Return what was asked for and where it ran; long values are cut, and report.json holds them whole."""
    provenance, environment = report.provenance, report.environment
    facts: dict[str, object] = {
        "command": " ".join(provenance.argv),
        "profile": provenance.profile,
        "seed": provenance.seed,
        "baseline": provenance.baseline,
        "target_ci_ratio": provenance.target_ci_ratio,
        "time_budget_s": provenance.time_budget_s,
        "host": environment.host,
        "os": environment.os,
        "kernel": environment.kernel,
        "python": environment.python,
        "cpu": environment.cpu,
        "cores": environment.cores,
        "usable_cores": environment.usable_cores,
        "memory_bytes": environment.memory_bytes,
        "gpus": ", ".join(gpu.name for gpu in environment.gpus),
        **{_name("version", name): version for name, version in environment.versions.items()},
        **{
            _name("backend", backend.label): ", ".join(
                (backend.spec, *(f"{name}={value}" for name, value in backend.options.items()))
            )
            for backend in report.backends
        },
        **{_name("model_sha256", file.name, file.variant): file.sha256 for file in report.models},
        **{
            _name("energy", meter.domain): f"{meter.status} {meter.source or meter.reason}"
            for meter in report.meters
        },
    }
    return {
        key: cut(str(value), _VALUE_LENGTH)
        for key, value in facts.items()
        if value is not None and str(value).strip()
    }


def tags(report: Report) -> dict[str, str]:
    """Return what MLflow finds and shows a run by."""
    git = report.environment.git
    found = {
        REPORT_TAG: report.report_id,
        "joulebatch.version": report.joulebatch,
        "joulebatch.schema_version": str(report.schema_version),
        "joulebatch.host": report.environment.host,
        "mlflow.source.name": "joulebatch",
        "mlflow.source.type": "LOCAL",
        "mlflow.note.content": _note(report),
    }
    if git:
        found |= {"mlflow.source.git.commit": git.commit, "joulebatch.git_dirty": str(git.dirty).lower()}
    return {key: cut(value, _TAG_LENGTH) for key, value in found.items()}


def _note(report: Report) -> str:
    """Return the report in Markdown: whole where it fits, else its head and its summary."""
    sections = document(report, details=False)
    for shown in (sections, [each for each in sections if each is sections[0] or each.title == "Summary"]):
        text = sections_to_markdown(shown)
        if len(text) <= _TAG_LENGTH:
            return text
    whole_lines = text[: _TAG_LENGTH - len(_ELSEWHERE) - 2].rpartition("\n")[0]
    return f"{whole_lines}\n\n{_ELSEWHERE}"


def cut(text: str, length: int) -> str:
    """Return text of this length at most, marked where it was cut."""
    return text if len(text) <= length else text[: length - len(_MARK)] + _MARK
