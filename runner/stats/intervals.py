"""Student's t intervals: of a mean over windows, and of a ratio paired over blocks."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import exp, hypot, inf, log, sqrt

import numpy as np
from numpy.typing import NDArray

from runner.stats.summary import Numbers

CONFIDENCE = 0.95
"""of every interval; two backends are called different when that of their ratio excludes 1"""
POWER = 0.8
"""the convention since Cohen, Statistical Power Analysis, 2nd ed. (1988), section 2.4"""
NORMAL_95, _NORMAL_80 = 1.959964, 0.841621
"""the 97.5 % and 80 % points of the standard normal distribution"""
LEAST_WORKERS = 3
"""the fewest pairs of processes whose spread is believed; between two it has one degree of freedom, t = 12.7"""
LAYOUT_SD = 0.01
"""Standard deviation of the log ratio between two fresh processes of one backend, in 148 comparisons whose windows
told it to better than 1 %: the memory layout of a process is part of its speed (``benchmarks/aa.py``; one pair of
sessions within one process had differed by 0.56 %)."""


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
    worker_count: int = 1
    """pairs of processes that took them"""

    @property
    def half_width_ratio(self) -> float:
        """How far either limit lies from the ratio, as ``--target-ci`` means it; infinite below two pairs."""
        if self.low is None or self.high is None:
            return inf
        return sqrt(self.high / self.low) - 1

    @property
    def claimed_log(self) -> float | None:
        """Half-width of the log ratio that holds for other processes, too; None below two pairs.

        The limits are those of the processes that were measured. From three pairs of them on their spread is in the
        limits already; with fewer, what is known of their layout (`LAYOUT_SD`) is added in quadrature.
        """
        if self.low is None or self.high is None:
            return None
        return beyond_processes(log(self.high / self.low) / 2, self.worker_count, NORMAL_95)


UNKNOWN = RatioInterval(1.0, None, None, 0)
"""before any pair"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over blocks and how well it is known."""

    mean: float
    standard_error: float | None
    """None below two blocks"""
    freedom: float
    """degrees of freedom of the standard error"""
    worker_count: int
    """pairs of processes that took the blocks"""

    def reach(self, *probabilities: float) -> float | None:
        """Return the standard error times the sum of these quantiles of Student's t."""
        if self.standard_error is None:
            return None
        return self.standard_error * sum(_t_quantile(p, self.freedom) for p in probabilities)


def mean_interval(values: Numbers) -> MeanInterval:
    """Return the mean of at least one value with its t interval."""
    estimate = estimate_mean(np.asarray(values, dtype=np.float64), None)
    half = estimate.reach((1 + CONFIDENCE) / 2)
    if half is None:
        return MeanInterval(estimate.mean, None, None)
    return MeanInterval(estimate.mean, estimate.mean - half, estimate.mean + half)


def ratio_interval(
    values: Numbers, baseline: Numbers, workers: Sequence[Hashable] | None = None
) -> RatioInterval:
    """Return exp of the mean log ratio over pairs, with its t interval.

    From three pairs of workers on, each pair is one piece of evidence: blocks that one pair of processes took share
    its memory layout, and are no independent evidence about the backends.

    Args:
        values: one positive figure per block.
        baseline: the baseline's figures in the same blocks and order.
        workers: per block, what names the pair of processes that took it; None where one pair took all.
    """
    estimate = estimate_mean(_log_ratios(values, baseline), workers)
    half = estimate.reach((1 + CONFIDENCE) / 2)
    low, high = (None, None) if half is None else (exp(estimate.mean - half), exp(estimate.mean + half))
    return RatioInterval(exp(estimate.mean), low, high, len(values), estimate.worker_count)


