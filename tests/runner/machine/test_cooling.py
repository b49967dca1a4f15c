from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.machine.cooling import CoolDown
from tests.runner.meters.simulated import FakeClock


def _cooling(clock: FakeClock, *, start_celsius: float, per_s: float) -> Callable[[], float]:
    """Return a sensor that falls steadily from now on."""
    began_s = clock.now_s()
    return lambda: start_celsius - per_s * (clock.now_s() - began_s)


class _Sensor:
    def __init__(self, celsius: float) -> None:
        self.shows: Callable[[], float | None] = lambda: celsius

    def read(self) -> float | None:
        return self.shows()


def _after_reference(celsius: float, clock: FakeClock) -> tuple[CoolDown, _Sensor]:
    sensor = _Sensor(celsius)
    cool_down = CoolDown(sensor.read, clock)
    assert cool_down.wait() == 0.0
    assert cool_down.reference_celsius == celsius
    return cool_down, sensor


def test_it_waits_until_the_temperature_is_within_2_degrees_of_the_first() -> None:
    clock = FakeClock()
    cool_down, sensor = _after_reference(50.0, clock)
    sensor.shows = _cooling(clock, start_celsius=60.0, per_s=1.0)
    assert cool_down.wait() == pytest.approx(8.0)
    assert not cool_down.hit_cap


@pytest.mark.parametrize("celsius", [52.0, 50.0, 30.0])
def test_what_is_near_or_cooler_needs_no_waiting(celsius: float) -> None:
    cool_down, sensor = _after_reference(50.0, FakeClock())
    sensor.shows = lambda: celsius
    assert cool_down.wait() == 0.0


def test_it_gives_up_after_30_s_says_so_and_forgets_it_with_the_next_wait() -> None:
    cool_down, sensor = _after_reference(50.0, FakeClock())
    sensor.shows = lambda: 90.0
    assert cool_down.wait() == pytest.approx(30.0)
    assert cool_down.hit_cap
    sensor.shows = lambda: 50.0
    assert cool_down.wait() == 0.0
    assert not cool_down.hit_cap


def test_a_machine_that_stays_hot_is_waited_for_once() -> None:
    clock = FakeClock()
    cool_down, sensor = _after_reference(50.0, clock)
    sensor.shows = lambda: 60.0
    assert cool_down.wait() == pytest.approx(30.0)
    assert (cool_down.wait(), cool_down.hit_cap) == (0.0, False)
    sensor.shows = _cooling(clock, start_celsius=65.0, per_s=1.0)
    assert cool_down.wait() == pytest.approx(3.0)


def test_without_a_sensor_nothing_is_waited_for() -> None:
    cool_down = CoolDown(lambda: None, FakeClock())
    assert (cool_down.wait(), cool_down.wait(), cool_down.hit_cap) == (0.0, 0.0, False)


def test_a_sensor_that_goes_away_ends_the_wait() -> None:
    cool_down, sensor = _after_reference(50.0, FakeClock())
    readings: Iterator[float | None] = iter((90.0, 90.0, None))
    sensor.shows = lambda: next(readings)
    assert cool_down.wait() == pytest.approx(2.0)
    assert not cool_down.hit_cap


@given(start_celsius=st.floats(20, 100), per_s=st.floats(0, 5))
def test_a_wait_ends_cool_or_at_the_cap(start_celsius: float, per_s: float) -> None:
    clock = FakeClock()
    cool_down, sensor = _after_reference(50.0, clock)
    sensor.shows = _cooling(clock, start_celsius=start_celsius, per_s=per_s)
    waited_s = cool_down.wait()
    assert 0.0 <= waited_s <= 30.0
    assert cool_down.hit_cap == ((sensor.read() or 0.0) > 52.0)
    assert cool_down.reference_celsius == (sensor.read() if cool_down.hit_cap else 50.0)
