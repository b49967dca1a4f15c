"""What any batch takes and costs after any idle gap: curves of the measured batch sizes, joined as one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from runner.twin.curve import Curve, depth
from runner.twin.service import Counts, Floats

_SAME_RATIO = 1e-9
"""of edges: a millionth of what a clock tells of a millisecond, and far above the rounding of a float"""
_LATENCY, _LATENCY_DEPTH, _COST, _COST_DEPTH, _COST_GAP, _POWER = range(6)


@dataclass(frozen=True, slots=True)
class Surface:
    """Means by batch size and gap. Between measured batch sizes everything is linear in the batch size."""

    sizes: tuple[int, ...]
    """measured, ascending from 1"""
    smallest_gap_s: float
    edges_s: Floats
    """ascending from 0; between two, latency is linear in depth, cost is linear in depth and gap, the source is one"""
    coefficients: NDArray[np.float64]
    """by batch size from 0 to the largest, and interval"""
    sources: NDArray[np.int64]
    """by the same: the place of the nearest measured batch size and gap, whose latencies stand for it"""

    def places(self, counts: Counts, gap_s: Floats) -> NDArray[np.int64]:
        """Return where these batches after these gaps are in the flattened tables."""
        interval = self.edges_s.searchsorted(gap_s, side="right") - 1
        places: NDArray[np.int64] = counts * self.edges_s.size + interval
        return places

    def means(self, places: NDArray[np.int64], gap_s: Floats) -> tuple[Floats, Floats, Floats]:
        """Return mean latency in seconds, mean cost with the gap's, and cost per second of service."""
        row = self.coefficients.reshape(-1, _POWER + 1).take(places, axis=0)
        deep = depth(gap_s, self.smallest_gap_s)
        latency_s = row[:, _LATENCY] + row[:, _LATENCY_DEPTH] * deep
        cost = row[:, _COST] + row[:, _COST_DEPTH] * deep + row[:, _COST_GAP] * gap_s
        return latency_s, cost, row[:, _POWER]


def make_surface(curves: Mapping[int, Curve]) -> Surface:
    """Return the table of these curves by batch size; sources count all gaps of all sizes, in order.

    Args:
        curves: by batch size, 1 among them, each with a gap above 0.
    """
    sizes = sorted(curves)
    smallest_gap_s = min(float(curve.gaps_s[1]) for curve in curves.values())
    edges_s = _apart(np.concatenate([part for curve in curves.values() for part in _edges(curve)]))
    own = np.array([_coefficients(curves[size], edges_s, smallest_gap_s) for size in sizes])
    counts = np.arange(sizes[-1] + 1)
    table = np.empty((counts.size, edges_s.size, _POWER + 1))
    for interval, column in np.ndindex(table.shape[1:]):
        table[:, interval, column] = np.interp(counts, sizes, own[:, interval, column])
    hot = table[:, 0]
    table[:, :, _POWER] = (hot[:, _COST] / hot[:, _LATENCY])[:, np.newaxis]
    return Surface(tuple(sizes), smallest_gap_s, edges_s, table, _sources(curves, edges_s))


def error_ratio(surface: Surface, curves: Mapping[int, Curve]) -> float:
    """Return the largest relative error when each inner batch size is left out and interpolated from its neighbours.

    Of latencies and costs, at all gaps that any size was measured at. 0 where no size lies between two measured ones.
    Neighbours are then twice as far apart as they will be, so that this is a bound rather than an average.
    """
    sizes = surface.sizes
    if all(right - left == 1 for left, right in pairwise(sizes)):
        return 0.0
    gaps_s = np.unique(np.concatenate([curve.gaps_s for curve in curves.values()]))
    means = np.array([_means(curves[size], gaps_s, surface.smallest_gap_s) for size in sizes])
    worst = 0.0
    for place in range(1, len(sizes) - 1):
        left, own, right = sizes[place - 1 : place + 2]
        share = (own - left) / (right - left)
        guessed = means[place - 1] + share * (means[place + 1] - means[place - 1])
        worst = max(worst, float(np.abs(guessed / means[place] - 1).max()))
    return worst


def _means(curve: Curve, gaps_s: Floats, smallest_gap_s: float) -> Floats:
    """Return latencies and costs at these gaps, one line each."""
    latency_s = curve.latency_s(gaps_s, smallest_gap_s)
    return np.array([latency_s, curve.power * latency_s + curve.gap_cost(gaps_s)])


def _nearest_edges(curve: Curve) -> Floats:
    """Return where the nearest measured gap changes: halfway to the first, at geometric means further on."""
    gaps_s = curve.gaps_s
    return np.append(gaps_s[1] / 2, np.sqrt(gaps_s[1:-1] * gaps_s[2:]))


def _edges(curve: Curve) -> tuple[Floats, ...]:
    return curve.gaps_s, curve.knots_s, _nearest_edges(curve)


def _apart(edges_s: Floats) -> Floats:
    """Return edges in order, without those that rounding alone tells from the one before."""
    ascending_s = np.unique(edges_s)
    return ascending_s[np.diff(ascending_s, prepend=-1.0) > _SAME_RATIO * ascending_s]


def _coefficients(curve: Curve, edges_s: Floats, smallest_gap_s: float) -> Floats:
    """Return a line of coefficients for each interval; the last has no end, and no slope of latency."""
    deep = depth(edges_s, smallest_gap_s)
    latency_s, gap_cost = curve.latency_s(edges_s, smallest_gap_s), curve.gap_cost(edges_s)
    by_depth = np.append(np.diff(latency_s) / np.diff(deep), 0.0)
    by_gap = np.append(np.diff(gap_cost) / np.diff(edges_s), curve.idle_power)
    latency_at_0 = latency_s - by_depth * deep
    lines = np.empty((edges_s.size, _POWER + 1))
    lines[:, _LATENCY], lines[:, _LATENCY_DEPTH] = latency_at_0, by_depth
    lines[:, _COST] = curve.power * latency_at_0 + gap_cost - by_gap * edges_s
    lines[:, _COST_DEPTH], lines[:, _COST_GAP] = curve.power * by_depth, by_gap
    lines[:, _POWER] = curve.power
    return lines


def _sources(curves: Mapping[int, Curve], edges_s: Floats) -> NDArray[np.int64]:
    sizes = sorted(curves)
    first, near = 0, []
    for size in sizes:
        near.append(first + _nearest_edges(curves[size]).searchsorted(edges_s, side="right"))
        first += curves[size].gaps_s.size
    counts = np.maximum(np.arange(sizes[-1] + 1), 1)
    apart = np.abs(np.log(counts)[:, np.newaxis] - np.log(np.array(sizes)))
    sources: NDArray[np.int64] = np.array(near)[apart.argmin(axis=1)]
    return sources