def minimum_detectable_ratio(
    values: Numbers, baseline: Numbers, workers: Sequence[Hashable] | None = None
) -> float | None:
    """Return the smallest ratio above 1 that so many such pairs tell from 1 with 80 % power; None below two.

    With the standard error s of the mean log ratio it is exp(s (t(0.975, n - 1) + t(0.8, n - 1))); its
    reciprocal is the largest detectable ratio below 1. With fewer than three pairs of workers their layout is added
    in quadrature.

    Source:
        Zar, Biostatistical Analysis, 5th ed. (2010), section 7.7, the minimum detectable difference.
    """
    estimate = estimate_mean(_log_ratios(values, baseline), workers)
    reach = estimate.reach((1 + CONFIDENCE) / 2, POWER)
    if reach is None:
        return None
    return exp(beyond_processes(reach, estimate.worker_count, NORMAL_95 + _NORMAL_80))


def estimate_mean(samples: NDArray[np.float64], workers: Sequence[Hashable] | None) -> Estimate:
    """Return the mean of at least one value; from three workers on each is one piece of evidence.

    Args:
        samples: one per block.
        workers: as of ``ratio_interval``.
    """
    groups = _grouped(samples, workers)
    mean, count = float(samples.mean()), samples.size
    if count < 2:  # noqa: PLR2004 - one value has no spread
        return Estimate(mean, None, 0, len(groups))
    if len(groups) >= LEAST_WORKERS:
        return _between_groups(groups, mean)
    # Too few to know their spread: every pair of windows stands for itself, and a claim adds `LAYOUT_SD`.
    return Estimate(mean, float(samples.std(ddof=1)) / sqrt(count), count - 1, len(groups))


def beyond_processes(reach: float, worker_count: int, quantile: float) -> float:
    """Return how far a log ratio must lie from 0 to be one of backends and not of the processes that ran them.

    Args:
        reach: the same for these very processes.
        worker_count: pairs of them.
        quantile: of the standard normal distribution, by which the spread of layouts is multiplied.
    """
    if worker_count >= LEAST_WORKERS:
        return reach
    return hypot(reach, quantile * LAYOUT_SD / sqrt(worker_count))


def _between_groups(groups: Sequence[NDArray[np.float64]], mean: float) -> Estimate:
    """Return how well a mean over all values is known when each group is one independent piece of evidence.

    What a group's values have in common counts once. Pooling where groups seem alike would narrow it, but a handful of
    groups shows too little for such a test. For k groups of one size this is the t interval of their means. Unequal
    ones are worth fewer: 1 / (sum of squared shares) of them, which is k for equal shares.

    Source:
        Cochran, Sampling Techniques, 3rd ed. (1977), section 11.8: the ratio-to-size estimate of clusters of unequal
        sizes. Kish, Survey Sampling (1965), section 8.2: the effective number of unequally weighted units.
    """
    count = sum(group.size for group in groups)
    shares = np.array([group.size / count for group in groups])
    off = np.array([float(group.mean()) - mean for group in groups])
    effective = 1 / float((shares**2).sum())
    error = sqrt(float(((shares * off) ** 2).sum()) / (1 - 1 / effective))
    # One group may hold nearly everything; below one degree of freedom t has no use any more.
    return Estimate(mean, error, max(1.0, effective - 1), len(groups))


def _grouped(samples: NDArray[np.float64], workers: Sequence[Hashable] | None) -> list[NDArray[np.float64]]:
    if workers is None:
        return [samples]
    places: dict[Hashable, list[int]] = {}
    for place, worker in enumerate(workers):
        places.setdefault(worker, []).append(place)
    return [samples[own] for own in places.values()]


def _log_ratios(values: Numbers, baseline: Numbers) -> NDArray[np.float64]:
    return np.log(np.asarray(values, dtype=np.float64)) - np.log(np.asarray(baseline, dtype=np.float64))


def _t_quantile(p: float, freedom: float) -> float:
    from scipy.special import stdtrit  # noqa: PLC0415 - costs 0.1 s, and only a finished run needs it

    return float(stdtrit(freedom, p))
