"""What the windows of one queue cell say, per request."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from runner.report.joules import Metering, all_measured, joules, loaded_power_w, measured, summed_domains
from runner.report.schema import Interval, QueueCell, QueueEnergy, QueueSummary, QueueWindow, Times
from runner.stats.intervals import mean_interval
from runner.stats.queueing import (
    Replay,
    RequestTimes,
    batch_counts,
    busy_s,
    longest_queue,
    mean_queue,
    queue_lengths,
    request_times,
)
from runner.stats.summary import Numbers, quantile

_Item = TypeVar("_Item")

LATE_LIMIT_RATIO = 0.1
"""Ours: where the loop itself is later than this part of a mean gap, arrivals are not those that were asked for."""
BUSY_LIMIT_RATIO = 0.98
"""Ours: a server that is busy for longer has no time to catch up with a queue that grew."""
GROWTH_RATIO = 1.5
"""Ours: by how much the last quarter of requests waits longer than the second where a queue grew. It is 2.3 where waits
grow from the first request on, and 1 where they settled, as those of a greedy policy do, at batches that suffice."""
QUEUE_PARTS = 20
"""of a window, for the queue over time"""


def summarise_queue(
    cell: QueueCell, windows: Sequence[QueueWindow], replays: Sequence[Replay], metering: Metering
) -> QueueSummary:
    """Return the figures of one cell.

    Args:
        cell: what was replayed.
        windows: at least one, in order of time.
        replays: what happened to their requests.
        metering: how their energy was taken.
    """
    times = [request_times(replay) for replay in replays]
    utilisation = _over(replays, lambda replay: busy_s(replay) / replay.span_s)
    late_ratio = float(np.mean([window.late_s for window in windows])) * (cell.load.request_rate_hz or 0.0)
    decoded = any(each.decode_s.any() for each in times)
    return QueueSummary(
        window_count=len(windows),
        request_count=sum(window.request_count for window in windows),
        served_count=sum(window.served_count for window in windows),
        wait=_times(times, lambda each: each.wait_s),
        service=_times(times, lambda each: each.service_s),
        response=_times(times, lambda each: each.response_s),
        decode_mean_s=_over(times, lambda each: float(each.decode_s.mean())) if decoded else None,
        batch_counts=batch_counts(replays),
        batch_mean=sum(replay.served for replay in replays) / sum(replay.counts.size for replay in replays),
        utilisation_ratio=utilisation,
        queue_mean=_over(replays, mean_queue),
        queue_max=max(map(longest_queue, replays)),
        queue_lengths=tuple(np.mean([queue_lengths(each, QUEUE_PARTS) for each in replays], axis=0).tolist()),
        images_per_s=_over(windows, lambda window: window.served_count / window.wall_s),
        cpu_s_per_image=_over(windows, cpu_s_per_request),
        busy_cpu_s_per_image=_over(windows, lambda window: window.busy_cpu_s / window.served_count),
        energy=_energy(cell, windows, replays, metering),
        late_ratio=late_ratio,
        doubt=_doubt(late_ratio, utilisation.mean, grew=_grew(times)),
    )


def cpu_s_per_request(window: QueueWindow) -> float:
    """Return the worker's CPU time per served request, that between services included."""
    return window.cpu_s / window.served_count


def _grew(times: Sequence[RequestTimes]) -> bool:
    """Return whether requests waited the longer the later they came."""
    quarters = [[part.mean() for part in np.array_split(each.wait_s, 4) if part.size] for each in times]
    whole = np.array([each for each in quarters if len(each) == 4])  # noqa: PLR2004 - a window of fewer tells nothing
    if not whole.size:
        return False
    _, second_s, _, last_s = whole.mean(axis=0)
    return bool(last_s > GROWTH_RATIO * second_s)


def _doubt(late_ratio: float, utilisation_ratio: float, *, grew: bool) -> str:
    if late_ratio > LATE_LIMIT_RATIO:
        return f"the loop was late by {late_ratio:.0%} of the mean gap itself, {LATE_LIMIT_RATIO:.0%} are allowed"
    if utilisation_ratio > BUSY_LIMIT_RATIO and grew:
        return f"overloaded: the server was busy {utilisation_ratio:.1%} of the time, and the queue grew"
    return ""


def _energy(
    cell: QueueCell, windows: Sequence[QueueWindow], replays: Sequence[Replay], metering: Metering
) -> QueueEnergy | None:
    """Return the energy over one set of domains; windows in which one of them was not read are left out."""
    domains = summed_domains((window.energy for window in windows), metering)
    read = [
        (window, replay)
        for window, replay in zip(windows, replays, strict=True)
        if domains and all_measured(window.energy, domains)
    ]
    if not read:
        return None
    energies_j = [joules(window.energy, domains) for window, _ in read]
    walls_s = [window.wall_s for window, _ in read]
    served = [window.served_count for window, _ in read]
    idle_w = loaded_power_w(metering.idle, domains, cell.model)
    entries = [entry for window, _ in read for entry in measured(window.energy) if entry.domain in domains]
    rows = list(zip(energies_j, walls_s, served, strict=True))
    return QueueEnergy(
        domains=domains,
        sources=tuple(dict.fromkeys(entry.source for entry in entries)),
        window_count=len(read),
        per_image_j=_interval([energy_j / count for energy_j, _, count in rows]),
        active_per_image_j=None
        if idle_w is None
        else _interval([(energy_j - idle_w * wall_s) / count for energy_j, wall_s, count in rows]),
        idle_per_image_j=None
        if idle_w is None
        else _interval([idle_w * wall_s / count for _, wall_s, count in rows]),
        average_w=_interval([energy_j / wall_s for energy_j, wall_s, _ in rows]),
        busy_w=None
        if idle_w is None
        else _interval(
            [
                _busy_w(energy_j, busy_s(replay), window.wall_s, idle_w)
                for energy_j, (window, replay) in zip(energies_j, read, strict=True)
            ]
        ),
    )


def _busy_w(energy_j: float, served_s: float, wall_s: float, idle_w: float) -> float:
    """Return the mean power over services, the machine having drawn idle power in between."""
    return (energy_j - idle_w * (wall_s - served_s)) / served_s


def _times(times: Sequence[RequestTimes], pick: Callable[[RequestTimes], Numbers]) -> Times:
    """Return the mean over windows, and quantiles of all requests together."""
    own = [np.asarray(pick(each)) for each in times]
    pooled = np.concatenate(own)
    return Times(
        mean_s=_interval([float(each.mean()) for each in own]),
        p50_s=quantile(pooled, 0.5),
        p95_s=quantile(pooled, 0.95),
        p99_s=quantile(pooled, 0.99),
        max_s=float(pooled.max()),
    )


def _over(items: Sequence[_Item], figure: Callable[[_Item], float]) -> Interval:
    """Return a figure of each window as a mean with its interval."""
    return _interval([figure(item) for item in items])


def _interval(values: Numbers) -> Interval:
    interval = mean_interval(values)
    return Interval(mean=interval.mean, low=interval.low, high=interval.high)
