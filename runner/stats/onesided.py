"""One-sided limits of a paired ratio, from its two-sided interval: what a gate judges."""

from dataclasses import dataclass
from math import exp, log

from runner.stats.compare import LEAST_PAIRS
from runner.stats.estimate import LEAST_WORKERS
from runner.stats.intervals import CONFIDENCE, RatioInterval, beyond_processes


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits that each hold but for one share of cases."""

    low: float
    high: float


def one_sided(interval: RatioInterval, error: float) -> Bounds | None:
    """Return the limits of a paired ratio that each are wrong in this share of cases; None below three pairs.

    Degrees of freedom are taken as those of equal shares of processes; a run that ended early has unequal ones, and
    then slightly fewer. With fewer than three pairs of processes, what is known of their layout is added, as for every
    claim.
    """
    from scipy.special import ndtri, stdtrit  # noqa: PLC0415 - costs 0.1 s, and no help needs it

    if interval.low is None or interval.high is None or interval.pair_count < LEAST_PAIRS:
        return None
    clustered = interval.worker_count >= LEAST_WORKERS
    freedom = (interval.worker_count if clustered else interval.pair_count) - 1
    half = log(interval.high / interval.low) / 2
    reach = half * float(stdtrit(freedom, 1 - error)) / float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
    reach = beyond_processes(reach, interval.worker_count, float(ndtri(1 - error)))
    return Bounds(exp(log(interval.ratio) - reach), exp(log(interval.ratio) + reach))
