"""Student's t intervals: of a mean over windows, and of a ratio paired over blocks."""

from dataclasses import dataclass
from math import exp, sqrt

import numpy as np

from runner.stats.summary import Numbers

CONFIDENCE = 0.95
"""of every interval; two backends are called different when that of their ratio excludes 1"""
POWER = 0.8
"""the convention since Cohen, Statistical Power Analysis, 2nd ed. (1988), section 2.4"""


@dataclass(frozen=True, slots=True)
class MeanInterval:
    """A mean with its 95 % limits; None below two values."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class RatioInterval:
    """A ratio to the baseline with its 95 % limits; None below two pairs."""

    ratio: float
    low: float | None
    high: float | None
    pair_count: int


def mean_interval(values: Numbers) -> MeanInterval:
    """Return the mean of at least one value with its t interval."""
    samples = np.asarray(values, dtype=np.float64)
    mean = float(samples.mean())
    if samples.size < 2:  # noqa: PLR2004 - one value has no spread
        return MeanInterval(mean, None, None)
    half = _t_quantile((1 + CONFIDENCE) / 2, samples.size - 1) * _standard_error(samples)
    return MeanInterval(mean, mean - half, mean + half)


def ratio_interval(values: Numbers, baseline: Numbers) -> RatioInterval:
    """Return exp of the mean log ratio over pairs, with its t interval.

    Args:
        values: one positive figure per block.
        baseline: the baseline's figures in the same blocks and order.
    """
    logs = mean_interval(_log_ratios(values, baseline))
    low, high = (None if limit is None else exp(limit) for limit in (logs.low, logs.high))
    return RatioInterval(exp(logs.mean), low, high, len(values))


def minimum_detectable_ratio(values: Numbers, baseline: Numbers) -> float | None:
    """Return the smallest ratio above 1 that so many such pairs tell from 1 with 80 % power; None below two.

    With the standard error s of the mean log ratio it is exp(s (t(0.975, n - 1) + t(0.8, n - 1))); its
    reciprocal is the largest detectable ratio below 1.

    Source:
        Zar, Biostatistical Analysis, 5th ed. (2010), section 7.7, the minimum detectable difference.
    """
    logs = _log_ratios(values, baseline)
    if logs.size < 2:  # noqa: PLR2004 - one pair has no spread
        return None
    quantiles = _t_quantile((1 + CONFIDENCE) / 2, logs.size - 1) + _t_quantile(POWER, logs.size - 1)
    return exp(quantiles * _standard_error(logs))


def _log_ratios(values: Numbers, baseline: Numbers) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.log(np.asarray(values, dtype=np.float64)) - np.log(np.asarray(baseline, dtype=np.float64))


def _standard_error(samples: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    return float(samples.std(ddof=1)) / sqrt(samples.size)


def _t_quantile(p: float, freedom: int) -> float:
    from scipy.special import stdtrit  # noqa: PLC0415 - costs 0.1 s, and only a finished run needs it

    return float(stdtrit(freedom, p))
