from types import SimpleNamespace

import psutil
import pytest

from runner.errors import UsageError
from runner.meters.estimate import EstimateMeter, parse_cpu_watts
from runner.meters.interface import Estimated, Unavailable
from tests.runner.meters.simulated import FakeClock


def test_two_numbers_are_idle_and_full_power() -> None:
    assert parse_cpu_watts("15:65.5") == (15.0, 65.5)
    assert parse_cpu_watts(" 0 : 10 ") == (0.0, 10.0)


@pytest.mark.parametrize(
    "text", ["", "15", "15:65:80", "a:b", "65:15", "15:15", "-1:5", "nan:5", "1:nan", "1:inf", "15W:65W"]
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected IDLE:MAX in watts.*Write for example 15:65"):
        parse_cpu_watts(text)


class Processors:
    """Four processors that are busy as they are told."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock, self._at_s, self.busy_ratio = clock, clock.now_s(), 0.0
        self._times = dict.fromkeys(
            ("user", "nice", "system", "irq", "softirq", "idle", "iowait", "steal"), 0.0
        )

    def cpu_times(self) -> SimpleNamespace:
        elapsed_s, self._at_s = 4 * (self._clock.now_s() - self._at_s), self._clock.now_s()
        for name, share in (("user", 0.5), ("system", 0.5)):
            self._times[name] += elapsed_s * self.busy_ratio * share
        for name, share in (("idle", 0.5), ("iowait", 0.25), ("steal", 0.25)):
            self._times[name] += elapsed_s * (1 - self.busy_ratio) * share
        return SimpleNamespace(**self._times)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def processors(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Processors:
    processors = Processors(clock)
    monkeypatch.setattr(psutil, "cpu_times", processors.cpu_times)
    return processors


@pytest.mark.parametrize(("busy_ratio", "power_w"), [(0.0, 20.0), (0.25, 40.0), (1.0, 100.0)])
def test_power_follows_utilisation_and_carries_a_band_of_two(
    clock: FakeClock, processors: Processors, busy_ratio: float, power_w: float
) -> None:
    meter = EstimateMeter((20.0, 100.0), clock)
    processors.busy_ratio = 0.9  # before the window, which must not count
    meter.start()
    clock.sleep_s(5.0)
    meter.poll()
    started_s, processors.busy_ratio = clock.now_s(), busy_ratio
    for _ in range(200):
        clock.sleep_s(0.01)
        meter.poll()
    energy = meter.energy(started_s, clock.now_s())
    assert isinstance(energy, Estimated)
    assert energy.energy_j == pytest.approx(2 * power_w)
    assert energy.low_j == energy.energy_j / 2
    assert energy.high_j == energy.energy_j * 2


def test_a_window_without_readings_around_it_or_without_ticks_has_no_figure(
    clock: FakeClock, processors: Processors, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = EstimateMeter((20.0, 100.0), clock)
    begun_s = clock.now_s()
    assert isinstance(meter.energy(begun_s, begun_s + 1), Unavailable)
    meter.start()
    assert not meter.has_changed_since(begun_s + 1)
    clock.sleep_s(1.0)
    assert isinstance(meter.energy(begun_s, clock.now_s()), Unavailable)
    frozen = processors.cpu_times()
    monkeypatch.setattr(psutil, "cpu_times", lambda: frozen)
    meter.start()
    clock.sleep_s(1.0)
    meter.poll()
    energy = meter.energy(begun_s + 1, begun_s + 2)
    assert isinstance(energy, Unavailable)
    assert "below resolution" in energy.reason


def test_the_real_machine_lies_between_idle_and_full() -> None:
    clock = FakeClock(0.0)
    meter = EstimateMeter((20.0, 100.0), clock)
    meter.start()
    busy = sum(n * n for n in range(300_000))
    clock.sleep_s(1.0)
    meter.poll()
    energy = meter.energy(0.0, 1.0)
    assert busy > 0
    assert isinstance(energy, Estimated)
    assert 20.0 <= energy.energy_j <= 100.0
