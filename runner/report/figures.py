"""What the windows of one cell say per image."""

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from runner.meters.interface import Domain, Energy, Estimated
from runner.report.joules import Metering, all_measured, idle_power, joules, measured, summed_domains
from runner.report.schema import (
    OWN_DOMAIN,
    Cell,
    CellSummary,
    EnergySummary,
    Interval,
    Limits,
    Window,
)
from runner.stats.bootstrap import quantile_limits
from runner.stats.intervals import mean_interval
from runner.stats.outliers import outliers
from runner.stats.summary import Numbers, quantile
from runner.stats.variation import instabilities, variation_ratio


def image_count(cell: Cell, window: Window) -> int:
    """Return how many images a window put through the model."""
    return cell.load.batch_size * window.inference_count


def cpu_s_per_image(cell: Cell, window: Window) -> float:
    """Return the worker's CPU time per image."""
    return window.cpu_s / image_count(cell, window)


def energy_per_image_j(cell: Cell, window: Window, domains: Sequence[Domain]) -> float | None:
    """Return the gross energy per image over these domains, or None where one of them was not read."""
    if not domains or not all_measured(window.energy, domains):
        return None
    return joules(window.energy, domains) / image_count(cell, window)


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

    A window in which one of them was not read is left out, so that every sum covers the same.
    """
    domains = summed_domains((window.energy for window in windows), metering)
    read = [window for window in windows if all_measured(window.energy, domains)] if domains else []
    if not read:
        return None
    entries = [entry for window in read for entry in measured(window.energy) if entry.domain in domains]
    sampled = [entry.sampled_ratio for entry in entries if entry.sampled_ratio is not None]
    idle = idle_power(metering.idle, domains)
    gross_j = [joules(window.energy, domains) / image_count(cell, window) for window in read]
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


def _estimated_energy(cell: Cell, windows: Sequence[Window], metering: Metering) -> EnergySummary | None:
    """Return the estimate for the device of the cell with its error band, over the windows that have one."""
    own = OWN_DOMAIN[metering.device]
    estimates = [
        (window, entry)
        for window in windows
        for entry in window.energy
        if isinstance(entry, Estimated) and entry.domain == own
    ]
    if own is None or not estimates:
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


def _bound_ratio(energy: Sequence[Energy], domains: Sequence[Domain]) -> float:
    bounds_j = [entry.bound_j for entry in measured(energy) if entry.domain in domains]
    return sum(bounds_j) / joules(energy, domains)


def _limits(windows: Sequence[Numbers], p: float) -> Limits | None:
    limits = quantile_limits(windows, p)
    return Limits(low=limits[0], high=limits[1]) if limits else None


def _interval(values: Numbers) -> Interval:
    interval = mean_interval(values)
    return Interval(mean=interval.mean, low=interval.low, high=interval.high)
