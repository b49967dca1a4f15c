"""Quantiles of Student's t as a short table, for a program that has no library of statistics."""

from math import log

from runner.stats.intervals import CONFIDENCE

TABLE_STEPS = 200


def log_t_table(confidence: float = CONFIDENCE) -> tuple[float, ...]:
    """Return the logs of the two-sided t quantile at 1 / degrees of freedom = 0, 1/200 ... 1.

    Over the reciprocal the logs are so smooth that a cubic through the four nearest is right to eight digits.
    """
    from scipy.special import ndtri, stdtrit  # noqa: PLC0415 - costs 0.1 s, and no help needs it

    p = (1 + confidence) / 2
    finite = (float(stdtrit(TABLE_STEPS / step, p)) for step in range(1, TABLE_STEPS + 1))
    return tuple(log(value) for value in (float(ndtri(p)), *finite))
