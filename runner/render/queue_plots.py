"""Plots of a queue: response percentiles over the rate of requests, a series per backend and policy."""

from collections.abc import Callable, Iterator, Sequence

from runner.render.layout import Section
from runner.render.names import model_text, rate_text
from runner.render.numbers import scale_for
from runner.render.queue import queue_cells_of
from runner.render.text_axes import Limited
from runner.render.text_plot import Plot, Point, mark_of
from runner.report.schema import QueueCell, Report, Times

_WIDE = 8.0
"""largest rate / smallest from which the axis of rates is logarithmic"""
_PERCENTILES: tuple[tuple[str, int, Callable[[Times], float | None]], ...] = (
    ("p50", 20, lambda times: times.p50_s),
    ("p95", 200, lambda times: times.p95_s),
)
"""name, how many requests it takes, and where it is"""


def queue_plot_sections(report: Report) -> Iterator[Section]:
    """Yield a section per model and kind of arrivals; nothing for a report without a queue."""
    for model in report.model_names:
        by_arrivals: dict[str, list[QueueCell]] = {}
        for cell in queue_cells_of(report, model):
            by_arrivals.setdefault(cell.load.arrivals, []).append(cell)
        for arrivals, cells in by_arrivals.items():
            yield _section(f"{model_text(report, model)}: queue, {arrivals} arrivals", cells)


def _section(title: str, cells: Sequence[QueueCell]) -> Section:
    series = tuple(dict.fromkeys(_series_name(cell) for cell in cells))
    known = [cell for cell in cells if cell.summary and cell.load.request_rate_hz is not None]
    legend = tuple(f"{mark_of(number)} {name}" for number, name in enumerate(series))
    plots = tuple(_plots(cells, known, series)) if known else ()
    return Section(title, legend, notes=tuple(_notes(cells)), plots=plots)


def _plots(cells: Sequence[QueueCell], known: Sequence[QueueCell], series: tuple[str, ...]) -> Iterator[Plot]:
    rates = {
        rate_hz: rate_text(cell.load) for cell in cells if (rate_hz := cell.load.request_rate_hz) is not None
    }
    is_log = max(rates) > _WIDE * min(rates)
    places = {name: number for number, name in enumerate(series)}
    for name, _, pick in _PERCENTILES:
        found = [
            (cell, rate_hz, value_s)
            for cell in known
            if cell.summary and (value_s := pick(cell.summary.response)) is not None
            if (rate_hz := cell.load.request_rate_hz) is not None
        ]
        if not found:
            continue
        scale = scale_for("s", tuple(value_s for _, _, value_s in found))
        yield Plot(
            f"response {name}, {scale.unit}",
            "requests/s, log axis" if is_log else "requests/s",
            series,
            tuple(
                Point(places[_series_name(cell)], rate_hz, Limited(value_s / scale.base))
                for cell, rate_hz, value_s in found
            ),
            rates,
            is_place_log=is_log,
        )


def _notes(cells: Sequence[QueueCell]) -> Iterator[str]:
    """Yield what is not drawn, and what is and should not be compared, a line per cause."""
    causes: dict[str, list[str]] = {}
    for cell in cells:
        name = f"{_series_name(cell)} at {rate_text(cell.load)}/s"
        for text in _causes(cell):
            causes.setdefault(text, []).append(name)
    yield from (f"{text.replace('{cells}', ', '.join(names), 1)}" for text, names in causes.items())


def _causes(cell: QueueCell) -> Iterator[str]:
    reason = f": {cell.reason}" if cell.reason else ""
    if cell.summary is None or cell.status != "measured":
        yield f"{cell.status}: {{cells}}{reason}"
    if cell.summary is None:
        return
    if cell.load.request_rate_hz is None:
        yield "of no one rate, not drawn: {cells}"
    if cell.summary.doubt:
        yield f"never compared: {{cells}}: {cell.summary.doubt}"
    for name, count, pick in _PERCENTILES:
        if pick(cell.summary.response) is None:
            yield f"no {name} below {count} requests: {{cells}}"


def _series_name(cell: QueueCell) -> str:
    return f"{cell.contender} {cell.load.policy}"
