"""Ratios of figures that were not taken side by side: two runs, each known by three numbers.

A run's figure is the mean of its windows' logs. How well its own windows know it is one thing; how far the next run of
the same thing lies from it is another, larger one (`RunSpread`), and only repeated runs tell.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import exp, inf, log, sqrt

import numpy as np

from runner.stats.estimate import LEAST_WORKERS, estimate_mean
from runner.stats.intervals import CONFIDENCE, LAYOUT_SD, POWER
from runner.stats.summary import Numbers

LEAST_RUNS = 5
"""the fewest runs of one thing whose spread is believed: docs/measurement.md, section 5"""
_LAYOUT_FREEDOM = 147
"""of ``LAYOUT_SD``, which 148 comparisons gave"""


@dataclass(frozen=True, slots=True)
class LogMean:
    """A figure of one run, or of several as one: all that a comparison with another run needs."""

    log_mean: float
    """mean of the natural logs"""
    log_variance: float
    """of that mean, from within the run"""
    degrees_of_freedom: float
    """of the variance"""
    run_count: int = 1
    """how many runs it is the mean of"""


@dataclass(frozen=True, slots=True)
class RunSpread:
    """How far runs of one thing lie from each other, in logs."""

    variance: float
    """of one run's ``log_mean``, what its windows do not know included"""
    degrees_of_freedom: float
    within_variance: float
    """what the windows of such a run tell of it, on average: the mean of their ``log_variance``"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A log ratio, how well it is known, and the limits that follow."""

    log_ratio: float
    standard_error: float
    degrees_of_freedom: float

    @property
    def ratio(self) -> float:
        """The ratio itself."""
        return _exp(self.log_ratio)

    def limits(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Return the two-sided limits of the ratio."""
        reach = self._reach((1 + confidence) / 2)
        return _exp(self.log_ratio - reach), _exp(self.log_ratio + reach)

    def lower(self, error: float) -> float:
        """Return the limit that the ratio lies below by chance in this share of cases."""
        return _exp(self.log_ratio - self._reach(1 - error))

    def upper(self, error: float) -> float:
        """Return the limit that the ratio lies above by chance in this share of cases."""
        return _exp(self.log_ratio + self._reach(1 - error))

    def detectable(self, threshold_ratio: float, error: float) -> float:
        """Return the ratio whose lower limit exceeds the threshold in 80 % of cases (Zar, section 7.7)."""
        return _exp(log(threshold_ratio) + self._reach(1 - error) + self._reach(POWER))

    def _reach(self, p: float) -> float:
        from scipy.special import stdtrit  # noqa: PLC0415 - costs 0.1 s, and no help needs it

        return self.standard_error * float(stdtrit(self.degrees_of_freedom, p))


def _exp(value: float) -> float:
    """Return e to this power; infinity where no float holds it."""
    try:
        return exp(value)
    except OverflowError:
        return inf


def log_mean(values: Numbers, workers: Sequence[Hashable] | None = None) -> LogMean | None:
    """Return a run's figure from its windows; None for fewer than two, or where one is not positive.

    Processes are clusters from three on; with fewer, what is known of their layout is added.
    """
    samples = np.asarray(values, dtype=np.float64)
    if samples.size < 2 or not (samples > 0).all():  # noqa: PLR2004 - one value has no spread
        return None
    estimate = estimate_mean(np.log(samples), workers)
    assert estimate.standard_error is not None, "two values have a spread"
    own, layout = estimate.standard_error**2, LAYOUT_SD**2 / estimate.worker_count
    if estimate.worker_count >= LEAST_WORKERS:
        return LogMean(estimate.mean, own, estimate.freedom)
    freedom = (own + layout) ** 2 / (own**2 / estimate.freedom + layout**2 / _LAYOUT_FREEDOM)
    return LogMean(estimate.mean, own + layout, freedom)


def pooled(runs: Sequence[LogMean]) -> LogMean:
    """Return several runs of one thing as one figure, each run counting alike."""
    count = len(runs)
    total = sum(run.log_variance for run in runs)
    parts = sum(run.log_variance**2 / run.degrees_of_freedom for run in runs)
    mean = sum(run.log_mean for run in runs) / count
    return LogMean(mean, total / count**2, total**2 / parts if parts else 1.0, count)


def difference(new: LogMean, reference: LogMean, spread: RunSpread | None = None) -> Difference:
    """Return the log ratio of two figures that were not taken side by side.

    Without a spread it holds for these two runs only. With one, the spread of repeated runs stands for each run: what
    their own windows do not know is in it. A run whose windows know less than those of the repeated runs did, as a
    shorter or a disturbed one, adds the excess; one that knows more gains nothing. Degrees of freedom are
    Satterthwaite's; that the spread is one estimate for both sides is counted.

    Source:
        Welch, The generalization of Student's problem, Biometrika 34 (1947). Satterthwaite, An approximate distribution
        of estimates of variance components, Biometrics Bulletin 2 (1946).
    """
    sides = (new, reference)
    parts = [(side.log_variance, side.degrees_of_freedom) for side in sides]
    if spread:
        known = [spread.within_variance / side.run_count for side in sides]
        parts = [(max(0.0, own - usual), freedom) for (own, freedom), usual in zip(parts, known, strict=True)]
        parts.append((spread.variance * sum(1 / side.run_count for side in sides), spread.degrees_of_freedom))
    variance = sum(part for part, _ in parts)
    uncertain = sum(part**2 / freedom for part, freedom in parts)
    freedom = variance**2 / uncertain if uncertain else 1.0
    return Difference(new.log_mean - reference.log_mean, sqrt(variance), max(1.0, freedom))
