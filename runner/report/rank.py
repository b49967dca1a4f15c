"""Which cells may be compared, how they compare with the baseline, and which are best."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np

from runner.report.figures import cpu_s_per_image, energy_per_image_j
from runner.report.schema import (
    OWN_DOMAIN,
    BackendChoice,
    BestSet,
    Cell,
    CellSummary,
    Comparison,
    Device,
    SessionEntry,
    Window,
)
from runner.stats.compare import LEAST_PAIRS, Table, best_set, lowest, verdict
from runner.stats.intervals import minimum_detectable_ratio, ratio_interval

Metric = Literal["latency", "cpu_s_per_image", "energy_per_image"]
CostMetric = Literal["cpu_s_per_image", "energy_per_image"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What may be compared."""

    cells: tuple[Cell, ...]
    """those without a reason in ``exclusion``, each with its summary"""
    windows: Mapping[str, Sequence[Window]]
    """of finished blocks, by cell"""
    devices: Mapping[str, Device]
    """by backend"""
    all_gpus_counted: bool
    """whether the domain ``gpu`` covers every GPU of the machine, idle ones included"""


def exclusion(cell: Cell, session: SessionEntry | None) -> str | None:
    """Return why a cell is shown but never compared or ranked, or None."""
    if cell.status != "measured":
        return f"{cell.status}: {cell.reason}" if cell.reason else cell.status
    if session and session.parity and session.parity.status == "failed":
        return "failed parity"
    if session and session.placement in {"partial-compute", "none"}:
        return f"placement {session.placement}"
    return None


def compare(evidence: Evidence, baseline: str) -> tuple[tuple[Comparison, ...], float | None]:
    """Return every comparison with the baseline backend and the run's minimum detectable ratio."""
    baselines = {_group(cell): cell for cell in evidence.cells if cell.backend == baseline}
    comparisons, detectable = [], []
    for cell in evidence.cells:
        base = baselines.get(_group(cell))
        if base is None or base is cell:
            continue
        for metric in _metrics(evidence, (cell, base)):
            table = _table(evidence, metric, (cell, base))
            if table is None:
                continue
            interval = ratio_interval(table[:, 0], table[:, 1])
            comparisons.append(
                Comparison(
                    cell=cell.key,
                    baseline_cell=base.key,
                    metric=metric,
                    ratio=interval.ratio,
                    low=interval.low,
                    high=interval.high,
                    pair_count=interval.pair_count,
                    verdict=verdict(interval),
                )
            )
            if metric == "latency":
                detectable.append(minimum_detectable_ratio(table[:, 0], table[:, 1]))
    known = [ratio for ratio in detectable if ratio is not None]
    return tuple(comparisons), median(known) if known else None


def best_sets(evidence: Evidence, *, quick: bool) -> Iterator[BestSet]:
    """Yield the best cells of each model, load and io: by latency, and by cost where cost ranks."""
    groups: dict[tuple[object, ...], list[Cell]] = defaultdict(list)
    for cell in evidence.cells:
        groups[_group(cell)].append(cell)
    for cells in groups.values():
        for metric, candidates in _rankings(evidence, cells):
            table = _table(evidence, metric, candidates) if len(candidates) > 1 else None
            if table is None:
                continue
            apparent = quick or len(table) < LEAST_PAIRS
            best = lowest(table)
            members = (best,) if apparent else best_set(table)
            yield BestSet(
                model=cells[0].model,
                variant=cells[0].variant,
                load=cells[0].load,
                metric=metric,
                best=candidates[best].key,
                members=tuple(candidates[member].key for member in members),
                apparent=apparent,
            )


def choose(evidence: Evidence, model: str, variant: str, backend: str) -> BackendChoice:
    """Return one backend's batch for most images per second and its batch for least cost per image."""
    cells = [
        cell
        for cell in evidence.cells
        # Device-resident cells leave out the copies that a user pays for.
        if (cell.model, cell.variant, cell.backend, cell.io) == (model, variant, backend, "host")
    ]
    back_to_back = [cell for cell in cells if cell.load.pace_hz is None]
    metric, candidates = _cost_candidates(evidence, cells)
    most = max(back_to_back, key=lambda cell: _summary(cell).images_per_s.mean, default=None)
    least = min(candidates, key=lambda cell: _mean_cost(metric, cell), default=None)
    return BackendChoice(
        model=model,
        variant=variant,
        backend=backend,
        most_images=most.key if most else None,
        least_cost=least.key if least else None,
        cost_metric=metric if candidates else None,
        cost_candidates=len(candidates),
    )


