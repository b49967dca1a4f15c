"""What a queue did: how long requests took, which batches its policies formed, how long it was, and its energy."""

from collections.abc import Iterator, Sequence

from runner.render import numbers
from runner.render.html.figures import (
    DASHES,
    Figure,
    Slots,
    Trace,
    axis,
    hover,
    layout,
    log_axis,
    plot_height,
    rounded,
    rows_axis,
    rows_height,
    text,
)
from runner.render.html.figures_choices import cell_name
from runner.render.names import domains_text, rate_text
from runner.render.numbers import Scale
from runner.report.schema import QueueCell, QueueEnergy, QueueSummary

Pair = tuple[QueueCell, QueueSummary]

_QUANTILES = (
    ("median", "p50_s", "line-ns-open"),
    ("95 %", "p95_s", "diamond"),
    ("99 %", "p99_s", "square"),
    ("largest", "max_s", "x-thin-open"),
)
_MEAN_SYMBOL = "circle"
_PATTERNS = ("", "/", "x", ".", "-", "+", "|", "\\")
"""of bars, which tell policies apart; the colour is the backend's"""
_GROUP_WIDTH = 0.85
"""of the bars of one batch size"""
_SIZES_NAMED = 16
_PLAIN, _PERCENT = Scale("", 1.0), Scale("%", 0.01)


def queue_figures(cells: Sequence[QueueCell], slots: Slots) -> Iterator[Figure]:
    """Yield the plots of a model's queue; by request rate where one for all would be crowded."""
    pairs = [(cell, cell.summary) for cell in cells if cell.summary]
    if not pairs:
        return
    yield _responses(pairs, slots)
    if split := _split(pairs):
        yield split
    rates: dict[str, list[Pair]] = {}
    for cell, summary in pairs:
        rates.setdefault(rate_text(cell.load), []).append((cell, summary))
    for rate, members in rates.items():
        yield _batches(rate, members, slots)
        yield _lengths(rate, members, slots)


def _responses(pairs: Sequence[Pair], slots: Slots) -> Figure:
    scale = numbers.scale_for("s", tuple(summary.response.mean_s.mean for _, summary in pairs))
    labels = [f"{cell_name(cell)} at {rate_text(cell.load)}/s" for cell, _ in pairs]
    data = tuple(
        _response(place, label, pair, scale, slots)
        for place, (label, pair) in enumerate(zip(labels, pairs, strict=True))
    )
    return Figure(
        "Response times",
        "Of all requests: circle the mean, | the median, diamond the 95th percentile, square the 99th, x the largest. "
        "Single requests are in the journal and not in this page.",
        data,
        layout(
            axis(f"response, {scale.unit}", **log_axis([each / scale.base for each in _shown(pairs)])),
            rows_axis(labels),
            showlegend=False,
            height=rows_height(len(pairs)),
        ),
        wide=True,
    )


def _response(place: int, label: str, pair: Pair, scale: Scale, slots: Slots) -> Trace:
    cell, summary = pair
    times = summary.response
    points = [("mean", times.mean_s.mean, _MEAN_SYMBOL)]
    points += [
        (name, value, symbol)
        for name, key, symbol in _QUANTILES
        if (value := getattr(times, key)) is not None
    ]
    points.sort(key=lambda point: point[1])
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": text(label),
        "meta": {"slot": slots.colour(cell.contender)},
        "x": [rounded(value, scale) for _, value, _ in points],
        "y": [place] * len(points),
        "line": {"width": 1.5},
        "marker": {"size": 9, "symbol": [symbol for _, _, symbol in points], "line": {"width": 2}},
        **hover([f"{label}\n{name} {scale.text(value)} {scale.unit}" for name, value, _ in points]),
    }


def _shown(pairs: Sequence[Pair]) -> list[float]:
    """Return every time of the plot of responses."""
    every = [summary.response for _, summary in pairs]
    times = [getattr(each, key) for each in every for _, key, _ in _QUANTILES]
    return [*(each.mean_s.mean for each in every), *(time for time in times if time is not None)]


