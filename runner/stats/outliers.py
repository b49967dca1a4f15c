"""Which values lie far from the others; they are shown, and never left out for it."""

import numpy as np

from runner.stats.summary import Numbers

LIMIT = 3.5
"""modified z-score from which a value is flagged: Iglewicz and Hoaglin's recommendation"""
NORMAL_MAD = 0.6745
"""median |deviation| of a normal distribution, in standard deviations"""
NORMAL_MEAN_DEVIATION = 0.7979
"""mean |deviation| of a normal distribution, in standard deviations: sqrt(2 / pi)"""


def outliers(values: Numbers) -> tuple[bool, ...]:
    """Return, for each value, whether it lies beyond 3.5 median absolute deviations (MAD) from the median.

    Where more than half of the values are equal the MAD is 0; then the mean absolute deviation takes its place.

    Source:
        Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993), chapter 3, the modified z-score.
    """
    samples = np.asarray(values, dtype=np.float64)
    if not samples.size:
        return ()
    deviations = np.abs(samples - np.median(samples))
    spread = float(np.median(deviations)) / NORMAL_MAD or float(deviations.mean()) / NORMAL_MEAN_DEVIATION
    return tuple((deviations > LIMIT * spread).tolist())
