"""What a report says of each of its cells, as the few numbers that a comparison with another run needs."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Final, Literal

from runner.report.evidence import Exclusions, figure_windows
from runner.report.figures import cpu_s_per_image, energy_per_image_j
from runner.report.joules import all_measured, joules
from runner.report.queue_figures import cpu_s_per_request
from runner.report.queue_rank import queue_exclusion
from runner.report.schema import Cell, Interval, QueueCell, QueueWindow, Report, Window
from runner.stats.unpaired import LogMean, log_mean

GateMetric = Literal["latency", "cpu", "energy"]
METRICS: Final[tuple[GateMetric, ...]] = ("latency", "cpu", "energy")
"""latency: of an inference, in the queue the mean response; cpu and energy: CPU time and joules per image"""
NOT_PLANNED = "not planned"


@dataclass(frozen=True, slots=True)
class CellEvidence:
    """A cell of one report."""

    cell: Cell | QueueCell
    excluded: str | None
    """why it is shown and never compared, or None"""
    figures: Mapping[GateMetric, LogMean] = field(default_factory=dict)
    """those that its windows bear out"""
    means: Mapping[GateMetric, float] = field(default_factory=dict)
    """the same as the report shows them, in s, s and J per image"""
    occupancy: bool = False
    """whether CPU time is threads x latency: shown, and judged by no gate"""


def cell_evidence(report: Report) -> dict[str, CellEvidence]:
    """Return what a report says of its cells, those of its queue included, by key."""
    exclusions, places = Exclusions(report), figure_windows(report.windows)
    found = {}
    for cell in report.cells:
        windows = [report.windows[place] for place in places.get(cell.key, ())]
        why = exclusions.of(cell)
        found[cell.key] = CellEvidence(cell, why) if why or not cell.summary else _of_cell(cell, windows)
    if report.queue:
        taken: dict[str, list[QueueWindow]] = defaultdict(list)
        for window in report.queue.windows:
            taken[window.cell].append(window)
        for queued in report.queue.cells:
            why = queue_exclusion(queued, exclusions.distrust(queued))
            own = taken[queued.key]
            own = [window for window in own if window.paired] or own
            found[queued.key] = CellEvidence(queued, why) if why else _of_queue_cell(queued, own)
    return found


def _of_cell(cell: Cell, windows: Sequence[Window]) -> CellEvidence:
    assert cell.summary is not None, cell.key
    energy = cell.summary.energy
    domains = energy.domains if energy and energy.status == "measured" else ()
    values = {
        "latency": [(window.latency_mean_s, window.worker) for window in windows],
        "cpu": [(cpu_s_per_image(cell, window), window.worker) for window in windows],
        "energy": [
            (value, window.worker)
            for window in windows
            if (value := energy_per_image_j(cell, window, domains)) is not None
        ],
    }
    means = {"latency": cell.summary.latency_s.mean, "cpu": cell.summary.cpu_s_per_image.mean}
    if energy and domains:
        means["energy"] = energy.per_image_j.mean
    figures = dict(_figures(values))
    return CellEvidence(
        cell,
        None,
        figures,
        {each: means[each] for each in METRICS if each in figures},
        cell.load.pace_hz is None,
    )


def _of_queue_cell(cell: QueueCell, windows: Sequence[QueueWindow]) -> CellEvidence:
    assert cell.summary is not None, cell.key
    energy = cell.summary.energy
    domains = energy.domains if energy else ()
    served = [window for window in windows if window.served_count]
    values = {
        "cpu": [(cpu_s_per_request(window), window.worker) for window in served],
        "energy": [
            (joules(window.energy, domains) / window.served_count, window.worker)
            for window in served
            if domains and all_measured(window.energy, domains)
        ],
    }
    figures = dict(_figures(values))
    response = _of_interval(cell.summary.response.mean_s, cell.summary.window_count)
    if response:
        figures["latency"] = response
    means = {"latency": cell.summary.response.mean_s.mean, "cpu": cell.summary.cpu_s_per_image.mean}
    if energy:
        means["energy"] = energy.per_image_j.mean
    return CellEvidence(cell, None, figures, {each: means[each] for each in METRICS if each in figures})


def _figures(values: Mapping[str, Sequence[tuple[float, int]]]) -> Iterator[tuple[GateMetric, LogMean]]:
    for metric in METRICS:
        own = values.get(metric, ())
        figure = log_mean([value for value, _ in own], [worker for _, worker in own])
        if figure:
            yield metric, figure


def _of_interval(interval: Interval, count: int) -> LogMean | None:
    """Return a mean whose windows are not in the report, as the responses of a queue, from its t interval.

    The variance of a log is that of the figure / the figure squared (delta method).
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - costs 0.1 s, and only a queue needs it

    if interval.low is None or interval.high is None or interval.mean <= 0:
        return None
    error = (interval.high - interval.low) / 2 / float(stdtrit(count - 1, 0.975)) / interval.mean
    return LogMean(log(interval.mean), error**2, count - 1)
