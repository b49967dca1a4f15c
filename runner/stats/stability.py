"""When a warm-up may end. Runs in workers: only the standard library and numpy."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

STRETCHES = 5
TOLERANCE_RATIO = 0.02
VARIATIONS = 2.0
"""The last 5 must agree within max(2 %, twice their own variation): 2 % is what a run's intervals aim at, and
noise alone passes at once in 4 of 5 cases (simulated), so that a warm-up does not wait for calm."""
NORMAL_MEDIAN_STEP = 0.954
"""median |difference| of two normal draws, in standard deviations: sqrt(2) x 0.6745"""
TREND_PAIRS = 8
"""Kendall's S of 5 values that counts as a trend: of the 120 orders of 5 values 10 reach it, 8 % by chance"""


def is_steady(means: Sequence[float]) -> bool:
    """Return whether the last 5 stretches agree and show no trend; false while there are fewer.

    Their own variation is the median step between neighbours: neither a drift nor a single jump inflates it,
    as either would a standard deviation (whose double covers any 5 values).

    Args:
        means: mean latency of each warm-up stretch so far, oldest first.

    Source:
        Trend: Kendall, Rank Correlation Methods (1975), S against time (the Mann-Kendall test).
    """
    if len(means) < STRETCHES:
        return False
    last = np.asarray(means[-STRETCHES:], dtype=np.float64)
    mean = float(last.mean())
    variation = float(np.median(np.abs(np.diff(last)))) / NORMAL_MEDIAN_STEP
    agree = float(np.abs(last - mean).max()) <= max(TOLERANCE_RATIO * mean, VARIATIONS * variation)
    trend = sum(int(np.sign(later - earlier)) for earlier, later in combinations(last, 2))
    return agree and abs(trend) < TREND_PAIRS
