"""What the windows of one cell say per image."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from runner.meters.interface import DOMAINS, Domain, Energy, Estimated, Measured
from runner.report.schema import (
    OWN_DOMAIN,
    Cell,
    CellSummary,
    Device,
    EnergySummary,
    IdleWindow,
    Interval,
    Limits,
    Window,
)
from runner.stats.bootstrap import quantile_limits
from runner.stats.intervals import mean_interval
from runner.stats.outliers import outliers
from runner.stats.summary import Numbers, quantile
from runner.stats.variation import instabilities, variation_ratio

IDLE_AGREEMENT_RATIO = 0.05
"""by which idle power before and after may differ: docs/measurement.md, section 3"""


@dataclass(frozen=True, slots=True)
class Metering:
    """How the energy of a cell was taken."""

    device: Device
    """on which it computes"""
    measured: tuple[Domain, ...]
    """domains whose meter opened"""
    idle: tuple[IdleWindow, ...] = ()
    """the machine at rest, before and after"""


def image_count(cell: Cell, window: Window) -> int:
    """Return how many images a window put through the model."""
    return cell.load.batch_size * window.inference_count


def cpu_s_per_image(cell: Cell, window: Window) -> float:
    """Return the worker's CPU time per image."""
    return window.cpu_s / image_count(cell, window)


def energy_per_image_j(cell: Cell, window: Window, domains: Sequence[Domain]) -> float | None:
    """Return the gross energy per image over these domains, or None where one of them was not read."""
    if not domains or not _all_measured(window.energy, domains):
        return None
    return _joules(window.energy, domains) / image_count(cell, window)


def idle_powers_w(windows: Sequence[IdleWindow], domains: Sequence[Domain], moment: str) -> list[float]:
    """Return what the resting machine drew over these domains in each window of a moment that read them all."""
    return [
        _joules(window.energy, domains) / window.wall_s
        for window in windows
        if window.moment == moment and _all_measured(window.energy, domains)
    ]


def summarise(
    cell: Cell, windows: Sequence[Window], latencies_s: Sequence[Numbers], metering: Metering
) -> CellSummary:
    """Return the figures of one cell.

    Args:
        cell: what was run.
        windows: at least one, in order of time.
        latencies_s: of every inference, by window.
        metering: how their energy was taken.
    """
    wall_s = sum(window.wall_s for window in windows)
    means_s = [window.latency_mean_s for window in windows]
    pooled_s = np.concatenate(latencies_s)
    p50_s, p90_s = quantile(pooled_s, 0.5), quantile(pooled_s, 0.9)
    return CellSummary(
        window_count=len(windows),
        inference_count=sum(window.inference_count for window in windows),
        latency_s=_interval(means_s),
        latency_p50_s=p50_s,
        latency_p90_s=p90_s,
        latency_p50_limits_s=None if p50_s is None else _limits(latencies_s, 0.5),
        latency_p90_limits_s=None if p90_s is None else _limits(latencies_s, 0.9),
        images_per_s=_interval([image_count(cell, window) / window.wall_s for window in windows]),
        cpu_s_per_image=_interval([cpu_s_per_image(cell, window) for window in windows]),
        cpu_occupancy=cell.load.pace_hz is None,
        cpu_per_wall_ratio=sum(window.cpu_s for window in windows) / wall_s,
        energy=_measured_energy(cell, windows, metering) or _estimated_energy(cell, windows, metering),
        variation_ratio=variation_ratio(means_s),
        outlier_count=sum(outliers(means_s)),
        unstable="; ".join(instability.value for instability in instabilities(means_s)),
    )


