"""What may be compared: which cells, by which figures, in which windows."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runner.backends.interface import Device
from runner.report.figures import cpu_s_per_image, energy_per_image_j
from runner.report.schema import (
    OWN_DOMAIN,
    UNTRUSTED_PLACEMENTS,
    Cell,
    CellSummary,
    Metric,
    QueueCell,
    Report,
    SessionEntry,
    Window,
)
from runner.stats.compare import Table
from runner.stats.intervals import RatioInterval, ratio_interval

WindowsByCell = Mapping[str, Sequence[Window]]
Places = Mapping[str, Sequence[int]]
"""places in the report's ``windows``, by cell"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What may be compared."""

    cells: tuple[Cell, ...]
    """those without a reason in ``exclusion``, each with its summary"""
    windows: WindowsByCell
    """of finished blocks that no other repeats"""
    finished: WindowsByCell
    """of all finished blocks, the repeated disturbed ones included"""
    devices: Mapping[str, Device]
    """by backend"""
    all_gpus_counted: bool
    """whether the domain ``gpu`` covers every GPU of the machine, idle ones included"""
    barred: Collection[tuple[str, str]] = ()
    """models and their variants that are compared and never win"""

    @property
    def candidates(self) -> tuple[Cell, ...]:
        """The cells that may win."""
        return tuple(cell for cell in self.cells if (cell.model, cell.variant) not in self.barred)


@dataclass(frozen=True, slots=True)
class Paired:
    """The figures of the blocks that some cells share."""

    table: Table
    """a row per block, a column per cell"""
    workers: tuple[int, ...]
    """per row: which process took it, of the cell that had the fewest of them"""


def exclusion(cell: Cell, session: SessionEntry | None) -> str | None:
    """Return why a cell is shown but never compared or ranked, or None."""
    if cell.status != "measured":
        return f"{cell.status}: {cell.reason}" if cell.reason else cell.status
    return distrust(session)


def distrust(session: SessionEntry | None) -> str | None:
    """Return why the figures of a session count for nothing, or None."""
    if session and session.parity and session.parity.status == "failed":
        return "failed parity"
    if session and session.placement in UNTRUSTED_PLACEMENTS:
        return f"placement {session.placement}"
    return None


class Exclusions:
    """Why cells of one report are shown but never compared."""

    def __init__(self, report: Report) -> None:
        self._sessions = {(entry.model, entry.contender): entry for entry in report.sessions}
        self._lost = {(entry.name, entry.variant) for entry in report.models if entry.quality == "lost"}

    def of(self, cell: Cell) -> str | None:
        """Return why, or None."""
        return exclusion(cell, self._trusted(cell))

    def distrust(self, cell: QueueCell) -> str | None:
        """Return why the figures of a cell's session count for nothing, or None."""
        return distrust(self._trusted(cell))

    def _trusted(self, cell: Cell | QueueCell) -> SessionEntry | None:
        """Return the session; outputs that are off because the file is say nothing against the backend."""
        session = self._sessions.get((cell.model, cell.contender))
        if session and (cell.model, cell.variant) in self._lost:
            return session.model_copy(update={"parity": None})
        return session


def figure_windows(windows: Sequence[Window]) -> Places:
    """Return what each cell's figures are made of: its paired windows, or all of them where none is paired."""
    grouped: dict[str, list[int]] = defaultdict(list)
    for place, window in enumerate(windows):
        grouped[window.cell].append(place)
    return {
        key: [place for place in places if windows[place].paired] or places for key, places in grouped.items()
    }


def all_gpus_counted(report: Report) -> bool:
    """Return whether the domain ``gpu`` covers every GPU of the machine, idle ones included."""
    metered = {
        device
        for meter in report.meters
        if meter.domain == "gpu" and meter.status == "measured"
        for device in meter.devices
    }
    return {gpu.uuid for gpu in report.environment.gpus} <= metered


def group_of(cell: Cell) -> tuple[object, ...]:
    """Return what two cells must share to be compared."""
    return cell.model, cell.load, cell.io


