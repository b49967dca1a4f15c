"""One cumulative energy counter over one window: unwrapped, and aligned to the moments of its changes."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter

from runner.clock import Clock
from runner.meters.interface import MeterFault

MINIMUM_TICKS = 10
"""Below this many distinct values a window's energy is not resolved (docs/measurement.md, section 3)."""

LONGEST_GAP_S = 1.0
"""Ten times the longest interval between two polls (recorder.py): then this process was stopped, or starved."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One raw read of a counter or of a power value."""

    at_s: float
    """monotonic clock, the middle of the read"""
    took_s: float
    count: int


def take(clock: Clock, read: Callable[[], int]) -> Reading:
    """Return what ``read`` gives, with its time and its own latency."""
    before_s = clock.now_s()
    count = read()
    after_s = clock.now_s()
    return Reading((before_s + after_s) / 2, after_s - before_s, count)


def check_gap(gap_s: float, what: str) -> None:
    """Check the time between two reads of one window.

    Raises:
        MeterFault: nobody knows how the energy of so long a gap spreads over it.
    """
    if gap_s > LONGEST_GAP_S:
        raise MeterFault(
            f"the {what} was unread for {gap_s:.1f} s: joulebatch was stopped or got no processor"
        )


@dataclass(frozen=True, slots=True)
class Counter:
    """What is known about a counter before it is read."""

    device: str
    count_j: float
    """joules per count"""
    step_j: float
    """the smallest change that the hardware can show; several counts on RAPL"""
    update_period_s: float
    modulus: int | None = None
    """counts after which it begins again at 0; None when any decrease is a fault"""
    max_power_w: float = float("inf")
    """more than the device can ever draw; only asked of counters that wrap"""

    def step(self, last: Reading, reading: Reading) -> int:
        """Return by how many counts it went on between two readings, less than one wrap apart.

        Raises:
            MeterFault: it went down, or jumped.
        """
        step = reading.count - last.count
        if self.modulus is None:
            if step < 0:
                raise MeterFault(
                    f"the counter of {self.device} went down: its driver was loaded anew or it wrapped"
                )
            return step
        step %= self.modulus
        # A reset looks like a wrap, but no device draws so much between two reads.
        possible_s = reading.at_s - last.at_s + reading.took_s + last.took_s + 2 * self.update_period_s
        if step * self.count_j > self.max_power_w * possible_s + 2 * self.step_j:
            raise MeterFault(f"the counter of {self.device} jumped: it was reset or misread")
        return step

    def check_gap(self, gap_s: float) -> None:
        """Check how long it was unread.

        Raises:
            MeterFault: long enough to wrap twice, or longer than a poller can be late that gets a processor.
        """
        if self.modulus is not None and gap_s * self.max_power_w >= self.modulus * self.count_j:
            raise MeterFault(
                f"the counter of {self.device} was unread for {gap_s:.1f} s and may have wrapped twice"
            )
        check_gap(gap_s, f"counter of {self.device}")


@dataclass(frozen=True, slots=True)
class _Change:
    at_s: float
    late_s: float
    """how long before ``at_s`` the counter may have changed"""
    energy_j: float
    ticks: int
    """updates of the hardware that it shows: several where the counter updates faster than it is read"""


_at_s = attrgetter("at_s")


class CounterTrack:
    """The changes of one counter since ``start``."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self._changes: list[_Change] = []
        self._last: Reading | None = None
        self._total = 0

    def start(self) -> None:
        """Forget everything: windows stand alone, so what a counter does between them cannot matter."""
        self._changes.clear()
        self._last, self._total = None, 0

    def add(self, reading: Reading) -> None:
        """Follow the counter to its next reading.

        Raises:
            MeterFault: it went down, jumped, or was unread for so long that it may have wrapped twice.
        """
        last, self._last = self._last, reading
        if last is None:
            return
        gap_s = reading.at_s - last.at_s
        self.counter.check_gap(gap_s)
        if reading.count == last.count:
            return
        counter, step = self.counter, self.counter.step(last, reading)
        self._total += step
        # A change is seen late by the gap between two reads, or by the update period where that is shorter.
        late_s = min(gap_s, counter.update_period_s) + reading.took_s
        ticks = max(1, int(min(gap_s / counter.update_period_s, step * counter.count_j / counter.step_j)))
        self._changes.append(_Change(reading.at_s, late_s, self._total * counter.count_j, ticks))

    def has_changed_since(self, moment_s: float) -> bool:
        """Return whether a change was seen at or after a moment."""
        return bool(self._changes) and self._changes[-1].at_s >= moment_s

    def energy(self, started_s: float, ended_s: float) -> tuple[float, float]:
        """Return the joules between two moments and the largest error the two edges allow.

        Energy is interpolated between the changes around each edge. Between two changes of mean power p, power that
        stays below the highest or above the lowest mean of the window leaves the chord by at most the time to the
        farther change times how far p is from these (rule 5: update period x power range). The time to the nearer one
        is too little where load ends with the window: p then holds both, and hides the range. A change seen late
        shifts an edge by that time.

        Raises:
            MeterFault: no changes around the window, or too few within.
        """
        device = self.counter.device
        first = bisect_right(self._changes, started_s, key=_at_s) - 1
        last = bisect_left(self._changes, ended_s, key=_at_s)
        if first < 0 or last == len(self._changes):
            raise MeterFault(f"the counter of {device} did not change around the window")
        seen, within = last - first - 1, (ended_s - started_s) / self.counter.update_period_s
        ticks = max(seen, min(int(within), sum(change.ticks for change in self._changes[first + 1 : last])))
        if ticks < MINIMUM_TICKS:
            raise MeterFault(f"below resolution: the counter of {device} changed {ticks} times in the window")
        around = self._changes[first : last + 1]
        powers_w = [(b.energy_j - a.energy_j) / (b.at_s - a.at_s) for a, b in pairwise(around)]
        range_w = (min(powers_w), max(powers_w))
        edges_j = _off_chord_j(around[0], around[1], started_s, range_w)
        edges_j += _off_chord_j(around[-2], around[-1], ended_s, range_w)
        late_s = max(change.late_s for change in (*around[:2], *around[-2:]))
        bound_j = edges_j + late_s * max(powers_w) + 2 * self.counter.step_j
        energy_j = _between(around[-2], around[-1], ended_s) - _between(around[0], around[1], started_s)
        return energy_j, bound_j


def _off_chord_j(before: _Change, after: _Change, moment_s: float, range_w: tuple[float, float]) -> float:
    """Return how far the energy at a moment may lie from the chord between two changes."""
    power_w = (after.energy_j - before.energy_j) / (after.at_s - before.at_s)
    low_w, high_w = range_w
    farther_s = max(moment_s - before.at_s, after.at_s - moment_s)
    return farther_s * max(high_w - power_w, power_w - low_w)


def _between(before: _Change, after: _Change, moment_s: float) -> float:
    share = (moment_s - before.at_s) / (after.at_s - before.at_s)
    return before.energy_j + share * (after.energy_j - before.energy_j)
