"""A meter made of channels: one per device of its domain, summed, all or nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from runner.clock import Clock
from runner.meters.counter import MINIMUM_TICKS, Counter, CounterTrack, take
from runner.meters.interface import Domain, Energy, Measured, MeterFault, MeterStatus, Unavailable
from runner.meters.tick import Tick, WatchedCounter


@dataclass(frozen=True, slots=True)
class Share:
    """What one device adds to the energy of its domain."""

    energy_j: float
    bound_j: float
    flags: tuple[str, ...] = ()
    sampled_j: float | None = None
    """the same by sampled power, where the device gave both"""


class Channel(Protocol):
    """Reads one device. ``poll`` and ``energy`` raise ``MeterFault``, which costs the domain its window."""

    @property
    def device(self) -> str:
        """Which one: package-0, or a GPU's UUID."""

    @property
    def source(self) -> str:
        """Through what it reads."""

    @property
    def update_period_s(self) -> float:
        """The longest time between two updates."""

    @property
    def minimum_window_s(self) -> float:
        """The shortest window in which its error stays small."""

    @property
    def tick(self) -> Tick | None:
        """How its counter was seen to change when it was opened; None without a counter."""

    def start(self) -> None:
        """Forget the last window."""

    def poll(self) -> None:
        """Take one reading."""

    def has_changed_since(self, moment_s: float) -> bool:
        """Return whether it was seen to change at or after a moment."""

    def energy(self, started_s: float, ended_s: float) -> Share:
        """Return the energy between two moments."""


_MINIMUM_WINDOW_S = 1.0  # RAPL (docs/measurement.md, section 4)


def shortest_window_s(nominal_s: float, counter: Counter) -> float:
    """Return the shortest window for a counter: the nominal one, or what resolves one that is slower than usual.

    Besides its ticks a window needs a change before it and one after it.
    """
    return max(nominal_s, (MINIMUM_TICKS + 2) * counter.update_period_s)


class CounterChannel:
    """A device with nothing but an energy counter."""

    def __init__(self, watched: WatchedCounter, source: str, clock: Clock) -> None:
        counter = watched.counter
        self.device, self.source, self.tick = counter.device, source, watched.tick
        self.update_period_s = counter.update_period_s
        self.minimum_window_s = shortest_window_s(_MINIMUM_WINDOW_S, counter)
        self._track, self._read, self._clock = CounterTrack(counter), watched.read, clock

    def start(self) -> None:
        """Forget the last window."""
        self._track.start()

    def poll(self) -> None:
        """Take one reading."""
        self._track.add(take(self._clock, self._read))

    def has_changed_since(self, moment_s: float) -> bool:
        """Return whether it was seen to change at or after a moment."""
        return self._track.has_changed_since(moment_s)

    def energy(self, started_s: float, ended_s: float) -> Share:
        """Return the energy between two moments."""
        return Share(*self._track.energy(started_s, ended_s))


class DomainMeter:
    """The sum over all devices of a domain; one that fails makes the whole window unavailable."""

    def __init__(
        self, domain: Domain, channels: tuple[Channel, ...], on_close: Callable[[], None] | None = None
    ) -> None:
        self._domain, self._channels, self._on_close = domain, channels, on_close
        self._source = "+".join(sorted({channel.source for channel in channels}))
        self._fault: MeterFault | None = None

    @property
    def status(self) -> MeterStatus:
        """What it covers, through what it reads, and the tick of its coarsest counter."""
        devices = tuple(channel.device for channel in self._channels)
        ticks = [channel.tick for channel in self._channels if channel.tick is not None]
        return MeterStatus(
            self._domain,
            "measured",
            self._source,
            devices,
            tick_s=max((tick.period_s for tick in ticks), default=None),
            tick_j=max((tick.energy_j for tick in ticks), default=None),
        )

    @property
    def minimum_window_s(self) -> float:
        """The shortest window in which its error stays small."""
        return max(channel.minimum_window_s for channel in self._channels)

    @property
    def update_period_s(self) -> float:
        """The longest time between two updates of any device."""
        return max(channel.update_period_s for channel in self._channels)

    def start(self) -> None:
        """Forget the last window, its fault included, and take the first reading of the next."""
        self._fault = None
        for channel in self._channels:
            channel.start()
        self.poll()

    def poll(self) -> None:
        """Take one reading per device, unless one of them has failed in this window."""
        if self._fault is None:
            try:
                for channel in self._channels:
                    channel.poll()
            except MeterFault as fault:
                self._fault = fault

    def has_changed_since(self, moment_s: float) -> bool:
        """Return whether every device changed at or after a moment, or the window is lost anyway."""
        return self._fault is not None or all(
            channel.has_changed_since(moment_s) for channel in self._channels
        )

    def energy(self, started_s: float, ended_s: float) -> Energy:
        """Return the energy between two moments of the monotonic clock, both after ``start``."""
        try:
            if self._fault is not None:
                raise self._fault
            shares = [channel.energy(started_s, ended_s) for channel in self._channels]
        except MeterFault as fault:
            return Unavailable(self._domain, fault.reason, fault.remedy)
        return Measured(
            self._domain,
            self._source,
            sum(share.energy_j for share in shares),
            sum(share.bound_j for share in shares),
            flags=tuple(flag for share in shares for flag in share.flags),
            sampled_ratio=_sampled_ratio(shares),
        )

    def close(self) -> None:
        """Release what the devices hold."""
        if self._on_close is not None:
            self._on_close()


def _sampled_ratio(shares: Sequence[Share]) -> float | None:
    """Return sampled power's energy / the counters', over the devices that gave both; None without any."""
    both = [(share.sampled_j, share.energy_j) for share in shares if share.sampled_j is not None]
    return sum(sampled_j for sampled_j, _ in both) / sum(counted_j for _, counted_j in both) if both else None
