"""What a meter is, and energy as a value that says how it was come by."""

from dataclasses import dataclass
from typing import Literal, Protocol

Domain = Literal["cpu_package", "dram", "gpu"]


@dataclass(frozen=True, slots=True)
class Measured:
    """Energy of one domain in one window, from counters or sampled power."""

    domain: Domain
    source: str
    """pyRAPL, powercap, nvml-counter or nvml-power"""
    energy_j: float
    bound_j: float
    """largest error that the meter's update period allows at the window's edges"""
    scope: str = "whole_device"
    status: Literal["measured"] = "measured"


@dataclass(frozen=True, slots=True)
class Estimated:
    """Energy computed from CPU utilisation because the user gave idle and full power."""

    domain: Domain
    source: str
    energy_j: float
    low_j: float
    high_j: float
    status: Literal["estimated"] = "estimated"


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why there is no figure; never a zero."""

    domain: Domain
    reason: str
    remedy: str = ""
    status: Literal["unavailable"] = "unavailable"


Energy = Measured | Estimated | Unavailable


@dataclass(frozen=True, slots=True)
class Reading:
    """One raw read of a counter or of a power value."""

    at_s: float
    """monotonic clock, the middle of the read"""
    took_s: float
    value: float
    """joules since an arbitrary start, unwrapped; or watts for a sampled power meter"""


class Meter(Protocol):
    """Reads energy for one device of one domain; knows nothing of models."""

    @property
    def domain(self) -> Domain:
        """What it covers."""

    @property
    def device(self) -> str:
        """Which one: package-0, or a GPU's UUID."""

    @property
    def source(self) -> str:
        """Through what it reads."""

    @property
    def minimum_window_s(self) -> float:
        """The shortest window in which its error stays small."""

    def start(self) -> None:
        """Begin to record; the next ``energy`` covers windows after this."""

    def poll(self) -> None:
        """Take one reading; called often while a window is open."""

    def energy(self, started_s: float, ended_s: float) -> Energy:
        """Return the energy between two moments of the monotonic clock, both after ``start``."""
