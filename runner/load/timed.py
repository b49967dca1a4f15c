"""What a load hands back."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timed:
    """One window as the load saw it."""

    started_s: float
    ended_s: float
    """end of the last inference, or of the last pacing period"""
    latencies_s: tuple[float, ...]
    late_s: float = 0.0
    """how far the last inference ran past the end of its schedule; 0 back to back"""
