"""What the windows of one cell say per image."""

from collections.abc import Sequence

from runner.meters.interface import Domain, Energy, Estimated, Measured
from runner.report.schema import Cell, CellSummary, EnergySummary, Interval, Window
from runner.stats.intervals import mean_interval
from runner.stats.summary import Numbers, quantile

DOMAINS: tuple[Domain, ...] = ("cpu_package", "dram", "gpu")


def image_count(cell: Cell, window: Window) -> int:
    """Return how many images a window put through the model."""
    return cell.load.batch_size * window.inference_count


def cpu_s_per_image(cell: Cell, window: Window) -> float:
    """Return the worker's CPU time per image."""
    return window.cpu_s / image_count(cell, window)


def energy_per_image_j(cell: Cell, window: Window, domains: Sequence[Domain]) -> float:
    """Return the gross energy per image over these domains, which the window must have measured."""
    energy_j = sum(entry.energy_j for entry in _measured(window.energy) if entry.domain in domains)
    return energy_j / image_count(cell, window)


def summarise(cell: Cell, windows: Sequence[Window], latencies_s: Numbers) -> CellSummary:
    """Return the figures of one cell.

    Args:
        cell: what was run.
        windows: at least one.
        latencies_s: of every inference in these windows.
    """
    wall_s = sum(window.wall_s for window in windows)
    return CellSummary(
        window_count=len(windows),
        inference_count=sum(window.inference_count for window in windows),
        latency_s=_interval([window.latency_mean_s for window in windows]),
        latency_p50_s=quantile(latencies_s, 0.5),
        latency_p90_s=quantile(latencies_s, 0.9),
        images_per_s=_interval([image_count(cell, window) / window.wall_s for window in windows]),
        cpu_s_per_image=_interval([cpu_s_per_image(cell, window) for window in windows]),
        cpu_occupancy=cell.load.pace_hz is None,
        cpu_per_wall_ratio=sum(window.cpu_s for window in windows) / wall_s,
        energy=_measured_energy(cell, windows) or _estimated_energy(cell, windows),
    )


def _measured_energy(cell: Cell, windows: Sequence[Window]) -> EnergySummary | None:
    """Return the energy over the domains that every window measured, so that each sum covers the same."""
    domains = tuple(
        domain for domain in DOMAINS if all(_is_measured(window.energy, domain) for window in windows)
    )
    if not domains:
        return None
    entries = [entry for window in windows for entry in _measured(window.energy) if entry.domain in domains]
    return EnergySummary(
        domains=domains,
        sources=tuple(dict.fromkeys(entry.source for entry in entries)),
        status="measured",
        per_image_j=_interval([energy_per_image_j(cell, window, domains) for window in windows]),
    )


def _estimated_energy(cell: Cell, windows: Sequence[Window]) -> EnergySummary | None:
    """Return the estimate for the processor with its error band, or None unless every window has one."""
    estimates = [entry for window in windows for entry in window.energy if isinstance(entry, Estimated)]
    if len(estimates) != len(windows):
        return None
    images = sum(image_count(cell, window) for window in windows)
    return EnergySummary(
        domains=tuple(dict.fromkeys(entry.domain for entry in estimates)),
        sources=tuple(dict.fromkeys(entry.source for entry in estimates)),
        status="estimated",
        per_image_j=Interval(
            mean=sum(entry.energy_j for entry in estimates) / images,
            low=sum(entry.low_j for entry in estimates) / images,
            high=sum(entry.high_j for entry in estimates) / images,
        ),
    )


def _measured(energy: Sequence[Energy]) -> list[Measured]:
    return [entry for entry in energy if isinstance(entry, Measured)]


def _is_measured(energy: Sequence[Energy], domain: Domain) -> bool:
    """Return whether every meter of a domain was read; one unread package makes no total."""
    statuses = [entry.status for entry in energy if entry.domain == domain]
    return bool(statuses) and set(statuses) == {"measured"}


def _interval(values: Numbers) -> Interval:
    interval = mean_interval(values)
    return Interval(mean=interval.mean, low=interval.low, high=interval.high)
