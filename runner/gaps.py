"""Idle gaps before batches: those a twin is calibrated with, and the batches in which none of them shows."""

from collections.abc import Iterable

CALIBRATION_GAPS_S = (0.002, 0.02, 0.1)
"""What a report should hold for a twin: early in, well within and beyond what a pool of threads spins (40 to 60 ms),
and what lies between two requests at 500, 50 and 10 a second."""
OUTLASTED = 10
"""Ours: what a gap adds to a batch (cold caches, waking up, threads that spin) is a few milliseconds, and at most as
much CPU time per thread as the gap is long, whatever the batch size. In a batch this many times as long as the gap it
is too little to measure, and is better known from smaller batches."""


def outlasts(inference_s: float, gaps_s: Iterable[float], times: float = OUTLASTED) -> bool:
    """Return whether an inference takes over ``times`` the longest of these gaps, so that none shows in it."""
    return inference_s > times * max(gaps_s)
