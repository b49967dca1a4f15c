"""A timeline of networks for people: the table, growth per year, and what the study found, checked here."""

from collections.abc import Iterator
from typing import TextIO

from runner.render import numbers
from runner.render.layout import Column, Section, Table
from runner.render.markdown import sections_to_markdown
from runner.render.names import domains_text, load_text
from runner.render.numbers import NOTHING
from runner.render.terminal import write_sections
from runner.render.timeline_data import write_csv, write_json
from runner.render.timeline_findings import finding_lines
from runner.report.timeline import Timeline
from runner.report.timeline_figures import Growth, Point


def write_timeline(
    timeline: Timeline, format_name: str, stream: TextIO, *, details: bool = False, width: int | None = None
) -> None:
    """Write a timeline to a stream.

    Args:
        timeline: what to write.
        format_name: one of ``runner.render.FORMATS``.
        stream: standard output, or any text stream.
        details: whether costs come with their intervals; data formats always have them.
        width: of the terminal in characters; found out by default.
    """
    match format_name:
        case "json":
            write_json(timeline, stream)
        case "csv":
            write_csv(timeline, stream)
        case "md":
            stream.write(sections_to_markdown(timeline_sections(timeline, details=details)))
        case _:
            hint = "-f csv has them"
            write_sections(timeline_sections(timeline, details=details), stream, width, hint)


def cost_name(timeline: Timeline) -> str:
    """Return what the costs are of."""
    if timeline.basis.metric == "energy_per_image":
        return "energy"
    return "CPU occupancy" if timeline.basis.occupancy else "CPU time"


def cost_scale(timeline: Timeline) -> numbers.Scale:
    """Return the unit of the costs with its prefix."""
    unit = "J" if timeline.basis.metric == "energy_per_image" else "s"
    return numbers.scale_for(unit, tuple(point.network.cost_per_image.mean for point in timeline.points))


def timeline_sections(timeline: Timeline, *, details: bool) -> tuple[Section, ...]:
    """Return the table of networks, their growth where there is a trend, and the findings."""
    sections = [
        Section(
            f"Timeline of report {timeline.report_id}",
            lines=tuple(_head_lines(timeline)),
            tables=(_networks_table(timeline, details=details),),
            notes=tuple(_notes(timeline)),
        )
    ]
    if timeline.growth:
        sections.append(_growth_section(timeline, timeline.growth))
    sections.append(Section("What the study found, checked here", lines=tuple(finding_lines(timeline))))
    return tuple(sections)


def _head_lines(timeline: Timeline) -> Iterator[str]:
    basis = timeline.basis
    if basis.metric == "energy_per_image":
        what = f"energy per image, measured, idle power included: {domains_text(basis.domains)}"
    elif basis.occupancy:
        what = "CPU time per image back to back: occupancy, threads x latency, which is no cost (--pace 2 measures one)"
    else:
        what = "CPU time per image at equal images/s (energy of all of them was not measured)"
    yield f"{timeline.backend}, {load_text(basis.load)} for all: {what}"
    if timeline.status != "complete":
        yield f"This run is {timeline.status}: the figures cover what was measured so far"


def _networks_table(timeline: Timeline, *, details: bool) -> Table:
    energy = timeline.basis.metric == "energy_per_image"
    scale = cost_scale(timeline)
    columns = (
        Column("model", "left"),
        Column("year"),
        Column("acc@1,\npublished"),
        Column(f"{'energy' if energy else 'CPU'}\n{scale.unit}/img"),
        Column(f"images\n/{'J' if energy else 'CPU-s'}"),
        Column("cost to\ntrend", drop_rank=1),
        Column("acc@1 to\ntrend", drop_rank=2),
        Column("on\nfront", "left"),
    )
    rows = [_row(timeline, point, scale, details=details) for point in timeline.points]
    rows += [
        (
            left.model,
            NOTHING if left.year is None else str(left.year),
            numbers.percent(left.accuracy_ratio),
            *(NOTHING,) * 5,
        )
        for left in timeline.left_out
    ]
    return Table(columns, tuple(rows)).without_empty_columns(NOTHING)


def _row(timeline: Timeline, point: Point, scale: numbers.Scale, *, details: bool) -> tuple[str, ...]:
    network, images = point.network, point.images_per_cost
    cost = network.cost_per_image
    text = scale.text(cost.mean, numbers.half_width(cost.low, cost.high))
    if details:
        text = numbers.interval(cost.mean, cost.low, cost.high, scale)
    rate = numbers.digits(images.mean, numbers.half_width(images.low, images.high))
    if timeline.basis.occupancy:
        text, rate = f"({text})", f"({rate})"
    to_trend = point.cost_to_trend_ratio
    return (
        network.model,
        str(network.year),
        numbers.percent(network.accuracy_ratio),
        text,
        rate,
        NOTHING if to_trend is None else numbers.ratio(to_trend),
        numbers.points(point.accuracy_off_trend_ratio),
        NOTHING if point.on_front is None else "yes" if point.on_front else "no",
    )


def _notes(timeline: Timeline) -> Iterator[str]:
    reference = [point.network.model for point in timeline.points if not point.network.measured_weights]
    if reference:
        whose = "acc@1" if len(reference) == len(timeline.points) else f"acc@1 of {', '.join(reference)}"
        yield (
            f"{whose} is an architecture reference: published for the network, not of the measured file, "
            "whose weights are not the published ones"
        )
    if any(point.trend_accuracy_ratio is not None for point in timeline.points):
        cost = "" if timeline.basis.occupancy else "cost, and "
        yield f"to trend: {cost}accuracy in percentage points, against the line through all networks by year"
    if not timeline.basis.occupancy:
        yield "on front: no other network here is as accurate or more at as low a cost or lower"
    yield from (f"{left.model} is left out: {left.reason}" for left in timeline.left_out)
    if timeline.spinning and timeline.basis.load.pace_hz is not None:
        yield (
            f"The threads of {timeline.backend} spin after each inference, which is part of this cost and weighs most "
            "on the smallest networks; joulebatch run --backend cpu:spin=off --pace 2 measures it without"
        )
    yield (
        "Models are measured one after the other: what the machine did meanwhile is in these figures, "
        "which are less sure than ratios of one model's backends"
    )


def _growth_section(timeline: Timeline, growth: Growth) -> Section:
    cost, accuracy, both = (
        growth.cost_per_year_ratio,
        growth.accuracy_per_year_ratio,
        growth.cost_per_accuracy_per_year_ratio,
    )
    rows = (
        (
            f"{cost_name(timeline)} per image",
            numbers.brief_ratio(cost.mean, cost.low, cost.high),
            numbers.ratio(growth.cost_span_ratio),
        ),
        (
            "acc@1, percentage points",
            numbers.points(accuracy.mean, accuracy.low, accuracy.high),
            numbers.ratio(growth.accuracy_span_ratio),
        ),
        (
            f"{cost_name(timeline)} / acc@1",
            numbers.brief_ratio(both.mean, both.low, both.high),
            numbers.ratio(growth.cost_per_accuracy_span_ratio),
        ),
    )
    columns = (
        Column("growth", "left"),
        Column("a year", "left"),
        Column(f"{growth.first_year} to {growth.last_year}"),
    )
    limits = "with 95 % limits" if cost.low is not None else "without limits: two networks leave no scatter"
    note = (
        f"lines of least squares through {growth.model_count} networks, all weighing the same, {limits}; "
        "factors through logs"
    )
    return Section("Growth per year", tables=(Table(columns, rows),), notes=(note,))
