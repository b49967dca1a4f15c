"""What a reader decides between: ratios to the baseline with their limits, and cost against latency with its front."""

from collections.abc import Iterator, Mapping, Sequence

from runner.render import numbers
from runner.render.html.figures import (
    Figure,
    Slots,
    Trace,
    axis,
    error_bars,
    hover,
    is_wide,
    layout,
    log_axis,
    plot_height,
    rows_axis,
    rows_height,
    text,
    values,
)
from runner.render.names import domains_text, load_text
from runner.render.numbers import Scale
from runner.render.ratios import METRICS, verdict_text
from runner.report.answer import Choice
from runner.report.costs import CostBasis
from runner.report.schema import Cell, Comparison, Interval, QueueCell, QueueComparison

_UNIT = Scale("x", 1.0)
_QUEUE_METRICS = {**METRICS, "response": "response"}
_DIFFERENT = ("less", "more")
_LEAST_CHOICES = 2
_WIDE_RATIO = 3.0
"""largest / smallest ratio from which on an axis is logarithmic"""

_LINE_AT_ONE = {
    "type": "line",
    "x0": 1,
    "x1": 1,
    "yref": "paper",
    "y0": 0,
    "y1": 1,
    "line": {"width": 1.5, "dash": "dot"},
}
_ROOM: Trace = {
    "type": "scatter",
    "mode": "markers",
    "meta": {"slot": 0},
    "x": [1],
    "y": [0],
    "marker": {"size": 24},
    "opacity": 0,
    "hoverinfo": "skip",
    "showlegend": False,
}
"""invisible, so that the line has room on both sides wherever the ratios lie"""

AnyCell = Cell | QueueCell


def ratio_figures(cells: Sequence[Cell], comparisons: Sequence[Comparison], slots: Slots) -> Iterator[Figure]:
    """Yield a plot for each metric that was compared with the baseline."""
    by_key: dict[str, AnyCell] = {cell.key: cell for cell in cells}
    occupied = {cell.key for cell in cells if cell.summary and cell.summary.cpu_occupancy}
    for metric, name in METRICS.items():
        rows = [
            each
            for each in comparisons
            if each.cell in by_key
            and each.metric == metric
            and not (metric == "cpu_s_per_image" and each.cell in occupied)
        ]
        if rows:
            yield _forest(f"Ratio to the baseline: {name}", rows, by_key, slots)


def queue_ratio_figures(
    cells: Sequence[QueueCell], comparisons: Sequence[QueueComparison], slots: Slots
) -> Iterator[Figure]:
    """Yield a plot for each metric in which policies were compared at one rate."""
    by_key: dict[str, AnyCell] = {cell.key: cell for cell in cells}
    for metric, name in _QUEUE_METRICS.items():
        rows = [
            each
            for each in comparisons
            if each.cell in by_key and each.metric == metric and each.against == "policy"
        ]
        if rows:
            yield _forest(f"Ratio to the first policy: {name}", rows, by_key, slots)


def front_figure(basis: CostBasis, choices: Sequence[Choice], slots: Slots, *, title: str) -> Figure | None:
    """Return cost against time, with the choices that none beats in both; nothing where there is no choice."""
    if len(choices) < _LEAST_CHOICES:
        return None
    time = numbers.scale_for("s", tuple(choice.time_s.mean for choice in choices))
    joules = basis.metric == "energy_per_image"
    cost = numbers.scale_for("J" if joules else "s", tuple(choice.cost_per_image.mean for choice in choices))
    what = "energy per image" if joules else "CPU time per image"
    counted = f" Counted: {domains_text(basis.domains)}." if joules else ""
    response = isinstance(choices[0].cell, QueueCell)
    groups: dict[object, list[Choice]] = {}
    for choice in choices:
        groups.setdefault(choice.cell.contender, []).append(choice)
    front = sorted((choice for choice in choices if choice.on_front), key=lambda choice: choice.time_s.mean)
    data = [_staircase(front, time, cost)] if len(front) > 1 else []
    data += [_cloud(members, time, cost, slots) for members in groups.values()]
    return Figure(
        title,
        f"Filled: no other choice takes less time for less cost (the Pareto front, by means).{counted}",
        tuple(data),
        layout(
            axis(
                f"{'mean response' if response else 'latency of an inference'}, {time.unit}",
                rangemode="tozero",
            ),
            axis(f"{what}, {cost.unit}", rangemode="tozero"),
            height=plot_height(len(data)),
        ),
    )


