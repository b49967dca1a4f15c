"""How far two samples lie apart, without a unit and whatever their shape."""

import numpy as np

from runner.stats.summary import Numbers


def cliffs_delta(values: Numbers, baseline: Numbers) -> float:
    """Return P(value above the baseline's) - P(below), from -1 to 1, over all pairs of two samples of any size.

    Source:
        Cliff, Dominance statistics: ordinal analyses to answer ordinal questions, Psychological Bulletin 114 (1993).
    """
    own, base = np.asarray(values, dtype=np.float64), np.sort(np.asarray(baseline, dtype=np.float64))
    below = np.searchsorted(base, own, side="left")
    above = base.size - np.searchsorted(base, own, side="right")
    return float((below - above).mean() / base.size)