def _group(cell: Cell) -> tuple[object, ...]:
    """Return what two cells must share to be compared."""
    return cell.model, cell.variant, cell.load, cell.io


def _summary(cell: Cell) -> CellSummary:
    assert cell.summary is not None, cell.key
    return cell.summary


def _metrics(evidence: Evidence, cells: Sequence[Cell]) -> Iterator[Metric]:
    """Yield what can be compared between cells of one group."""
    yield "latency"
    if _cpu_time_ranks(evidence, cells):
        yield "cpu_s_per_image"
    if _energy_ranks(evidence, cells):
        yield "energy_per_image"


def _cpu_time_ranks(evidence: Evidence, cells: Sequence[Cell]) -> bool:
    """Return whether CPU time is a cost here.

    It is at equal images/s (back to back: threads x latency) on one device type (a GPU's work is not in it).
    """
    paced = all(cell.load.pace_hz is not None for cell in cells)
    return paced and len({evidence.devices[cell.backend] for cell in cells}) == 1


def _energy_ranks(evidence: Evidence, cells: Sequence[Cell]) -> bool:
    """Return whether joules are measured over one set of domains that holds all the devices in question."""
    energies = [_summary(cell).energy for cell in cells]
    measured = {energy.domains for energy in energies if energy and energy.status == "measured"}
    if len(measured) != 1 or not all(energy and energy.status == "measured" for energy in energies):
        return False
    devices = {evidence.devices[cell.backend] for cell in cells}
    needed = {OWN_DOMAIN[device] for device in devices}
    return needed <= set(*measured) and (len(devices) == 1 or evidence.all_gpus_counted)


def _rankings(evidence: Evidence, cells: Sequence[Cell]) -> Iterator[tuple[Metric, Sequence[Cell]]]:
    """Yield what cells of one group rank by: latency, and cost; all by energy or else by device type."""
    yield "latency", cells
    if _energy_ranks(evidence, cells):
        yield "energy_per_image", cells
        return
    for device in OWN_DOMAIN:
        alike = [cell for cell in cells if evidence.devices[cell.backend] == device]
        if _energy_ranks(evidence, alike):
            yield "energy_per_image", alike
        elif _cpu_time_ranks(evidence, alike):
            yield "cpu_s_per_image", alike


def _cost_candidates(evidence: Evidence, cells: Sequence[Cell]) -> tuple[CostMetric, list[Cell]]:
    """Return the largest group of one backend's cells that share what makes their cost comparable.

    That is the pace, because only then the gaps cost the same, and the domains. Paced cells win a tie.
    """
    groups: dict[tuple[object, ...], list[Cell]] = defaultdict(list)
    for cell in sorted(cells, key=lambda cell: cell.load.pace_hz is None):
        energy = _summary(cell).energy
        if energy and _energy_ranks(evidence, (cell,)):
            groups["energy_per_image", cell.load.pace_hz, energy.domains].append(cell)
    if groups:
        return "energy_per_image", max(groups.values(), key=len)
    for cell in cells:
        if cell.load.pace_hz is not None:
            groups["cpu_s_per_image", cell.load.pace_hz].append(cell)
    return "cpu_s_per_image", max(groups.values(), key=len, default=[])


def _mean_cost(metric: CostMetric, cell: Cell) -> float:
    summary = _summary(cell)
    if metric == "energy_per_image" and summary.energy:
        return summary.energy.per_image_j.mean
    return summary.cpu_s_per_image.mean


def _table(evidence: Evidence, metric: Metric, cells: Sequence[Cell]) -> Table | None:
    """Return the figures of the blocks that all these cells share, or None when no ratio can be taken."""
    columns = [_by_block(metric, cell, evidence.windows.get(cell.key, ())) for cell in cells]
    blocks = sorted(set.intersection(*(set(column) for column in columns)))
    table = np.array([[np.mean(column[block]) for column in columns] for block in blocks])
    return table if blocks and (table > 0).all() else None


def _by_block(metric: Metric, cell: Cell, windows: Sequence[Window]) -> dict[int, list[float]]:
    """Return a cell's figures by block; a window without the energy of every domain gives none."""
    column: dict[int, list[float]] = defaultdict(list)
    energy = _summary(cell).energy
    for window in windows:
        figure: float | None
        if metric == "latency":
            figure = window.latency_mean_s
        elif metric == "cpu_s_per_image":
            figure = cpu_s_per_image(cell, window)
        else:
            figure = energy_per_image_j(cell, window, energy.domains if energy else ())
        if figure is not None:
            column[window.block].append(figure)
    return column
