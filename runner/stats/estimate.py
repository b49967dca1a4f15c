"""Means over blocks: plain or trimmed, and how well they are known when several processes took the blocks."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

NORMAL_95 = 1.959964
"""the 97.5 % point of the standard normal distribution"""
LEAST_WORKERS = 3
"""the fewest pairs of processes whose spread is believed; between two it has one degree of freedom, t = 12.7"""
TRIMMED_SHARE = 0.1
"""Of the log ratios, cut off at either end. Others on the machine make a few pairs of windows differ by 30 % and more,
while half of them agree within 3 %: a tenth off either end narrows the interval of a minute by a third, and costs 3 %
where noise is normal (benchmarks/README.md, pair)."""
_LOPSIDED = 1.645
"""standard errors between the plain mean and the trimmed one; equal ends are so far apart in one of ten runs"""
_LEAST_CUT = 5
"""the fewest values at an end that show whether it is like the other"""


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


def estimate_mean(samples: NDArray[np.float64], workers: Sequence[Hashable] | None) -> Estimate:
    """Return the mean of at least one value; from three workers on each is one piece of evidence.

    Args:
        samples: one per block.
        workers: per block, what names the processes that took it; None where the same took all.
    """
    groups = _grouped(samples, workers)
    mean, count = float(samples.mean()), samples.size
    if count < 2:  # noqa: PLR2004 - one value has no spread
        return Estimate(mean, None, 0, len(groups))
    if len(groups) >= LEAST_WORKERS:
        return _between_groups(groups, mean)
    # Too few to know their spread: every pair of windows stands for itself, and a claim adds `LAYOUT_SD`.
    return Estimate(mean, float(samples.std(ddof=1)) / sqrt(count), count - 1, len(groups))


def estimate_log_ratio(samples: NDArray[np.float64], workers: Sequence[Hashable] | None) -> Estimate:
    """Return the mean of log ratios without a tenth of them at either end; the plain mean where the ends are lopsided.

    What others on the machine do hits both sides alike, and cutting both ends leaves the middle where it was. A
    backend that is slow itself in a few of its windows stretches one end: then the plain mean and the trimmed one lie
    farther apart than chance explains, those windows count in full, and the limits reach over both means, because it
    may have been chance. Below 50 values nothing is cut: too few lie at an end to show it. What is slow in so few
    windows that even then nothing shows (2 of 100, say) is not in the ratio: it is one of what is usual.

    The spread is that of the values with both tails drawn in to the last ones kept (winsorised), because it is chance,
    too, which of them are cut.

    Args:
        samples: as of ``estimate_mean``, as is the next.
        workers: the same.

    Source:
        Tukey and McLaughlin, Less Vulnerable Confidence and Significance Procedures, Sankhya A 25 (1963). Yuen, The
        Two-Sample Trimmed t for Unequal Population Variances, Biometrika 61 (1974).
    """
    plain = estimate_mean(samples, workers)
    cut = int(TRIMMED_SHARE * samples.size)
    if cut < _LEAST_CUT:
        return plain
    kept = np.sort(samples)[cut:-cut]
    # Winsorised and stretched, its standard error is that of the trimmed mean, s_w / ((1 - 2 x share) sqrt(n)); and
    # value by value it is what the trimmed mean owes to each, so that what is left is the difference of the two means.
    owed = samples.clip(kept[0], kept[-1]) * (samples.size / kept.size)
    middle, difference = estimate_mean(owed, workers), estimate_mean(samples - owed, workers)
    assert plain.standard_error is not None, "more than two values"
    assert middle.standard_error is not None
    assert difference.standard_error is not None
    mean = float(kept.mean())
    gap = abs(plain.mean - mean)
    if gap > _LOPSIDED * difference.standard_error:
        both = middle.standard_error + gap / NORMAL_95
        return replace(plain, standard_error=max(plain.standard_error, both))
    return replace(middle, mean=mean, freedom=min(middle.freedom, kept.size - 1))


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


def _t_quantile(p: float, freedom: float) -> float:
    from scipy.special import stdtrit  # noqa: PLC0415 - costs 0.1 s, and only a finished run needs it

    return float(stdtrit(freedom, p))
