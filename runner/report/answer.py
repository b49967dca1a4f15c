"""What a report answers across the backends of a model, and between which of its choices one must decide.

Nothing is measured, tested or archived here: the figures, the sets of best cells and the comparisons are the report's.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from runner.report.costs import CostBasis, costs_by_basis
from runner.report.evidence import Exclusions, all_gpus_counted
from runner.report.queue_rank import cost_metric, queue_exclusion
from runner.report.schema import (
    BestSet,
    Cell,
    Comparison,
    Interval,
    Metric,
    QueueCell,
    QueueComparison,
    Report,
)
from runner.stats.front import on_front

_LEAST_CHOICES = 2
"""below which there is nothing to choose"""


@dataclass(frozen=True, slots=True)
class Choice:
    """A cell with what it costs and how long it takes; neither is ever a zero that stands for nothing."""

    cell: Cell | QueueCell
    time_s: Interval
    """latency, or the response of a queue"""
    cost_per_image: Interval
    on_front: bool = False
    """whether no other choice of the same basis takes less time for less cost"""


@dataclass(frozen=True, slots=True)
class Pick:
    """The lowest or highest figure of a model in this run, and how far it is a claim."""

    metric: Metric
    cell: Cell
    best: BestSet | None
    """of its load and metric, where it is the best of one"""
    comparison: Comparison | None
    """with the baseline at the same load; None for the baseline itself, and where none could be made"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a report says of one model."""

    model: str
    most_images: Pick | None
    lowest_latency: Pick | None
    """back to back, of the smallest batch"""
    least_costs: tuple[tuple[CostBasis, Pick], ...]
    """one for each basis; empty where no cost ranks"""
    choices: tuple[tuple[CostBasis, tuple[Choice, ...]], ...]
    """what the least cost was chosen from"""


@dataclass(frozen=True, slots=True)
class QueueAnswer:
    """What a report says of one model at one request rate."""

    model: str
    rate: QueueCell
    """a cell of that rate"""
    choices: tuple[Choice, ...]
    basis: CostBasis
    lowest_response: QueueCell
    least_cost: QueueCell


def answers_of(report: Report) -> tuple[Answer, ...]:
    """Return the answer for each model, in the order of the run."""
    return tuple(_answer(report, model) for model in report.model_names)


def queue_answers_of(report: Report) -> tuple[QueueAnswer, ...]:
    """Return the answer for each model and request rate of a queue at which there was a choice."""
    rates: dict[tuple[object, ...], list[QueueCell]] = defaultdict(list)
    exclusions = Exclusions(report)
    for cell in report.queue.cells if report.queue else ():
        excluded = queue_exclusion(cell, exclusions.distrust(cell))
        if not excluded and (cell.model, cell.variant) not in report.barred:
            load = cell.load
            rates[cell.model, load.arrivals, load.relative_load, load.request_rate_hz].append(cell)
    groups = (group for cells in rates.values() for group in _comparable(report, cells))
    return tuple(_queue_answer(basis, cells) for basis, cells in groups if len(cells) >= _LEAST_CHOICES)


def comparison_of(
    report: Report, cell: QueueCell, metric: str, against: Literal["policy", "backend"]
) -> QueueComparison | None:
    """Return how a queue cell compares with the first policy, or with the baseline's cell of its policy."""
    comparisons = report.queue.comparisons if report.queue else ()
    wanted = cell.key, metric, against
    return next((each for each in comparisons if (each.cell, each.metric, each.against) == wanted), None)


def _choices(report: Report, model: str) -> tuple[tuple[CostBasis, tuple[Choice, ...]], ...]:
    """Return the cells of a model whose cost ranks, grouped by what makes costs comparable."""
    devices = {backend.label: backend.device for backend in report.backends}
    groups = costs_by_basis(_candidates(report, model), devices, all_gpus_counted=all_gpus_counted(report))
    return tuple((basis, _with_front([_choice(*each) for each in group])) for basis, group in groups.items())


def _choice(cell: Cell, cost: Interval) -> Choice:
    assert cell.summary is not None, cell.key
    return Choice(cell, cell.summary.latency_s, cost)