def _measured_energy(cell: Cell, windows: Sequence[Window], metering: Metering) -> EnergySummary | None:
    """Return the energy over one set of domains: all whose meter opened and was read in any window.

    A window in which one of them was not read is left out, so that every sum covers the same. Without the domain of
    the cell's own device there is no figure: an idle GPU's joules are not what a CPU spent.
    """
    domains = tuple(
        domain
        for domain in DOMAINS
        if domain in metering.measured and any(_is_measured(window.energy, domain) for window in windows)
    )
    if OWN_DOMAIN[metering.device] not in domains:
        return None
    read = [window for window in windows if _all_measured(window.energy, domains)]
    if not read:
        return None
    entries = [entry for window in read for entry in _measured(window.energy) if entry.domain in domains]
    sampled = [entry.sampled_ratio for entry in entries if entry.sampled_ratio is not None]
    idle = _idle(metering.idle, domains)
    gross_j = [_joules(window.energy, domains) / image_count(cell, window) for window in read]
    resting_s = [window.wall_s / image_count(cell, window) for window in read]
    net_j = [each_j - idle.power_w * s for each_j, s in zip(gross_j, resting_s, strict=True)] if idle else []
    return EnergySummary(
        domains=domains,
        sources=tuple(dict.fromkeys(entry.source for entry in entries)),
        status="measured",
        window_count=len(read),
        per_image_j=_interval(gross_j),
        net_per_image_j=_interval(net_j) if net_j else None,
        net_reliable=idle is not None and idle.is_reliable,
        sampled_ratio=fmean(sampled) if sampled else None,
        bound_ratio=max(_bound_ratio(window.energy, domains) for window in read),
    )


@dataclass(frozen=True, slots=True)
class _Idle:
    """What the resting machine draws over one set of domains."""

    power_w: float
    is_reliable: bool


def _idle(windows: Sequence[IdleWindow], domains: Sequence[Domain]) -> _Idle | None:
    """Return the mean of idle power before and after; unreliable where they differ, or before a run has ended.

    None where these very domains were not all read before.
    """
    powers_w = {moment: idle_powers_w(windows, domains, moment) for moment in ("before", "after")}
    if not powers_w["before"]:
        return None
    before_w = fmean(powers_w["before"])
    if not powers_w["after"]:
        return _Idle(before_w, is_reliable=False)
    after_w = fmean(powers_w["after"])
    power_w = (before_w + after_w) / 2
    return _Idle(power_w, is_reliable=abs(after_w - before_w) <= IDLE_AGREEMENT_RATIO * power_w)


def _estimated_energy(cell: Cell, windows: Sequence[Window], metering: Metering) -> EnergySummary | None:
    """Return the estimate for the device of the cell with its error band, over the windows that have one."""
    own = OWN_DOMAIN[metering.device]
    estimates = [
        (window, entry)
        for window in windows
        for entry in window.energy
        if isinstance(entry, Estimated) and entry.domain == own
    ]
    if not estimates:
        return None
    images = sum(image_count(cell, window) for window, _ in estimates)
    return EnergySummary(
        domains=(own,),
        sources=tuple(dict.fromkeys(entry.source for _, entry in estimates)),
        status="estimated",
        window_count=len(estimates),
        per_image_j=Interval(
            mean=sum(entry.energy_j for _, entry in estimates) / images,
            low=sum(entry.low_j for _, entry in estimates) / images,
            high=sum(entry.high_j for _, entry in estimates) / images,
        ),
    )


def _measured(energy: Sequence[Energy]) -> list[Measured]:
    return [entry for entry in energy if isinstance(entry, Measured)]


def _joules(energy: Sequence[Energy], domains: Sequence[Domain]) -> float:
    return sum(entry.energy_j for entry in _measured(energy) if entry.domain in domains)


def _bound_ratio(energy: Sequence[Energy], domains: Sequence[Domain]) -> float:
    bounds_j = [entry.bound_j for entry in _measured(energy) if entry.domain in domains]
    return sum(bounds_j) / _joules(energy, domains)


def _all_measured(energy: Sequence[Energy], domains: Sequence[Domain]) -> bool:
    return all(_is_measured(energy, domain) for domain in domains)


def _is_measured(energy: Sequence[Energy], domain: Domain) -> bool:
    """Return whether every meter of a domain was read; one unread package makes no total."""
    statuses = [entry.status for entry in energy if entry.domain == domain]
    return bool(statuses) and set(statuses) == {"measured"}


def _limits(windows: Sequence[Numbers], p: float) -> Limits | None:
    limits = quantile_limits(windows, p)
    return Limits(low=limits[0], high=limits[1]) if limits else None


def _interval(values: Numbers) -> Interval:
    interval = mean_interval(values)
    return Interval(mean=interval.mean, low=interval.low, high=interval.high)
