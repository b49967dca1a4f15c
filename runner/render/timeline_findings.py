"""What the study found, and whether the figures of a timeline say the same, in words."""

from collections.abc import Iterator

from runner.render import numbers
from runner.report.timeline import OUTSTANDING, Timeline
from runner.report.timeline_figures import Growth, Point


def finding_lines(timeline: Timeline) -> Iterator[str]:
    """Yield a line per finding: the verdict, the claim, and the figures that it stands on."""
    growth = timeline.growth
    for finding in timeline.findings:
        head = f"{finding.verdict}: {finding.claim}"
        if finding.verdict == "cannot be checked" or growth is None:
            yield f"{head}, because {finding.missing}"
        elif finding.claim == "cost grows faster than accuracy":
            yield f"{head}. {_growing(growth)}"
        else:
            yield f"{head}. {_outstanding(timeline)}"
    if timeline.missing_of_study:
        yield f"Of the study's networks these are not here: {', '.join(timeline.missing_of_study)}"


def _growing(growth: Growth) -> str:
    said = (
        f"From {growth.first_year} to {growth.last_year}, along the trends, cost goes to "
        f"{numbers.ratio(growth.cost_span_ratio)} and accuracy to {numbers.ratio(growth.accuracy_span_ratio)}"
    )
    both = growth.cost_per_accuracy_per_year_ratio
    if both.low is None or both.high is None:
        return said
    if both.low <= 1 <= both.high:
        return (
            f"{said}. That is of these {growth.model_count} networks and no proof for others: the interval of "
            "cost / acc@1 a year includes 1"
        )
    return f"{said}. The interval of cost / acc@1 a year excludes 1"


def _outstanding(timeline: Timeline) -> str:
    own = next(point for point in timeline.points if point.network.model == OUTSTANDING)
    others = [point for point in timeline.points if point is not own]
    next_one = min(others, key=lambda point: point.cost_to_trend_ratio or 0.0)
    front = (
        "no other is as accurate or more at as low a cost or lower"
        if own.on_front
        else "another is as accurate or more at as low a cost or lower"
    )
    return (
        f"Its cost is {_to_trend(own)} of the trend in {own.network.year} (the lowest other: "
        f"{next_one.network.model}, {_to_trend(next_one)}), and {front}. "
        f"Its accuracy is {_off_trend(own)}"
    )


def _to_trend(point: Point) -> str:
    assert point.cost_to_trend_ratio is not None, point.network.model
    return numbers.ratio(point.cost_to_trend_ratio)


def _off_trend(point: Point) -> str:
    off = point.accuracy_off_trend_ratio
    assert off is not None, point.network.model
    return f"{numbers.points(abs(off)).lstrip('+')} points {'below' if off < 0 else 'above'} the trend"
