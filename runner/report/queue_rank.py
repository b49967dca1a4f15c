"""How queue cells compare: policies with each other at one rate, and contenders under one policy."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from runner.backends.interface import Device
from runner.contender import Contender
from runner.policies.registry import parse_policy
from runner.report.joules import all_measured, joules
from runner.report.queue_figures import cpu_s_per_request
from runner.report.schema import (
    OWN_DOMAIN,
    QueueCell,
    QueueComparison,
    QueueCost,
    QueueMetric,
    QueueTest,
    QueueWindow,
)
from runner.stats.compare import verdict
from runner.stats.effect import cliffs_delta
from runner.stats.intervals import ratio_interval
from runner.stats.queueing import Replay, request_times
from runner.stats.ranktests import Found, family


@dataclass(frozen=True, slots=True)
class QueueEvidence:
    """What may be compared."""

    planned: tuple[QueueCell, ...]
    """all of them, in the order of the plan: the first policy of a rate is the one that others are compared with"""
    cells: tuple[QueueCell, ...]
    """those of them with a summary and without a reason in ``queue_exclusion``"""
    windows: Mapping[str, Sequence[tuple[QueueWindow, Replay]]]
    """by cell: those of finished blocks that no other repeats"""
    devices: Mapping[str, Device]
    """by backend"""
    baselines: Mapping[str, Contender]
    """by model"""
    all_gpus_counted: bool
    """whether the domain ``gpu`` covers every GPU of the machine, idle ones included"""


def queue_exclusion(cell: QueueCell, distrusted: str | None) -> str | None:
    """Return why a cell is shown but never compared, or None.

    Args:
        cell: with its summary, where it has one.
        distrusted: why its session's figures count for nothing; None where they count.
    """
    if cell.status != "measured" or cell.summary is None:
        return f"{cell.status}: {cell.reason}" if cell.reason else cell.status
    return cell.summary.doubt or distrusted


def compare_queue(evidence: QueueEvidence) -> Iterator[QueueComparison]:
    """Yield every cell against the first policy of its rate, and against the baseline under its policy."""
    for first, cells in _families(evidence):
        for cell in cells if first in cells else ():
            if cell is not first:
                yield from _compared(evidence, cell, first, "policy")
    bases = {_of_policy(cell): cell for cell in evidence.cells if _is_baseline(evidence, cell)}
    for cell in evidence.cells:
        base = bases.get(_of_policy(cell))
        if base and base is not cell and cell.load.relative_load is None:
            yield from _compared(evidence, cell, base, "backend")


def rank_tests(evidence: QueueEvidence) -> Iterator[QueueTest]:
    """Yield the rank tests of every model, contender and rate: over all policies, and over fixed batches."""
    for first, cells in _families(evidence):
        if first not in cells:
            continue
        fixed = [cell for cell in cells if parse_policy(cell.load.policy).kind == "fixed"]
        fixed.sort(key=lambda cell: parse_policy(cell.load.policy).largest_batch)
        factors: tuple[tuple[Literal["policy", "batch size"], Sequence[QueueCell]], ...] = (
            ("policy", cells),
            ("batch size", fixed),
        )
        for factor, members in factors:
            for metric in _metrics(evidence, members) if len(members) > 1 else ():
                for found in _tests(evidence, metric, members):
                    yield _record(factor, metric, members, found)


def cost_metric(
    cells: Sequence[QueueCell], devices: Mapping[str, Device], *, all_gpus_counted: bool
) -> QueueCost | None:
    """Return what these cells' cost is: joules over one set of domains, else CPU time on one kind of device.

    Args:
        cells: with their summaries.
        devices: by backend.
        all_gpus_counted: whether the domain ``gpu`` covers every GPU of the machine, idle ones included.
    """
    domains = {cell.summary.energy.domains if cell.summary and cell.summary.energy else () for cell in cells}
    own = {devices[cell.backend] for cell in cells}
    covered = len(domains) == 1 and {OWN_DOMAIN[device] for device in own} <= set(*domains)
    if covered and (len(own) == 1 or all_gpus_counted):
        return "energy_per_image"
    return "cpu_s_per_image" if len(own) == 1 else None


def _families(evidence: QueueEvidence) -> Iterator[tuple[QueueCell, list[QueueCell]]]:
    """Yield the first planned cell of each model, contender and rate, and those of its policies that count."""
    families: dict[Hashable, list[QueueCell]] = defaultdict(list)
    for cell in evidence.planned:
        load = cell.load
        rate = load.request_rate_hz if load.relative_load is None else -load.relative_load
        families[cell.model, cell.contender, load.arrivals, rate].append(cell)
    for cells in families.values():
        yield cells[0], [cell for cell in cells if cell in evidence.cells]


def _of_policy(cell: QueueCell) -> Hashable:
    return cell.model, cell.load


def _is_baseline(evidence: QueueEvidence, cell: QueueCell) -> bool:
    return cell.contender == evidence.baselines.get(cell.model)


def _metrics(evidence: QueueEvidence, cells: Sequence[QueueCell]) -> tuple[QueueMetric, ...]:
    cost = cost_metric(cells, evidence.devices, all_gpus_counted=evidence.all_gpus_counted)
    return ("response",) if cost is None else ("response", cost)


def _compared(
    evidence: QueueEvidence, cell: QueueCell, base: QueueCell, against: Literal["policy", "backend"]
) -> Iterator[QueueComparison]:
    for metric in _metrics(evidence, (cell, base)):
        own, bases = (_by_block(evidence, metric, each) for each in (cell, base))
        blocks = sorted(own.keys() & bases.keys())
        if not blocks or min(own[block][0] for block in blocks) <= 0 or min(bases[b][0] for b in blocks) <= 0:
            continue
        values, base_values = ([column[block][0] for block in blocks] for column in (own, bases))
        takers = ([column[block][1] for block in blocks] for column in (own, bases))
        interval = ratio_interval(values, base_values, min(takers, key=lambda each: len(set(each))))
        yield QueueComparison(
            cell=cell.key,
            baseline_cell=base.key,
            against=against,
            metric=metric,
            ratio=interval.ratio,
            low=interval.low,
            high=interval.high,
            pair_count=interval.pair_count,
            verdict=verdict(interval),
            worker_count=interval.worker_count,
            cliffs_delta=cliffs_delta(values, base_values),
        )


def _by_block(evidence: QueueEvidence, metric: QueueMetric, cell: QueueCell) -> dict[int, tuple[float, int]]:
    """Return a cell's figure and its worker by block; a window without the energy of every domain gives none."""
    energy = cell.summary.energy if cell.summary else None
    column: dict[int, tuple[float, int]] = {}
    for window, replay in evidence.windows.get(cell.key, ()):
        if metric == "response":
            figure = float(request_times(replay).response_s.mean())
        elif metric == "cpu_s_per_image":
            figure = cpu_s_per_request(window)
        elif energy and all_measured(window.energy, energy.domains):
            figure = joules(window.energy, energy.domains) / window.served_count
        else:
            continue
        column[window.block] = (figure, window.worker)
    return column


def _tests(evidence: QueueEvidence, metric: QueueMetric, cells: Sequence[QueueCell]) -> Iterator[Found]:
    columns = [_by_block(evidence, metric, cell) for cell in cells]
    blocks = sorted(set.intersection(*(set(column) for column in columns)))
    if not blocks:
        return iter(())
    table = np.array([[column[block][0] for column in columns] for block in blocks])
    return family(table, {(place, 0): table[:, (place, 0)] for place in range(1, len(cells))})


def _record(
    factor: Literal["policy", "batch size"], metric: QueueMetric, cells: Sequence[QueueCell], found: Found
) -> QueueTest:
    first = cells[0]
    return QueueTest(
        model=first.model,
        variant=first.variant,
        backend=first.backend,
        arrivals=first.load.arrivals,
        request_rate_hz=first.load.request_rate_hz,
        relative_load=first.load.relative_load,
        factor=factor,
        metric=metric,
        test=found.name,
        cells=tuple(cells[place].key for place in found.members),
        block_count=found.block_count,
        statistic=found.test.statistic,
        p=found.test.p,
        p_holm=found.p_holm,
    )
