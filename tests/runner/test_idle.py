"""Idle windows with the machine's own clock and a counter of steady power."""

import threading
import time

import pytest

from runner.clock import InterruptibleClock, SystemClock
from runner.idle import IdleProbe, idle_duration_s
from runner.meters.counter import Counter
from runner.meters.domain import CounterChannel, DomainMeter
from runner.meters.estimate import EstimateMeter
from runner.meters.interface import Measured
from runner.meters.recorder import MeterSet
from runner.meters.tick import Tick, WatchedCounter
from runner.report.schema import Moment

CLOCK = SystemClock()


def read_20_w() -> int:
    return int(time.monotonic() * 1000) * 20_000


def metered(update_period_s: float = 0.001) -> MeterSet:
    counter = Counter("package-0", 1e-6, 1e-6, update_period_s)
    channel = CounterChannel(WatchedCounter(counter, read_20_w, Tick(0.001, 0.02)), "powercap", CLOCK)
    return MeterSet((DomainMeter("cpu_package", (channel,)),), (), CLOCK)


def test_an_idle_window_holds_its_energy_and_what_else_ran() -> None:
    busy = iter((100.0, 100.25))
    with metered() as meters:
        probe = IdleProbe(meters, CLOCK, lambda: next(busy))
        idle = probe.measure("loaded", 0.3, "alexnet")
    assert idle is not None
    assert (idle.moment, idle.model, idle.foreign_cpu_s) == ("loaded", "alexnet", 0.25)
    assert idle.wall_s >= 0.3
    (energy,) = idle.energy
    assert isinstance(energy, Measured)
    assert energy.energy_j == pytest.approx(20 * idle.wall_s, abs=energy.bound_j)


@pytest.mark.parametrize("unknown", [(None, 1.0), (1.0, None)])
def test_cpu_time_that_nobody_knows_is_not_zero(unknown: tuple[float | None, float | None]) -> None:
    busy = iter(unknown)
    with metered() as meters:
        idle = IdleProbe(meters, CLOCK, lambda: next(busy)).measure("before", 0.2)
    assert idle is not None
    assert idle.foreign_cpu_s is None


@pytest.mark.parametrize("meters", [(), (EstimateMeter((10.0, 50.0), CLOCK),)])
def test_where_nothing_is_measured_it_costs_nothing(meters: tuple[EstimateMeter, ...]) -> None:
    def wait(duration_s: float) -> None:
        raise AssertionError(duration_s)

    assert IdleProbe(MeterSet(meters, (), CLOCK), InterruptibleClock(wait)).measure("before", 30.0) is None


def test_the_machine_says_what_ran_meanwhile() -> None:
    def work(duration_s: float) -> None:
        ended_s = time.process_time() + duration_s
        while time.process_time() < ended_s:
            pass

    with metered() as meters:
        idle = IdleProbe(meters, InterruptibleClock(work)).measure("before", 0.3)
    assert idle is not None
    assert idle.foreign_cpu_s is not None
    assert idle.foreign_cpu_s >= 0.2  # /proc/stat counts in steps of 10 ms


def test_an_interruption_ends_it_and_its_polling() -> None:
    def wait(duration_s: float) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    with metered() as meters:
        with pytest.raises(KeyboardInterrupt):
            IdleProbe(meters, InterruptibleClock(wait)).measure("after", 30.0)
        assert threading.active_count() == before


@pytest.mark.parametrize(
    ("moment", "profile", "duration_s"),
    [
        ("before", "quick", 5.0),
        ("after", "quick", 5.0),
        ("before", "standard", 30.0),
        ("after", "publication", 30.0),
        ("loaded", "publication", 5.0),
    ],
)
def test_the_baseline_is_longer_than_what_sessions_hold_awake(
    moment: Moment, profile: str, duration_s: float
) -> None:
    assert idle_duration_s(moment, profile, metered()) == duration_s
    slow = metered(update_period_s=3.0)
    assert idle_duration_s(moment, profile, slow) == slow.minimum_window_s == 36.0
