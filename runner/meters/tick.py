"""How often a counter changes, and by how much: watched when it is opened, before anything relies on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from runner.clock import Clock
from runner.meters.counter import Counter, Reading, take
from runner.meters.interface import MeterFault

_WANTED_CHANGES = 5  # a median of four intervals; 5 ms of RAPL, 0.1 to 0.5 s of a GPU
# Ten times the slowest counter (100 ms; docs/measurement.md, section 3). Two changes in it are the least that tell
# a period, and 10 of a slower counter would make windows of more than 5 s.
_LIMIT_S = 1.0
# The watcher sleeps for a twentieth of the nominal period, and for 1 % of the time watched so far once that is longer:
# the period is known to a few percent, and a counter that stands still costs hundreds of reads and not thousands.
_SLEEPS_PER_PERIOD = 20
_SLEEP_RATIO = 0.01

_FROZEN = "Read it twice by hand; where it stands still, update the kernel or the driver (--meter none runs without it)"


@dataclass(frozen=True, slots=True)
class Tick:
    """One change of a counter."""

    period_s: float
    """median time between two changes"""
    energy_j: float
    """the smallest change seen"""


@dataclass(frozen=True, slots=True)
class CounterSource:
    """A counter and how it is read."""

    counter: Counter
    read: Callable[[], int]


@dataclass(frozen=True, slots=True)
class WatchedCounter:
    """A counter that was seen to change."""

    counter: Counter
    """its update period is the nominal or the measured one, whichever is longer"""
    read: Callable[[], int]
    tick: Tick


def watch(sources: Sequence[CounterSource], clock: Clock) -> tuple[WatchedCounter, ...]:
    """Return each counter with its tick; all are watched at once, for at most a second.

    Raises:
        MeterFault: one cannot be read, or hardly changes.
    """
    watched = []
    for source, seen in zip(sources, _changes(sources, clock), strict=True):
        tick = _tick(source.counter, seen)
        period_s = max(source.counter.update_period_s, tick.period_s)
        watched.append(WatchedCounter(replace(source.counter, update_period_s=period_s), source.read, tick))
    return tuple(watched)


def _changes(sources: Sequence[CounterSource], clock: Clock) -> list[list[Reading]]:
    """Return the first reading of each counter and every changed one after it."""
    if not sources:
        return []
    seen = [[take(clock, source.read)] for source in sources]
    began_s = clock.now_s()
    sleep_s = min(source.counter.update_period_s for source in sources) / _SLEEPS_PER_PERIOD
    while min(map(len, seen)) <= _WANTED_CHANGES and (watched_s := clock.now_s() - began_s) < _LIMIT_S:
        clock.sleep_s(max(sleep_s, watched_s * _SLEEP_RATIO))
        for source, readings in zip(sources, seen, strict=True):
            reading = take(clock, source.read)
            if reading.count != readings[-1].count:
                readings.append(reading)
    return seen


def _tick(counter: Counter, seen: Sequence[Reading]) -> Tick:
    if len(seen) < 3:  # noqa: PLR2004 - a period lies between two changes, and the first reading is none
        how = "does not change" if len(seen) == 1 else f"changed once in {_LIMIT_S:g} s"
        raise MeterFault(f"the counter of {counter.device} {how}", _FROZEN)
    period_s = median(b.at_s - a.at_s for a, b in pairwise(seen[1:]))
    return Tick(period_s, min(counter.step(a, b) for a, b in pairwise(seen)) * counter.count_j)
