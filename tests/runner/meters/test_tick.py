"""Counters watched while they are opened, on a virtual clock."""

import math
from collections.abc import Callable

import pytest

from runner.meters.counter import Counter
from runner.meters.domain import CounterChannel, DomainMeter
from runner.meters.interface import MeterFault
from runner.meters.tick import CounterSource, watch
from tests.runner.meters.simulated import FakeClock

POWER_W = 50.0


def source(
    clock: FakeClock, period_s: float, nominal_s: float = 0.001, modulus: int | None = None
) -> CounterSource:
    """Return a counter in uJ of 50 W that changes at its own period."""

    def read() -> int:
        count = round(math.floor(clock.now_s() / period_s + 1e-9) * period_s * POWER_W * 1e6)
        return count if modulus is None else count % modulus

    return CounterSource(Counter("package-0", 1e-6, 1e-6, nominal_s, modulus), read)


@pytest.mark.parametrize(
    ("nominal_s", "period_s", "in_force_s"),
    [(0.001, 0.001, 0.001), (0.001, 0.004, 0.004), (0.001, 0.05, 0.05), (0.1, 0.02, 0.1), (0.1, 0.25, 0.25)],
)
def test_the_period_in_force_is_the_longer_of_nominal_and_measured(
    nominal_s: float, period_s: float, in_force_s: float
) -> None:
    clock = FakeClock()
    (found,) = watch([source(clock, period_s, nominal_s)], clock)
    assert found.tick.period_s == pytest.approx(period_s, rel=0.06)
    assert found.tick.energy_j == pytest.approx(period_s * POWER_W, rel=0.01)
    assert found.counter.update_period_s == pytest.approx(in_force_s, rel=0.06)
    assert clock.now_s() - 1000 <= max(7 * period_s, 1.1)


def test_all_counters_are_watched_at_once() -> None:
    clock = FakeClock()
    found = watch([source(clock, period_s, 0.1) for period_s in (0.05, 0.1, 0.15)], clock)
    assert [each.tick.period_s for each in found] == pytest.approx([0.05, 0.1, 0.15], rel=0.1)
    assert clock.now_s() - 1000 < 0.15 * 7


def test_a_wrap_meanwhile_is_a_tick_like_any_other() -> None:
    clock, modulus = FakeClock(), 300_000  # 0.3 J: each 6 ms
    (found,) = watch([source(clock, 0.002, modulus=modulus)], clock)
    assert found.tick.energy_j == pytest.approx(0.1)


@pytest.mark.parametrize(("period_s", "reason"), [(1e9, "does not change"), (0.9, "changed once in 1 s")])
def test_a_counter_that_hardly_changes_is_a_fault_with_what_to_check(period_s: float, reason: str) -> None:
    clock, reads = FakeClock(), 0
    slow = source(clock, period_s)

    def read() -> int:
        nonlocal reads
        reads += 1
        return slow.read()

    with pytest.raises(MeterFault, match=reason) as caught:
        watch([CounterSource(slow.counter, read)], clock)
    assert "by hand" in caught.value.remedy
    assert 1.0 <= clock.now_s() - 1000 < 1.1
    assert reads < 1000


def falling(clock: FakeClock) -> Callable[[], int]:
    return lambda: 10**9 - int(clock.now_s() * 1e5)


def test_a_counter_that_goes_down_is_a_fault() -> None:
    clock = FakeClock()
    with pytest.raises(MeterFault, match="went down"):
        watch([CounterSource(Counter("GPU-0", 1e-3, 1e-3, 0.1), falling(clock))], clock)


def test_a_domain_shows_the_tick_of_its_coarsest_counter_and_needs_windows_that_hold_ten() -> None:
    clock = FakeClock()
    found = watch([source(clock, 0.002), source(clock, 0.12)], clock)
    meter = DomainMeter("cpu_package", tuple(CounterChannel(each, "powercap", clock) for each in found))
    assert meter.status.tick_s == pytest.approx(0.12, rel=0.06)
    assert meter.status.tick_j == pytest.approx(6.0, rel=0.01)
    assert meter.update_period_s == pytest.approx(0.12, rel=0.06)
    assert meter.minimum_window_s == pytest.approx(12 * 0.12, rel=0.06)