def _candidates(report: Report, model: str) -> Iterator[Cell]:
    """Yield what may win; cells on the device leave out copies that a user pays for, and a mixed load is no choice."""
    exclusions = Exclusions(report)
    for cell in report.cells:
        if cell.model != model or cell.io != "host" or cell.load.mixed or cell.load.gap_s:
            continue
        if cell.summary and exclusions.of(cell) is None and (model, cell.variant) not in report.barred:
            yield cell


def _with_front(choices: list[Choice]) -> tuple[Choice, ...]:
    front = on_front(
        [choice.cost_per_image.mean for choice in choices], [-choice.time_s.mean for choice in choices]
    )
    return tuple(
        Choice(choice.cell, choice.time_s, choice.cost_per_image, on_front=on)
        for choice, on in zip(choices, front, strict=True)
    )


def _answer(report: Report, model: str) -> Answer:
    candidates = [cell for cell in _candidates(report, model) if cell.load.is_back_to_back]
    rates = {cell.key: cell.summary.images_per_s.mean for cell in candidates if cell.summary}
    most = max(candidates, key=lambda cell: rates[cell.key], default=None)
    smallest = min((cell.load.batch_size for cell in candidates), default=0)
    quickest = min(
        (cell for cell in candidates if cell.load.batch_size == smallest and cell.summary),
        key=lambda cell: cell.summary.latency_s.mean if cell.summary else 0.0,
        default=None,
    )
    choices = _choices(report, model)
    least = tuple((basis, _pick(report, basis.metric, _cheapest(group))) for basis, group in choices)
    return Answer(
        model=model,
        most_images=_pick(report, "latency", most) if most else None,
        lowest_latency=_pick(report, "latency", quickest) if quickest else None,
        least_costs=least,
        choices=choices,
    )


def _cheapest(choices: tuple[Choice, ...]) -> Cell:
    cell = min(choices, key=lambda choice: choice.cost_per_image.mean).cell
    assert isinstance(cell, Cell)
    return cell


def _pick(report: Report, metric: Metric, cell: Cell) -> Pick:
    best = next((each for each in report.best_sets if (each.best, each.metric) == (cell.key, metric)), None)
    compared = next(
        (each for each in report.comparisons if (each.cell, each.metric) == (cell.key, metric)), None
    )
    return Pick(metric, cell, best, compared)


def _comparable(report: Report, cells: list[QueueCell]) -> Iterator[tuple[CostBasis, list[QueueCell]]]:
    """Yield the cells of one rate with what their cost is: of all together where one ranks them, else by device."""
    devices = {backend.label: backend.device for backend in report.backends}
    whole = all_gpus_counted(report)
    kinds = sorted({devices[cell.backend] for cell in cells})
    if cost_metric(cells, devices, all_gpus_counted=whole) is not None:
        groups = [cells]
    else:
        groups = [[cell for cell in cells if devices[cell.backend] == kind] for kind in kinds]
    for group in groups:
        metric = cost_metric(group, devices, all_gpus_counted=whole)
        assert metric is not None, "cells of one kind of device have a cost"
        energy = group[0].summary.energy if group[0].summary else None
        domains = energy.domains if energy and metric == "energy_per_image" else ()
        device = None if metric == "energy_per_image" else devices[group[0].backend]
        yield CostBasis(metric, group[0].load.request_rate_hz, domains, device), group


def _queue_answer(basis: CostBasis, cells: list[QueueCell]) -> QueueAnswer:
    choices = _with_front([_queue_choice(cell, basis) for cell in cells])
    quickest = min(choices, key=lambda choice: choice.time_s.mean).cell
    cheapest = min(choices, key=lambda choice: choice.cost_per_image.mean).cell
    assert isinstance(quickest, QueueCell)
    assert isinstance(cheapest, QueueCell)
    return QueueAnswer(cells[0].model, cells[0], choices, basis, quickest, cheapest)


def _queue_choice(cell: QueueCell, basis: CostBasis) -> Choice:
    summary = cell.summary
    assert summary is not None, cell.key
    joules = summary.energy.per_image_j if summary.energy and basis.metric == "energy_per_image" else None
    return Choice(cell, summary.response.mean_s, joules or summary.cpu_s_per_image)