def cell_name(cell: AnyCell) -> str:
    """Return what a cell is called beside others of its model."""
    if isinstance(cell, QueueCell):
        return f"{cell.contender} {cell.load.policy}"
    return f"{cell.contender} {load_text(cell.load)}" + (", io=device" if cell.io == "device" else "")


def _forest(
    title: str,
    rows: Sequence[Comparison | QueueComparison],
    cells: Mapping[str, AnyCell],
    slots: Slots,
) -> Figure:
    labels = [_row_name(cells[each.cell]) for each in rows]
    ratios = [1.0, *(each.ratio for each in rows)]
    groups: dict[object, dict[int, Comparison | QueueComparison]] = {}
    for place, each in enumerate(rows):
        groups.setdefault(cells[each.cell].contender, {})[place] = each
    return Figure(
        title,
        "Left of the line is less. Bars: 95 % intervals, paired over blocks. Filled: told from 1; hollow: not.",
        (*(_ratio_points(cells, own, labels, slots) for own in groups.values()), _ROOM),
        layout(
            axis("ratio", **(log_axis(ratios) if is_wide(ratios, _WIDE_RATIO) else {})),
            rows_axis(labels),
            shapes=[_LINE_AT_ONE],
            height=rows_height(len(rows)),
        ),
    )


def _ratio_points(
    cells: Mapping[str, AnyCell],
    rows: Mapping[int, Comparison | QueueComparison],
    labels: Sequence[str],
    slots: Slots,
) -> Trace:
    """Return the ratios of one contender, each at its place among all rows."""
    contender = cells[next(iter(rows.values())).cell].contender
    figures = [Interval(mean=row.ratio, low=row.low, high=row.high) for row in rows.values()]
    symbol = slots.symbol(contender)
    symbols = [symbol if row.verdict in _DIFFERENT else f"{symbol}-open" for row in rows.values()]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": text(str(contender)),
        "meta": {"slot": slots.colour(contender)},
        "x": values(figures, _UNIT),
        "y": list(rows),
        "error_x": error_bars(figures, _UNIT),
        "marker": {"size": 9, "symbol": symbols},
        **hover([_ratio_words(labels[place], row) for place, row in rows.items()]),
    }


def _row_name(cell: AnyCell) -> str:
    if isinstance(cell, QueueCell) and cell.load.request_rate_hz is not None:
        return f"{cell_name(cell)} at {numbers.digits(cell.load.request_rate_hz)}/s"
    return cell_name(cell)


def _ratio_words(label: str, row: Comparison | QueueComparison) -> str:
    return (
        f"{label}\n{numbers.ratio(row.ratio, row.low, row.high)}\n{verdict_text(row)}, {row.pair_count} pairs"
    )


def _staircase(front: Sequence[Choice], time: Scale, cost: Scale) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "front",
        "meta": {"slot": 6},
        "hoverinfo": "skip",
        "x": values([choice.time_s for choice in front], time),
        "y": values([choice.cost_per_image for choice in front], cost),
        "line": {"shape": "hv", "dash": "dot", "width": 1.5},
    }


def _cloud(members: Sequence[Choice], time: Scale, cost: Scale, slots: Slots) -> Trace:
    contender = members[0].cell.contender
    symbol = slots.symbol(contender)
    times, costs = [member.time_s for member in members], [member.cost_per_image for member in members]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": text(str(contender)),
        "meta": {"slot": slots.colour(contender)},
        "x": values(times, time),
        "y": values(costs, cost),
        "error_x": error_bars(times, time),
        "error_y": error_bars(costs, cost),
        "marker": {
            "size": 10,
            "symbol": [symbol if member.on_front else f"{symbol}-open" for member in members],
        },
        **hover([_choice_words(member, time, cost) for member in members]),
    }


def _choice_words(choice: Choice, time: Scale, cost: Scale) -> str:
    lines = [cell_name(choice.cell)]
    for name, figure, scale in (("", choice.time_s, time), ("per image ", choice.cost_per_image, cost)):
        lines.append(f"{name}{numbers.interval(figure.mean, figure.low, figure.high, scale)} {scale.unit}")
    return "\n".join((*lines, "on the front" if choice.on_front else "beaten in both by another"))
