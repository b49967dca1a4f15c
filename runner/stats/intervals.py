"""Student's t intervals: of a mean over windows, and of a ratio paired over blocks."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import exp, hypot, inf, log, sqrt

import numpy as np
from numpy.typing import NDArray

from runner.stats.estimate import LEAST_WORKERS, NORMAL_95, estimate_log_ratio, estimate_mean
from runner.stats.summary import Numbers

CONFIDENCE = 0.95
"""of every interval; two backends are called different when that of their ratio excludes 1"""
POWER = 0.8
"""the convention since Cohen, Statistical Power Analysis, 2nd ed. (1988), section 2.4"""
_NORMAL_80 = 0.841621
"""the 80 % point of the standard normal distribution"""
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
    """Return exp of the mean log ratio of pairs (``estimate_log_ratio``), with its t interval.

    From three pairs of workers on, each pair is one piece of evidence: blocks that one pair of processes took share
    its memory layout, and are no independent evidence about the backends.

    Args:
        values: one positive figure per block.
        baseline: the baseline's figures in the same blocks and order.
        workers: per block, what names the pair of processes that took it; None where one pair took all.
    """
    estimate = estimate_log_ratio(_log_ratios(values, baseline), workers)
    half = estimate.reach((1 + CONFIDENCE) / 2)
    low, high = (None, None) if half is None else (exp(estimate.mean - half), exp(estimate.mean + half))
    return RatioInterval(exp(estimate.mean), low, high, len(values), estimate.worker_count)


def minimum_detectable_ratio(
    values: Numbers, baseline: Numbers, workers: Sequence[Hashable] | None = None
) -> float | None:
    """Return the smallest ratio above 1 that so many such pairs tell from 1 with 80 % power; None below two.

    With the standard error s of the mean log ratio and its f degrees of freedom it is
    exp(s (t(0.975, f) + t(0.8, f))); its reciprocal is the largest detectable ratio below 1. With fewer than three
    pairs of workers their layout is added in quadrature.

    Source:
        Zar, Biostatistical Analysis, 5th ed. (2010), section 7.7, the minimum detectable difference.
    """
    estimate = estimate_log_ratio(_log_ratios(values, baseline), workers)
    reach = estimate.reach((1 + CONFIDENCE) / 2, POWER)
    if reach is None:
        return None
    return exp(beyond_processes(reach, estimate.worker_count, NORMAL_95 + _NORMAL_80))


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


def _log_ratios(values: Numbers, baseline: Numbers) -> NDArray[np.float64]:
    return np.log(np.asarray(values, dtype=np.float64)) - np.log(np.asarray(baseline, dtype=np.float64))
