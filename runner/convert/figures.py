"""The figures of measured cells by name, each with its limits; what is unavailable is left out and never 0."""

from collections.abc import Iterator

from runner.report.schema import Cell, CellSummary, Interval, Limits, QueueCell, QueueSummary, Times

Figure = tuple[str, Interval]
"""what it is, as the columns of CSV are called, and its value"""


def cell_figures(cell: Cell) -> Iterator[Figure]:
    """Yield the figures of a cell; none of one that was not measured."""
    if cell.status == "measured" and cell.summary:
        yield from _times_of(cell.summary)
        # Back to back it is threads x latency and no cost, so it has another name.
        cpu = "cpu_occupancy_s_per_image" if cell.summary.cpu_occupancy else "cpu_s_per_image"
        yield cpu, cell.summary.cpu_s_per_image
        yield from _energy_of(cell.summary)


def _times_of(summary: CellSummary) -> Iterator[Figure]:
    yield "latency_s", summary.latency_s
    if summary.latency_p50_s is not None:
        yield "latency_p50_s", _interval(summary.latency_p50_s, summary.latency_p50_limits_s)
    if summary.latency_p90_s is not None:
        yield "latency_p90_s", _interval(summary.latency_p90_s, summary.latency_p90_limits_s)
    yield "images_per_s", summary.images_per_s


def _energy_of(summary: CellSummary) -> Iterator[Figure]:
    energy = summary.energy
    if energy is None:
        return
    if energy.status == "estimated":
        yield "estimated_energy_per_image_j", energy.per_image_j
        return
    yield "energy_per_image_j", energy.per_image_j
    if energy.net_per_image_j and energy.net_reliable:
        yield "net_energy_per_image_j", energy.net_per_image_j


def queue_figures(cell: QueueCell) -> Iterator[Figure]:
    """Yield the figures of a queue cell; none of one that was not replayed, or whose figures are in doubt."""
    summary = cell.summary
    if cell.status == "measured" and summary and not summary.doubt:
        yield from _response_of(summary.response)
        yield "wait_mean_s", summary.wait.mean_s
        yield "images_per_s", summary.images_per_s
        yield "cpu_s_per_image", summary.cpu_s_per_image
        yield from _queue_energy_of(summary)


def _response_of(response: Times) -> Iterator[Figure]:
    yield "response_mean_s", response.mean_s
    for name, value in (("p50", response.p50_s), ("p95", response.p95_s), ("p99", response.p99_s)):
        if value is not None:
            yield f"response_{name}_s", _interval(value, None)


def _queue_energy_of(summary: QueueSummary) -> Iterator[Figure]:
    if summary.energy:
        yield "energy_per_image_j", summary.energy.per_image_j


def _interval(value: float, limits: Limits | None) -> Interval:
    return Interval(mean=value, low=limits.low if limits else None, high=limits.high if limits else None)
