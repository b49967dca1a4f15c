"""What a load hands back, in the clock's own integers until the worker reports."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timed:
    """One window as the load saw it."""

    started_ns: int
    ended_ns: int
    """end of the last inference, or of the last pacing period"""
    latencies_ns: tuple[int, ...]
    late_ns: int = 0
    """how far the last inference ran past the end of its schedule; 0 back to back"""
