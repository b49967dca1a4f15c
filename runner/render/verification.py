"""What the twin predicted of some policies, beside what a live queue showed."""

from collections.abc import Sequence

from runner.render import numbers
from runner.render.layout import Column, Section, Table
from runner.report.schema import QueueCell, Report
from runner.twin.answers import Estimate, Prediction, Recommendation

_COLUMNS = (
    Column("backend", "left"),
    Column("policy", "left"),
    Column("figure", "left"),
    Column("predicted", "left"),
    Column("measured", "left"),
    Column("measured /\npredicted"),
)


def verification_section(answer: Recommendation, chosen: Sequence[Prediction], live: Report) -> Section:
    """Return a row per figure of every choice; a cell that was not replayed says why."""
    cells = {(cell.contender, cell.load.policy): cell for cell in (live.queue.cells if live.queue else ())}
    rows, notes = [], []
    for prediction in chosen:
        cell = cells[prediction.contender, prediction.policy]
        if cell.summary is None or cell.summary.doubt:
            reason = cell.summary.doubt if cell.summary else f"{cell.status}: {cell.reason}"
            notes.append(f"{prediction.policy} on {prediction.contender}: {reason}")
        if cell.summary:
            rows += _rows(answer, prediction, cell)
    notes.append("predicted from the archived report, with 95 % limits; measured now, over three windows")
    tables = (Table(_COLUMNS, tuple(rows)),) if rows else ()
    return Section("Verified live", tables=tables, notes=tuple(notes))


def _rows(answer: Recommendation, prediction: Prediction, cell: QueueCell) -> list[tuple[str, ...]]:
    summary = cell.summary
    assert summary is not None
    energy = summary.energy
    joules = answer.metric == "energy_per_image"
    cost = (energy.per_image_j.mean if energy else None) if joules else summary.cpu_s_per_image.mean
    figures = (
        ("mean response", prediction.response_s, summary.response.mean_s.mean, "s"),
        ("p95 response", prediction.response_p95_s, summary.response.p95_s, "s"),
        ("service", prediction.service_s, summary.service.mean_s.mean, "s"),
        (
            "energy per image" if joules else "CPU per image",
            prediction.cost_per_image,
            cost,
            "J" if joules else "s",
        ),
    )
    return [
        (
            str(prediction.contender),
            prediction.policy,
            name,
            _limits(predicted, unit),
            numbers.quantity(measured, unit),
            numbers.NOTHING if measured is None else numbers.ratio(measured / predicted.mean),
        )
        for name, predicted, measured, unit in figures
    ]


def _limits(estimate: Estimate, unit: str) -> str:
    scale = numbers.scale_for(unit, (estimate.mean,))
    return f"{numbers.interval(estimate.mean, estimate.low, estimate.high, scale)} {scale.unit}"
