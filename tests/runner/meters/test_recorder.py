"""The polling thread with the machine's own clock; energies are checked against closed forms, never times."""

import threading
import time
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.clock import SystemClock
from runner.meters.counter import LONGEST_GAP_S, Counter, CounterTrack, Reading
from runner.meters.domain import CounterChannel, DomainMeter
from runner.meters.estimate import EstimateMeter
from runner.meters.interface import Energy, Measured, Meter, MeterStatus, Unavailable
from runner.meters.recorder import POLL_S, Ahead, MeterSet, poll_interval_s
from runner.meters.tick import Tick, WatchedCounter

POWER_W = 80.0


def read_steady() -> int:
    """Return the counter of a device that draws steady power and updates each millisecond."""
    return int(time.monotonic() * 1000) * 1000 * int(POWER_W)


def steady_channel() -> CounterChannel:
    counter = WatchedCounter(Counter("package-0", 1e-6, 1e-6, 0.001), read_steady, Tick(0.001, 0.08))
    return CounterChannel(counter, "powercap", SystemClock())


def counter_meter() -> DomainMeter:
    return DomainMeter("cpu_package", (steady_channel(),))


SCRIPTED = MeterStatus("gpu", "measured", "script", ("GPU-0",))


@dataclass(slots=True)
class ScriptedMeter:
    """Says what it was asked, in order."""

    calls: list[str] = field(default_factory=list)
    changes_until_s: float = float("inf")
    error: Exception | None = None
    status: MeterStatus = SCRIPTED
    minimum_window_s: float = 2.0
    update_period_s: float = 0.01

    def start(self) -> None:
        self.calls.append("start")

    def poll(self) -> None:
        self.calls.append("poll")
        if self.error is not None:
            raise self.error

    def has_changed_since(self, moment_s: float) -> bool:
        return self.calls[-1] == "poll" and moment_s <= self.changes_until_s

    def energy(self, started_s: float, ended_s: float) -> Energy:
        self.calls.append("energy")
        return Unavailable("gpu", "scripted")

    def close(self) -> None:
        self.calls.append("close")


AHEAD = Ahead(0.0, 0.3)


def meter_set(*meters: Meter, absent: tuple[Unavailable, ...] = ()) -> MeterSet:
    return MeterSet(meters, absent, SystemClock())


def run_window(meters: MeterSet, duration_s: float) -> tuple[tuple[Energy, ...], float]:
    meters.begin(Ahead(0.0, duration_s))
    started_s = time.monotonic()
    time.sleep(duration_s)
    ended_s = time.monotonic()
    return meters.end(started_s, ended_s), ended_s - started_s


def test_a_window_of_steady_power_is_right_within_its_bound() -> None:
    with meter_set(counter_meter()) as meters:
        for _ in range(2):
            (energy,), wall_s = run_window(meters, 0.3)
            assert isinstance(energy, Measured)
            assert energy.energy_j == pytest.approx(POWER_W * wall_s, abs=energy.bound_j)
        assert meters.poller_cpu_s > 0


def test_one_energy_per_meter_and_one_entry_per_domain() -> None:
    absent = (Unavailable("dram", "why", "remedy"),)
    with meter_set(counter_meter(), ScriptedMeter(), absent=absent) as meters:
        energies, _ = run_window(meters, 0.2)
        assert [energy.domain for energy in energies] == ["cpu_package", "gpu"]
        assert meters.minimum_window_s == 2.0
        assert meters.entries == (
            MeterStatus("cpu_package", "measured", "powercap", ("package-0",), tick_s=0.001, tick_j=0.08),
            MeterStatus("dram", "unavailable", reason="why", remedy="remedy"),
            SCRIPTED,
        )


def test_without_meters_there_is_no_thread_and_no_figure() -> None:
    before = threading.active_count()
    with meter_set(absent=(Unavailable("gpu", "none"),)) as meters:
        meters.begin(AHEAD)
        assert threading.active_count() == before
        assert meters.end(0.0, 1.0) == ()
        assert meters.minimum_window_s == 0.0
        assert meters.poller_cpu_s == 0.0


def test_polling_lasts_from_begin_to_end_and_no_longer() -> None:
    before, meter = threading.active_count(), ScriptedMeter()
    with meter_set(meter) as meters:
        meters.begin(AHEAD)
        assert threading.active_count() == before + 1
        meters.end(time.monotonic(), time.monotonic())
        assert threading.active_count() == before
        polls = meter.calls.count("poll")
        assert meter.calls == ["start", *["poll"] * polls, "energy"]
        time.sleep(0.05)
        assert meter.calls.count("poll") == polls
        meters.begin(AHEAD)
        meters.begin(AHEAD)  # a window whose worker died is given up by the next
        assert threading.active_count() == before + 1
        meters.cancel()
        meters.cancel()
        assert threading.active_count() == before
    assert meter.calls[-1] == "close"


