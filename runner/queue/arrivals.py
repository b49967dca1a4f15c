"""The arrivals of a run's windows: one pattern for each block, the same for every policy and backend."""

import numpy as np

from runner.arrivals.registry import parse_arrivals
from runner.errors import UsageError


def arrivals_s(spec: str, rate_hz: float, count: int, seed: int, block: int) -> tuple[float, ...]:
    """Return when the requests of a window come, in seconds from its start, ascending.

    Args:
        spec: of the arrivals; those of a trace are what its file says, whatever the rate.
        rate_hz: mean arrivals per second; the pattern of a block is the same at every rate, stretched.
        count: how many.
        seed: of the run.
        block: repeats have a number of their own, and so other arrivals.
    """
    arrivals = parse_arrivals(spec)
    rng = np.random.default_rng([seed, block])
    return tuple(arrivals.times_s(rate_hz if arrivals.takes_rate else None, count, rng).tolist())


def mean_rate_hz(spec: str, count: int) -> float:
    """Return the mean rate of the first so many arrivals of a trace.

    Raises:
        UsageError: all of them come at once.
    """
    last_s = float(parse_arrivals(spec).times_s(None, count, np.random.default_rng(0))[-1])
    if last_s <= 0:
        raise UsageError(f"Cannot replay {spec}", expected="arrivals after 0 s", got="all of them at 0 s")
    return count / last_s
