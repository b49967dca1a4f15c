"""What may be claimed from paired figures: less, more, or not to be told from the best."""

from collections.abc import Hashable, Sequence
from functools import cache
from itertools import combinations
from math import log
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runner.stats.estimate import estimate_log_ratio
from runner.stats.intervals import CONFIDENCE, RatioInterval, beyond_processes

Verdict = Literal["less", "more", "no difference seen", "too few pairs", "too few workers"]
Table = NDArray[np.float64]
"""positive figures, a row per block and a column per cell"""

LEAST_PAIRS = 3
"""the fewest blocks of any profile; with two, Student's t is 12.7 and nothing can be said"""
SIMULATIONS = 10_000
"""puts the level of the simulated 95 % point within 0.2 percentage points (its binomial standard error)"""
LARGEST_FREEDOM = 120
"""where printed t tables end: beyond it the 95 % point falls by less than 2 %"""


def verdict(interval: RatioInterval) -> Verdict:
    """Return what the interval of a ratio to the baseline says.

    With fewer than three pairs of workers, a difference that fresh processes of one backend show among themselves is
    not claimed, however narrow its interval.
    """
    if interval.pair_count < LEAST_PAIRS or interval.low is None or interval.high is None:
        return "too few pairs"
    if interval.low <= 1 <= interval.high:
        return "no difference seen"
    if interval.claimed_log is None or abs(log(interval.ratio)) <= interval.claimed_log:
        return "too few workers"
    return "less" if interval.high < 1 else "more"


def exceeds(interval: RatioInterval, threshold_ratio: float) -> bool:
    """Return whether a ratio is surely above a threshold: for 1 this is what ``verdict`` calls ``more``."""
    if interval.pair_count < LEAST_PAIRS or interval.claimed_log is None:
        return False
    return log(interval.ratio) - interval.claimed_log > log(threshold_ratio)


def lowest(table: Table) -> int:
    """Return the column that is lowest beside the others in its rows, by the same mean as paired ratios."""
    logs = np.log(table)
    beside = logs - logs.mean(axis=1, keepdims=True)
    return int(np.argmin([estimate_log_ratio(column, None).mean for column in beside.T]))


def best_set(table: Table, workers: Sequence[Hashable] | None = None) -> tuple[int, ...]:
    """Return the columns that no simultaneous 95 % interval of their ratio separates from the lowest.

    Every pair's mean log ratio (``estimate_log_ratio``) is studentised with its own spread; one critical value covers
    the largest |t| over all pairs, so the lowest may be picked after looking, and a true tie is kept whole in 95 % of
    runs. Workers count as in ``ratio_interval``. From three equal shares on, a tie of four cells is kept whole in 95
    to 97 % (simulated). With fewer their layout is added in quadrature.

    Args:
        table: at least ``LEAST_PAIRS`` rows and two columns.
        workers: per row, what names the processes that took it; None where the same took all.

    Source:
        Hsu, Multiple Comparisons: Theory and Methods (1996), chapters 4 (with the best) and 5 (all pairs).
        Hothorn, Bretz and Westfall, Simultaneous Inference in General Parametric Models, Biometrical Journal
        50 (2008): the distribution of max |t|.
    """
    logs = np.log(table)
    best = lowest(table)
    differences = logs - logs[:, [best]]
    layout = critical_t(table.shape[1], LARGEST_FREEDOM)
    members = []
    for column, difference in enumerate(differences.T):
        estimate = estimate_log_ratio(difference, workers)
        assert estimate.standard_error is not None, "fewer than two rows"
        seen = critical_t(table.shape[1], int(estimate.freedom)) * estimate.standard_error
        if estimate.mean <= beyond_processes(seen, estimate.worker_count, layout):
            members.append(column)
    return tuple(members)


@cache
def critical_t(cells: int, freedom: int) -> float:
    """Return the 95 % point of the largest paired |t| over all pairs of cells that are equal in truth.

    Simulated with a fixed seed for independent, equally noisy log figures; what a block does to all its cells
    cancels in every pair. For two cells this is Student's t. The spread is each pair's own (not pooled, as in
    Tukey's studentised range), so that one noisy backend does not hide differences among quiet ones.
    """
    rng = np.random.default_rng(0)
    freedom = min(freedom, LARGEST_FREEDOM)
    # The mean and the variance of normal samples are independent (Cochran): each is drawn by itself.
    means = rng.standard_normal((SIMULATIONS, cells))
    residuals = rng.standard_normal((SIMULATIONS, freedom, cells))
    covariances = residuals.transpose(0, 2, 1) @ residuals / freedom
    largest = np.zeros(SIMULATIONS)
    for first, second in combinations(range(cells), 2):
        variances = (
            covariances[:, first, first] + covariances[:, second, second] - 2 * covariances[:, first, second]
        )
        np.maximum(largest, np.abs(means[:, first] - means[:, second]) / np.sqrt(variances), out=largest)
    return float(np.quantile(largest, CONFIDENCE))
