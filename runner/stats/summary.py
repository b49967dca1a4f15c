"""Quantiles that are only shown where enough samples stand behind them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = Sequence[float] | NDArray[np.float64]

TAIL_SAMPLES = 10
"""Samples that must lie beyond a quantile before it is shown, so at least 10 / (1 - p) in all. Their number
scatters by a third even then (Poisson); with fewer, a tail figure is mostly luck."""


def quantile(values: Numbers, p: float) -> float | None:
    """Return the quantile of pooled inferences, or None below 10 / (1 - p) of them.

    Source:
        Hyndman and Fan, Sample Quantiles in Statistical Packages, The American Statistician 50 (1996),
        definition 7, which numpy calls linear.
    """
    samples = np.asarray(values, dtype=np.float64)
    # Rounded, because 100 * (1 - 0.9) is a hair below 10 in binary.
    if round(samples.size * (1 - p), 9) < TAIL_SAMPLES:
        return None
    return float(np.quantile(samples, p, method="linear"))