def test_a_counter_that_never_changes_is_not_waited_for_for_ever() -> None:
    stuck = ScriptedMeter(changes_until_s=0.0)
    with meter_set(stuck) as meters:
        (energy,), _ = run_window(meters, 0.0)
        assert energy == Unavailable("gpu", "scripted")


class StarvedMeter(DomainMeter):
    """Gets no processor on the polling thread once it starves."""

    starves = False

    def poll(self) -> None:
        if not self.starves or threading.current_thread() is threading.main_thread():
            super().poll()


def test_a_poller_without_a_processor_does_not_cost_the_window() -> None:
    meter = StarvedMeter("cpu_package", (steady_channel(),))
    with meter_set(meter) as meters:
        meters.begin(AHEAD)
        started_s = time.monotonic()
        time.sleep(0.3)
        meter.starves = True
        ended_s = time.monotonic()
        (energy,) = meters.end(started_s, ended_s)
    assert isinstance(energy, Measured)
    assert energy.energy_j == pytest.approx(POWER_W * (ended_s - started_s), abs=energy.bound_j)


def test_an_error_of_ours_while_polling_reaches_the_caller() -> None:
    meter = ScriptedMeter()
    with meter_set(meter) as meters:
        meters.begin(AHEAD)
        polls = len(meter.calls)
        meter.error = RuntimeError("our bug")
        while len(meter.calls) == polls:
            time.sleep(POLL_S)
        with pytest.raises(RuntimeError, match="our bug"):
            meters.end(time.monotonic(), time.monotonic())
        meter.error = None
        (energy,), _ = run_window(meters, 0.0)
        assert energy == Unavailable("gpu", "scripted")


def test_a_long_window_keeps_nothing_for_the_next() -> None:
    meter = counter_meter()
    with meter_set(meter) as meters:
        run_window(meters, 0.3)
        meters.begin(AHEAD)
        kept = meter._channels[0]._track._changes  # type: ignore[attr-defined]
        assert len(kept) <= 5
        meters.cancel()


@pytest.mark.parametrize(
    ("elapsed_s", "ahead", "slowest_s", "interval_s"),
    [
        (0.0, Ahead(0.05, 2.0), 0.001, 0.02),  # the start of the window is near
        (0.07, Ahead(0.05, 2.0), 0.001, 0.02),
        (0.08, Ahead(0.05, 2.0), 0.001, 0.1),
        (0.5, Ahead(0.05, 0.7), 0.001, 0.05),
        (0.5, Ahead(0.05, 0.1), 0.001, 0.02),  # no more often, however short
        (1.0, Ahead(3.0, 30.0), 0.001, 0.1),  # no less often, however long
        (30.0, Ahead(0.05, 1.6), 0.1, 0.01),
    ],
)
def test_fast_counters_are_polled_densely_at_the_start_and_slow_ones_throughout(
    elapsed_s: float, ahead: Ahead, slowest_s: float, interval_s: float
) -> None:
    assert poll_interval_s(elapsed_s, ahead, slowest_s) == pytest.approx(interval_s)


@given(st.floats(0.02, 5.0), st.floats(0.4, 30.0), st.floats(0.6, 3.0))
def test_a_window_of_a_fast_counter_is_resolved_however_wrong_its_prediction(
    untimed_s: float, predicted_s: float, longer_ratio: float
) -> None:
    ahead, at_s = Ahead(untimed_s, predicted_s), 0.0
    end_s = untimed_s + predicted_s * longer_ratio
    track = CounterTrack(Counter("package-0", 1e-6, 1e-6, 0.001))
    while at_s < end_s + POLL_S:
        track.add(Reading(at_s, 0.0, round(at_s * 1e7)))
        at_s += poll_interval_s(at_s, ahead, 0.001)
    track.add(Reading(at_s, 0.0, round(at_s * 1e7)))
    energy_j, _ = track.energy(untimed_s, end_s)
    assert energy_j == pytest.approx(10 * (end_s - untimed_s), rel=1e-3)
    assert poll_interval_s(end_s, ahead, 0.001) < LONGEST_GAP_S / 5


def test_only_what_measures_is_said_to_measure() -> None:
    with meter_set(counter_meter()) as measuring, meter_set() as without:
        assert measuring.measures
        assert not without.measures
    estimating = MeterSet((EstimateMeter((10.0, 50.0), SystemClock()),), (), SystemClock())
    assert not estimating.measures
