"""What a meter is, and energy as a value that says how it was come by."""

from dataclasses import dataclass
from typing import Literal, Protocol

from runner.extensible import Extensible

Domain = Literal["cpu_package", "dram", "gpu"]
DOMAINS: tuple[Domain, ...] = ("cpu_package", "dram", "gpu")


@dataclass(frozen=True)
class Measured(Extensible):
    """Energy of one domain in one window, from counters or sampled power."""

    domain: Domain
    source: str
    """pyRAPL, powercap, nvml-counter or nvml-power; two joined by + when the devices of a domain differ"""
    energy_j: float
    bound_j: float
    """largest error that the meter's update period allows at the window's edges"""
    scope: str = "whole_device"
    """counters cover all that runs on a device, not only our worker"""
    flags: tuple[str, ...] = ()
    """what makes the figure doubtful, for people"""
    sampled_ratio: float | None = None
    """sampled power's energy / the counter's, where a GPU gave both"""
    status: Literal["measured"] = "measured"


@dataclass(frozen=True)
class Estimated(Extensible):
    """Energy computed from CPU utilisation because the user gave idle and full power."""

    domain: Domain
    source: str
    energy_j: float
    low_j: float
    high_j: float
    status: Literal["estimated"] = "estimated"


@dataclass(frozen=True)
class Unavailable(Extensible):
    """Why there is no figure; never a zero."""

    domain: Domain
    reason: str
    remedy: str = ""
    """a whole sentence without its full stop"""
    status: Literal["unavailable"] = "unavailable"


Energy = Measured | Estimated | Unavailable


@dataclass(frozen=True, slots=True)
class MeterStatus:
    """A domain of energy on this machine: how it is read, or why not."""

    domain: Domain
    status: Literal["measured", "estimated", "unavailable"]
    source: str = ""
    devices: tuple[str, ...] = ()
    reason: str = ""
    remedy: str = ""
    tick_s: float | None = None
    """time between two changes of the counter, measured when it was opened"""
    tick_j: float | None = None
    """the smallest change seen then"""


class MeterFault(Exception):  # noqa: N818 - a fault becomes an Unavailable and never reaches the user as an error
    """A counter cannot be read or believed; whoever catches it answers ``Unavailable`` with its words."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


class Meter(Protocol):
    """Reads the energy of every device of one domain; a device that fails makes the domain unavailable."""

    @property
    def status(self) -> MeterStatus:
        """What it covers and through what it reads."""

    @property
    def minimum_window_s(self) -> float:
        """The shortest window in which its error stays small."""

    @property
    def update_period_s(self) -> float:
        """The longest time between two updates of what it reads."""

    def start(self) -> None:
        """Forget the last window and take the first reading of the next."""

    def poll(self) -> None:
        """Take one reading; called often, by one thread at a time, while a window is open. Keeps its faults."""

    def has_changed_since(self, moment_s: float) -> bool:
        """Return whether every counter was seen to change at or after a moment, or has failed."""

    def energy(self, started_s: float, ended_s: float) -> Energy:
        """Return the energy between two moments of the monotonic clock, both after ``start``."""

    def close(self) -> None:
        """Release what it holds."""
