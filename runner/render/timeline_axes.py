"""What a timeline's plot shows: cost on a log axis and, below it, accuracy, both over the year of publication."""

from typing import TYPE_CHECKING

from runner.render import numbers
from runner.render.layout import plain
from runner.render.names import domains_text, load_text
from runner.render.plot_labels import place_labels
from runner.render.timeline import cost_name, cost_scale
from runner.report.timeline import Timeline
from runner.report.timeline_figures import Growth, Point

if TYPE_CHECKING:  # an optional library that only a plot loads
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FRONT, _OTHER, _TREND, _QUIET = "#0b6e99", "#6b7280", "#c4703a", "#6b7280"
"""a blue and an orange that colour-blind readers tell apart, and a grey; the marks differ in shape, too"""
_MARGIN_YEARS = 1.2
"""beside the first and the last point, for the ends of their labels"""
_HEADROOM = 1.7
"""factor above the highest and below the lowest cost, for labels"""
_HEADROOM_RATIO = 0.06
"""the same of accuracy, as a difference"""
_PIECES = 60
"""of a trend line, each of which a label is to keep clear of"""

_Mark = tuple[float, float, str]
_Line = list[tuple[float, float]]


def fill_figure(figure: "Figure", timeline: Timeline) -> None:
    """Draw both axes, the legend and the labels."""
    costs, accuracies = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    told = f"Report {timeline.report_id}: {timeline.backend}, {load_text(timeline.basis.load)}"
    figure.suptitle(plain(told), x=0.01, ha="left", parse_math=False, fontsize="medium", color=_QUIET)
    years = [point.network.year for point in timeline.points]
    costs.set_xlim(min(years) - _MARGIN_YEARS, max(years) + _MARGIN_YEARS)
    cost_marks, cost_line = _draw_costs(costs, timeline)
    accuracy_marks, accuracy_line = _draw_accuracies(accuracies, timeline)
    figure.legend(*costs.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.draw_without_rendering()  # gives the axes their final place, which labels need
    place_labels(costs, cost_marks, cost_line)
    place_labels(accuracies, accuracy_marks, accuracy_line)


def _draw_costs(axes: "Axes", timeline: Timeline) -> tuple[list[_Mark], _Line]:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter  # noqa: PLC0415 - an optional library

    scale = cost_scale(timeline)
    marks: list[_Mark] = []
    bars: _Line = []
    for point in timeline.points:
        y = point.network.cost_per_image.mean / scale.base
        bars += _draw_limits(axes, point, scale.base)
        _draw_point(axes, point, y)
        marks.append((point.network.year, y, point.network.model))
    axes.set_yscale("log", nonpositive="clip")
    heights = [y for _, y, _ in marks]
    axes.set_ylim(min(heights) / _HEADROOM, max(heights) * _HEADROOM)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel(f"{scale.unit} per image")
    what = f"{cost_name(timeline)} per image"
    if timeline.basis.domains:
        what += f" ({domains_text(timeline.basis.domains)})"
    factor = timeline.growth.cost_per_year_ratio if timeline.growth else None
    grown = f"{numbers.brief_ratio(factor.mean, factor.low, factor.high)} a year" if factor else ""
    axes.set_title(": ".join(filter(None, (what, grown))), loc="left")
    ends: _Line = [
        (point.network.year, point.trend_cost_per_image / scale.base)
        for point in timeline.points
        if point.trend_cost_per_image is not None
    ]
    return marks, [*bars, *_draw_trend(axes, ends)]


def _draw_accuracies(axes: "Axes", timeline: Timeline) -> tuple[list[_Mark], _Line]:
    from matplotlib.ticker import MaxNLocator, PercentFormatter  # noqa: PLC0415 - an optional library

    marks: list[_Mark] = []
    for point in timeline.points:
        _draw_point(axes, point, point.network.accuracy_ratio)
        marks.append((point.network.year, point.network.accuracy_ratio, point.network.model))
    heights = [y for _, y, _ in marks]
    axes.set_ylim(min(heights) - _HEADROOM_RATIO, min(1.0, max(heights) + _HEADROOM_RATIO))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0, symbol=" %"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("acc@1")
    axes.set_xlabel("year of publication")
    axes.set_title(f"Published accuracy{_whose(timeline)}: {_points_a_year(timeline.growth)}", loc="left")
    ends: _Line = [
        (point.network.year, point.trend_accuracy_ratio)
        for point in timeline.points
        if point.trend_accuracy_ratio is not None
    ]
    return marks, _draw_trend(axes, ends)


def _whose(timeline: Timeline) -> str:
    measured = all(point.network.measured_weights for point in timeline.points)
    return "" if measured else " (architecture reference, not of the measured files)"


def _points_a_year(growth: Growth | None) -> str:
    if growth is None:
        return "all of one year"
    accuracy = growth.accuracy_per_year_ratio
    return f"{numbers.points(accuracy.mean, accuracy.low, accuracy.high)} points a year"


def _colour(point: Point) -> str:
    return _FRONT if point.on_front else _OTHER


def _draw_point(axes: "Axes", point: Point, y: float) -> None:
    label = {
        True: "no other is as accurate at as low a cost",
        False: "another is as accurate at as low a cost",
        None: "network",
    }[point.on_front]
    told = axes.get_legend_handles_labels()[1]
    axes.plot(
        point.network.year,
        y,
        marker="o" if point.on_front else "s",
        markersize=7,
        linestyle="none",
        color=_colour(point),
        markerfacecolor=_colour(point) if point.on_front else "white",
        markeredgewidth=1.5,
        label=f"_{label}" if label in told else label,
        zorder=3,
    )


def _draw_limits(axes: "Axes", point: Point, base: float) -> _Line:
    """Draw the 95 % limits of a cost, where it has some, and return their ends."""
    year, cost = point.network.year, point.network.cost_per_image
    if cost.low is None or cost.high is None:
        return []
    reach = ([(cost.mean - cost.low) / base], [(cost.high - cost.mean) / base])
    axes.errorbar(
        year,
        cost.mean / base,
        yerr=reach,
        fmt="none",
        ecolor=_colour(point),
        elinewidth=1.2,
        capsize=3,
    )
    return [(year, end / base) for end in (cost.low, cost.high) if end > 0]  # a log axis has nothing else


def _draw_trend(axes: "Axes", ends: _Line) -> _Line:
    """Draw the line through the trend's figures, and return points all along it; straight on these axes."""
    if not ends:
        return []
    (first_x, first_y), (last_x, last_y) = ends[0], ends[-1]
    axes.plot(
        (first_x, last_x),
        (first_y, last_y),
        color=_TREND,
        linestyle="--",
        linewidth=1.2,
        label="trend",
        zorder=2,
    )
    log = axes.get_yscale() == "log"
    shares = [piece / _PIECES for piece in range(_PIECES + 1)]
    return [
        (
            first_x + share * (last_x - first_x),
            first_y * (last_y / first_y) ** share if log else first_y + share * (last_y - first_y),
        )
        for share in shares
    ]
