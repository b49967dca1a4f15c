"""What an image costs in a cell, and what costs must share to be compared."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runner.backends.interface import Device
from runner.meters.interface import Domain
from runner.report.schema import OWN_DOMAIN, Cell, CostMetric, Interval


@dataclass(frozen=True, slots=True)
class CostBasis:
    """What costs must share to be compared: what is counted, and over which time."""

    metric: CostMetric
    rate_hz: float | None
    """images per second asked for: a pace, or a queue's request rate"""
    domains: tuple[Domain, ...] = ()
    """of energy"""
    device: Device | None = None
    """the one kind of device within which costs compare; None where joules count all devices"""


def costs_by_basis(
    cells: Iterable[Cell], devices: Mapping[str, Device], *, all_gpus_counted: bool
) -> dict[CostBasis, list[tuple[Cell, Interval]]]:
    """Return by basis the cells whose cost ranks, each with the cost of an image in J or CPU-s.

    Args:
        cells: those that may win.
        devices: by backend.
        all_gpus_counted: whether the domain ``gpu`` covers every GPU of the machine, idle ones included.
    """
    groups: dict[CostBasis, list[tuple[Cell, Interval]]] = defaultdict(list)
    for cell in cells:
        if found := _cost(cell, devices[cell.backend], all_gpus_counted=all_gpus_counted):
            basis, cost = found
            groups[basis].append((cell, cost))
    return groups


def _cost(cell: Cell, device: Device, *, all_gpus_counted: bool) -> tuple[CostBasis, Interval] | None:
    """Return what an image costs: measured joules with those of its own device, or CPU time at a pace."""
    summary, pace_hz = cell.summary, cell.load.pace_hz
    if summary is None:
        return None
    energy = summary.energy
    if energy and energy.status == "measured" and OWN_DOMAIN[device] in energy.domains:
        # Those of a processor compare with those of a GPU where every GPU is in both.
        basis = CostBasis("energy_per_image", pace_hz, energy.domains, None if all_gpus_counted else device)
        return basis, energy.per_image_j
    if pace_hz is None or summary.cpu_occupancy:
        return None
    return CostBasis("cpu_s_per_image", pace_hz, device=device), summary.cpu_s_per_image
