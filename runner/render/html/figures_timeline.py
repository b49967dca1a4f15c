"""The timeline of a report's networks: cost against published accuracy, each named with its year."""

from runner.render import numbers
from runner.render.html.figures import (
    Figure,
    axis,
    error_bars,
    hover,
    layout,
    log_axis,
    rounded,
    text,
    values,
)
from runner.render.names import load_text
from runner.render.numbers import Scale
from runner.render.timeline import cost_name, cost_scale
from runner.report.schema import Interval
from runner.report.timeline import Timeline
from runner.report.timeline_figures import Point

_PERCENT = Scale("%", 0.01)


def timeline_figure(timeline: Timeline) -> Figure:
    """Return cost against published accuracy."""
    scale = cost_scale(timeline)
    points = timeline.points
    costs = [_cost(point) for point in points]
    trace = {
        "type": "scatter",
        "mode": "markers+text",
        "meta": {"slot": 0},
        "x": values(costs, scale),
        "y": [rounded(point.network.accuracy_ratio, _PERCENT) for point in points],
        "error_x": error_bars(costs, scale),
        "text": [text(f"{point.network.model} {point.network.year}") for point in points],
        "textposition": "top center",
        "cliponaxis": False,
        "marker": {
            "size": 11,
            "symbol": ["circle-open" if point.on_front is False else "circle" for point in points],
        },
        **hover([_words(point, scale) for point in points]),
    }
    ranked = not timeline.basis.occupancy
    front = (
        "Filled: no other network here is as accurate or more at as low a cost."
        if ranked
        else "Occupancy is no cost."
    )
    return Figure(
        f"Cost against published accuracy: {timeline.backend}, {load_text(timeline.basis.load)}",
        f"{front} Networks are measured one after the other: less sure than ratios of one model's backends.",
        (trace,),
        layout(
            axis(f"{cost_name(timeline)} per image, {scale.unit}", **log_axis(values(costs, scale))),
            axis("top-1 accuracy, published, %"),
            showlegend=False,
            height=440,
        ),
        wide=True,
    )


def _cost(point: Point) -> Interval:
    cost = point.network.cost_per_image
    return Interval(mean=cost.mean, low=cost.low, high=cost.high)


def _words(point: Point, scale: Scale) -> str:
    cost = point.network.cost_per_image
    return (
        f"{point.network.model}, {point.network.year}\n"
        f"{numbers.interval(cost.mean, cost.low, cost.high, scale)} {scale.unit} per image\n"
        f"top-1 {numbers.percent(point.network.accuracy_ratio)}"
    )
