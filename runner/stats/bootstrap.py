"""How well percentiles of pooled inferences are known, when inferences of one window resemble each other."""

from collections.abc import Sequence

import numpy as np

from runner.stats.intervals import CONFIDENCE
from runner.stats.summary import Numbers

LEAST_WINDOWS = 30
"""below it the limits are too narrow: of 10 windows they cover 78 % (docs/measurement.md, section 5)"""
RESAMPLES = 1000
"""leaves the limits a scatter of a fifteenth of the half-width (their level has a standard error of 0.5 points)"""


def quantile_limits(windows: Sequence[Numbers], p: float) -> tuple[float, float] | None:
    """Return the 95 % limits of a quantile of all windows' values together; None below 30 windows.

    Whole windows are drawn with replacement, with a fixed seed: values of one window are no independent evidence.

    Args:
        windows: the values of each, one at least.
        p: of the quantile.

    Source:
        Davison and Hinkley, Bootstrap Methods and their Application (1997), sections 3.8 (hierarchical data: whole
        groups are drawn) and 5.3.1 (percentile limits).
    """
    if len(windows) < LEAST_WINDOWS:
        return None
    values = np.concatenate([np.asarray(each, dtype=np.float64) for each in windows])
    order = np.argsort(values, kind="stable")
    window_of = np.repeat(np.arange(len(windows)), [len(each) for each in windows])[order]
    values = values[order]
    rng = np.random.default_rng(0)
    found = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        drawn = np.bincount(rng.integers(len(windows), size=len(windows)), minlength=len(windows))
        below = drawn[window_of].cumsum()  # each value counts as often as its window was drawn
        found[number] = values[np.searchsorted(below, p * below[-1])]
    low, high = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
