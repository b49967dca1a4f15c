"""What a batch of one size takes and costs after any idle gap, from the gaps that were measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from runner.twin.service import Floats


@dataclass(frozen=True, slots=True)
class Point:
    """One batch size after one idle gap, as measured."""

    gap_s: float
    """0 is back to back"""
    latency_s: float
    """mean, from the end of the gap"""
    cost: float
    """mean of the service and the gap before it: CPU-s or J"""


@dataclass(frozen=True, slots=True)
class Curve:
    """One batch size: its latency, and what its gaps cost besides the service."""

    gaps_s: Floats
    """those measured, ascending from 0"""
    latencies_s: Floats
    knots_s: Floats
    """where the cost of a gap bends: the measured gaps, and where two straight lines meet between them"""
    knot_costs: Floats
    """of a gap alone"""
    power: float
    """cost per second of service"""
    idle_power: float
    """cost per second of a gap, beyond the longest measured one"""

    def latency_s(self, gap_s: Floats, smallest_gap_s: float) -> Floats:
        """Return mean latencies: linear in ``depth`` between measured gaps, and constant beyond the longest."""
        return np.interp(depth(gap_s, smallest_gap_s), depth(self.gaps_s, smallest_gap_s), self.latencies_s)

    def gap_cost(self, gap_s: Floats) -> Floats:
        """Return what gaps cost, without the service after them."""
        beyond_s = np.maximum(gap_s - self.knots_s[-1], 0.0)
        costs: Floats = np.interp(gap_s, self.knots_s, self.knot_costs) + self.idle_power * beyond_s
        return costs


def depth(gap_s: Floats, smallest_gap_s: float) -> Floats:
    """Return a coordinate of gaps in which latencies are interpolated: 0 back to back, 1 at the smallest measured gap.

    Below it the gap itself, above it its logarithm, because caches, clocks and sleeping cores each have a time
    constant of their own, over orders of magnitude. The two join without a bend.
    """
    ratio = gap_s / smallest_gap_s
    coordinate: Floats = np.minimum(ratio, 1.0) + np.log(np.maximum(ratio, 1.0))
    return coordinate


def make_curve(points: Sequence[Point], idle_power: float) -> Curve:
    """Return the curve of one batch size.

    A batch costs what its service takes, at the power of back-to-back services, and what the gap before it costs. A
    gap costs as a pool of threads that spins for a while and then sleeps: along a straight line, then along a flatter
    one. Where the neighbouring gaps show both lines, a segment between two measured gaps bends where these meet;
    where they show no such bend, it is straight.

    Args:
        points: ascending gaps, the first is 0.
        idle_power: cost per second of a gap beyond the longest of them: 0 for CPU time, watts for energy.
    """
    gaps_s = np.array([point.gap_s for point in points])
    latencies_s = np.array([point.latency_s for point in points])
    power = points[0].cost / points[0].latency_s
    costs = np.array([point.cost for point in points]) - power * latencies_s
    knots = sorted({*zip(gaps_s.tolist(), costs.tolist(), strict=True), *_bends(gaps_s, costs, idle_power)})
    knots_s, knot_costs = np.array(knots).T
    return Curve(gaps_s, latencies_s, knots_s, knot_costs, power, idle_power)


def _bends(gaps_s: Floats, costs: Floats, idle_power: float) -> Iterator[tuple[float, float]]:
    """Yield where the lines left and right of a segment meet within it: gap and cost."""
    slopes = np.append(np.diff(costs) / np.diff(gaps_s), idle_power)
    for place in range(1, gaps_s.size - 1):
        before, within, after = slopes[place - 1 : place + 2]
        if before > within > after:
            rise = costs[place + 1] - costs[place] - after * (gaps_s[place + 1] - gaps_s[place])
            run_s = rise / (before - after)
            yield float(gaps_s[place] + run_s), float(costs[place] + before * run_s)
