"""What follows from the costs of networks with a year and an accuracy: each against the trend, and their growth."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from runner.stats.front import on_front
from runner.stats.growth import LEAST_FOR_LIMITS, Line, fit_line
from runner.stats.intervals import MeanInterval


@dataclass(frozen=True, slots=True)
class Network:
    """A model with what is published of it and what it costs."""

    model: str
    year: int
    accuracy_ratio: float
    """top-1, published; above 0"""
    measured_weights: bool
    """whether that accuracy belongs to the measured file: hash-verified pretrained weights"""
    cell: str
    """key of the cell that the cost is of"""
    cost_per_image: MeanInterval
    """in joules or seconds of CPU time; above 0"""


@dataclass(frozen=True, slots=True)
class Point:
    """A network and its place among the others."""

    network: Network
    images_per_cost: MeanInterval
    """per joule or per second of CPU time"""
    trend_cost_per_image: float | None
    """what the trend gives its year; None below three networks, of one year, or where costs do not rank"""
    trend_accuracy_ratio: float | None
    """the same of accuracy, which always ranks"""
    cost_to_trend_ratio: float | None
    """to the trend's"""
    accuracy_off_trend_ratio: float | None
    """less the trend's"""
    on_front: bool | None
    """whether no other network is as accurate or more at as low a cost or lower; None where costs do not rank"""


@dataclass(frozen=True, slots=True)
class Growth:
    """How cost and accuracy move with the year: lines of least squares through the networks, all weighing the same.

    Limits are those of lines through these networks, without what the measurement of each leaves open.
    """

    model_count: int
    first_year: int
    last_year: int
    cost_per_year_ratio: MeanInterval
    """of the line through log cost"""
    cost_span_ratio: float
    """along that line, from the first year to the last"""
    accuracy_per_year_ratio: MeanInterval
    """of the line through accuracy, and a difference: 0.01 is a percentage point a year"""
    accuracy_span_ratio: float
    """how many times the accuracy, along the line through its log"""
    cost_per_accuracy_per_year_ratio: MeanInterval
    """by what factor cost / accuracy grows in a year, of the line through its log"""
    cost_per_accuracy_span_ratio: float


@dataclass(frozen=True, slots=True)
class _Trends:
    """The lines through what networks share with their year."""

    log_cost: Line
    accuracy: Line
    log_accuracy: Line
    log_cost_per_accuracy: Line


def points_of(networks: Sequence[Network], *, ranked: bool) -> tuple[Point, ...]:
    """Return the networks, one at least, each with its place among all.

    Args:
        networks: what is compared.
        ranked: whether a lower cost is better; occupancy never ranks.
    """
    trends = _trends(networks) if len(networks) >= LEAST_FOR_LIMITS else None
    front = on_front(
        [network.cost_per_image.mean for network in networks],
        [network.accuracy_ratio for network in networks],
    )
    return tuple(
        _point(network, trends, own if ranked else None) for network, own in zip(networks, front, strict=True)
    )


def _point(network: Network, trends: _Trends | None, is_on_front: bool | None) -> Point:
    cost = exp(trends.log_cost.at(network.year)) if trends and is_on_front is not None else None
    accuracy_ratio = trends.accuracy.at(network.year) if trends else None
    return Point(
        network=network,
        images_per_cost=_reciprocal(network.cost_per_image),
        trend_cost_per_image=cost,
        trend_accuracy_ratio=accuracy_ratio,
        cost_to_trend_ratio=None if cost is None else network.cost_per_image.mean / cost,
        accuracy_off_trend_ratio=None if accuracy_ratio is None else network.accuracy_ratio - accuracy_ratio,
        on_front=is_on_front,
    )


def growth_of(networks: Sequence[Network]) -> Growth | None:
    """Return how networks, one at least, move with the year; None where all are of one year."""
    trends = _trends(networks)
    if trends is None:
        return None
    years = [network.year for network in networks]
    span = max(years) - min(years)
    return Growth(
        model_count=len(networks),
        first_year=min(years),
        last_year=max(years),
        cost_per_year_ratio=_factor(trends.log_cost.slope),
        cost_span_ratio=exp(trends.log_cost.slope.mean * span),
        accuracy_per_year_ratio=trends.accuracy.slope,
        accuracy_span_ratio=exp(trends.log_accuracy.slope.mean * span),
        cost_per_accuracy_per_year_ratio=_factor(trends.log_cost_per_accuracy.slope),
        cost_per_accuracy_span_ratio=exp(trends.log_cost_per_accuracy.slope.mean * span),
    )


def _trends(networks: Sequence[Network]) -> _Trends | None:
    years = [float(network.year) for network in networks]
    accuracies = [network.accuracy_ratio for network in networks]
    log_costs = [log(network.cost_per_image.mean) for network in networks]
    log_accuracies = [log(accuracy) for accuracy in accuracies]
    log_shares = [cost - accuracy for cost, accuracy in zip(log_costs, log_accuracies, strict=True)]
    lines = [fit_line(years, each) for each in (log_costs, accuracies, log_accuracies, log_shares)]
    cost, accuracy, log_accuracy, share = lines
    if cost is None or accuracy is None or log_accuracy is None or share is None:
        return None
    return _Trends(cost, accuracy, log_accuracy, share)


def _factor(slope: MeanInterval) -> MeanInterval:
    """Return the factor per year of a line through logs."""
    low, high = (None if limit is None else exp(limit) for limit in (slope.low, slope.high))
    return MeanInterval(exp(slope.mean), low, high)


def _reciprocal(cost: MeanInterval) -> MeanInterval:
    """Return images per joule or CPU second; without limits where those of the cost reach down to 0."""
    if cost.low is None or cost.high is None or cost.low <= 0:
        return MeanInterval(1 / cost.mean, None, None)
    return MeanInterval(1 / cost.mean, 1 / cost.high, 1 / cost.low)