def _split(pairs: Sequence[Pair]) -> Figure | None:
    """Return active and idle energy of a request, where idle power was measured."""
    found = [(cell, energy) for cell, summary in pairs if (energy := _divided(summary))]
    if not found:
        return None
    scale = numbers.scale_for("J", tuple(energy.per_image_j.mean for _, energy in found))
    labels = [f"{cell_name(cell)} at {rate_text(cell.load)}/s" for cell, _ in found]
    counted = ", ".join(dict.fromkeys(domains_text(energy.domains) for _, energy in found))
    data = []
    for name, slot, key in (("active", 0, "active_per_image_j"), ("idle", 6, "idle_per_image_j")):
        parts = [getattr(energy, key) for _, energy in found]
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": name,
                "meta": {"slot": slot},
                "x": [rounded(part.mean, scale) for part in parts],
                "y": list(range(len(found))),
                **hover(
                    [
                        f"{label}\n{name} {numbers.interval(part.mean, part.low, part.high, scale)} {scale.unit}"
                        for label, part in zip(labels, parts, strict=True)
                    ]
                ),
            }
        )
    return Figure(
        "Idle and active energy of a request",
        f"Idle: what the resting machine would have drawn anyway. Counted: {counted}.",
        tuple(data),
        layout(
            axis(f"energy per image, {scale.unit}", rangemode="tozero"),
            rows_axis(labels),
            barmode="stack",
            height=rows_height(len(found)),
        ),
        wide=True,
    )


def _divided(summary: QueueSummary) -> QueueEnergy | None:
    energy = summary.energy
    return energy if energy and energy.active_per_image_j and energy.idle_per_image_j else None


def _batches(rate: str, pairs: Sequence[Pair], slots: Slots) -> Figure:
    policies = _policies(pairs)
    sizes = [size for _, summary in pairs for size, _ in summary.batch_counts]
    width = _GROUP_WIDTH / len(pairs)
    data = tuple(
        {
            "type": "bar",
            "name": text(cell_name(cell)),
            "width": rounded(width, _PLAIN),
            "offset": rounded(place * width - _GROUP_WIDTH / 2, _PLAIN),
            "meta": {"slot": slots.colour(cell.contender)},
            "marker": {"pattern": {"shape": _PATTERNS[policies.index(cell.load.policy) % len(_PATTERNS)]}},
            "x": [size for size, _ in summary.batch_counts],
            "y": [count for _, count in summary.batch_counts],
            **hover(
                [f"{cell_name(cell)}\n{count} batches of {size}" for size, count in summary.batch_counts]
            ),
        }
        for place, (cell, summary) in enumerate(pairs)
    )
    ticks = {"dtick": 1} if max(sizes, default=0) <= _SIZES_NAMED else {}
    span = [min(sizes, default=1) - 1, max(sizes, default=1) + 1]
    return Figure(
        f"Batches formed at {rate} requests/s",
        "How many batches of each size the policy made, over all windows.",
        data,
        layout(
            axis("batch size", range=span, **ticks),
            axis("batches", rangemode="tozero"),
            barmode="group",
            height=plot_height(len(data)),
        ),
    )


def _lengths(rate: str, pairs: Sequence[Pair], slots: Slots) -> Figure:
    policies = _policies(pairs)
    data = tuple(
        {
            "type": "scatter",
            "mode": "lines",
            "name": text(cell_name(cell)),
            "meta": {"slot": slots.colour(cell.contender)},
            "x": [rounded(place, _PERCENT) for place in _middles(len(summary.queue_lengths))],
            "y": [rounded(length, _PLAIN) for length in summary.queue_lengths],
            "line": {"dash": DASHES[policies.index(cell.load.policy) % len(DASHES)], "width": 2},
            **hover(
                [
                    f"{cell_name(cell)}\n{numbers.digits(length)} requests wait"
                    for length in summary.queue_lengths
                ]
            ),
        }
        for cell, summary in pairs
    )
    return Figure(
        f"Queue over time at {rate} requests/s",
        "Requests that wait, mean over windows, in equal parts of a window from its start on.",
        data,
        layout(
            axis("part of the window", ticksuffix=" %", range=[0, 100]),
            axis("requests that wait", rangemode="tozero"),
            height=plot_height(len(data)),
        ),
    )


def _policies(pairs: Sequence[Pair]) -> list[str]:
    return list(dict.fromkeys(cell.load.policy for cell, _ in pairs))


def _middles(count: int) -> list[float]:
    """Return the middle of each of so many equal parts of 1."""
    return [(place + 0.5) / count for place in range(count)]