def grouped(cells: Sequence[Cell]) -> tuple[tuple[Cell, ...], ...]:
    """Return the cells that may be compared with each other."""
    groups: dict[tuple[object, ...], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[group_of(cell)].append(cell)
    return tuple(tuple(cells) for cells in groups.values())


def summary_of(cell: Cell) -> CellSummary:
    """Return the figures of a cell that has some."""
    assert cell.summary is not None, cell.key
    return cell.summary


def metrics(evidence: Evidence, cells: Sequence[Cell]) -> Iterator[Metric]:
    """Yield what can be compared between cells of one group."""
    yield "latency"
    if cpu_time_ranks(evidence, cells):
        yield "cpu_s_per_image"
    if energy_ranks(evidence, cells):
        yield "energy_per_image"


def rankings(evidence: Evidence, cells: Sequence[Cell]) -> Iterator[tuple[Metric, Sequence[Cell]]]:
    """Yield what cells of one group rank by: latency, and cost; all by energy or else by device type."""
    yield "latency", cells
    if energy_ranks(evidence, cells):
        yield "energy_per_image", cells
        return
    for device in OWN_DOMAIN:
        alike = [cell for cell in cells if evidence.devices[cell.backend] == device]
        if energy_ranks(evidence, alike):
            yield "energy_per_image", alike
        elif cpu_time_ranks(evidence, alike):
            yield "cpu_s_per_image", alike


def cpu_time_ranks(evidence: Evidence, cells: Sequence[Cell]) -> bool:
    """Return whether CPU time is a cost here.

    It is at equal images/s (back to back: threads x latency) on one device type (a GPU's work is not in it).
    """
    paced = all(cell.load.pace_hz is not None for cell in cells)
    return paced and len({evidence.devices[cell.backend] for cell in cells}) == 1


def energy_ranks(evidence: Evidence, cells: Sequence[Cell]) -> bool:
    """Return whether joules are measured over one set of domains that holds all the devices in question."""
    energies = [summary_of(cell).energy for cell in cells]
    measured = {energy.domains for energy in energies if energy and energy.status == "measured"}
    if len(measured) != 1 or not all(energy and energy.status == "measured" for energy in energies):
        return False
    devices = {evidence.devices[cell.backend] for cell in cells}
    needed = {OWN_DOMAIN[device] for device in devices}
    return needed <= set(*measured) and (len(devices) == 1 or evidence.all_gpus_counted)


def pair(windows: WindowsByCell, metric: Metric, cells: Sequence[Cell]) -> Paired | None:
    """Return the figures of the blocks that all these cells share, or None when no ratio can be taken."""
    columns = [_by_block(metric, cell, windows.get(cell.key, ())) for cell in cells]
    blocks = sorted(set.intersection(*(set(column) for column in columns)))
    table = np.array([[column[block][0] for column in columns] for block in blocks])
    if not blocks or not (table > 0).all():
        return None
    workers = (tuple(column[block][1] for block in blocks) for column in columns)
    return Paired(table, min(workers, key=lambda own: len(set(own))))


def ratio_of(paired: Paired) -> RatioInterval:
    """Return the ratio of the first of two cells to the second."""
    own, bases = paired.table.T
    return ratio_interval(own, bases, paired.workers)


def paired_ratio(evidence: Evidence, metric: Metric, cell: Cell, base: Cell) -> RatioInterval | None:
    """Return the ratio of one cell to another over the blocks that count, or None when none can be taken."""
    paired = pair(evidence.windows, metric, (cell, base))
    return ratio_of(paired) if paired else None


def _by_block(metric: Metric, cell: Cell, windows: Sequence[Window]) -> dict[int, tuple[float, int]]:
    """Return a cell's figure and its worker by block; a window without the energy of every domain gives none."""
    energy = summary_of(cell).energy
    column = {}
    for window in windows:
        figure: float | None
        if metric == "latency":
            figure = window.latency_mean_s
        elif metric == "cpu_s_per_image":
            figure = cpu_s_per_image(cell, window)
        else:
            figure = energy_per_image_j(cell, window, energy.domains if energy else ())
        if figure is not None:
            column[window.block] = (figure, window.worker)
    return column
