import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.load import paced
from runner.load.paced import run_paced
from runner.units import NS_PER_S

PERIOD_NS = 1000


def _s(*times_ns: int) -> tuple[float, ...]:
    return tuple(time_ns / NS_PER_S for time_ns in times_ns)


class Simulation:
    """A clock that only sleeping and computing move."""

    def __init__(self, durations_ns: Iterator[int]) -> None:
        self.now_ns, self.starts_ns, self._durations_ns = 5_000, list[int](), durations_ns

    def run(self) -> None:
        self.starts_ns.append(self.now_ns)
        self.now_ns += next(self._durations_ns)

    def sleep(self, duration_s: float) -> None:
        assert duration_s > 0
        self.now_ns += round(duration_s * NS_PER_S)


@pytest.fixture
def simulate(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Simulation]:
    def start(*durations_ns: int) -> Simulation:
        simulation = Simulation(iter(durations_ns))
        monkeypatch.setattr(paced, "perf_counter_ns", lambda: simulation.now_ns)
        monkeypatch.setattr(paced, "sleep", simulation.sleep)
        return simulation

    return start


def test_inferences_start_on_schedule_and_the_trailing_gap_belongs_to_the_window(
    simulate: Callable[..., Simulation],
) -> None:
    simulation = simulate(100, 300, 200)
    timed = run_paced(simulation.run, 3, PERIOD_NS / NS_PER_S)
    assert simulation.starts_ns == [5_000, 6_000, 7_000]
    assert timed.latencies_s == _s(100, 300, 200)
    assert (timed.started_s, timed.ended_s, timed.late_s) == _s(5_000, 8_000, 0)


def test_an_overrun_delays_the_next_and_counts_in_its_latency(simulate: Callable[..., Simulation]) -> None:
    simulation = simulate(1_700, 100, 100)
    timed = run_paced(simulation.run, 3, PERIOD_NS / NS_PER_S)
    assert simulation.starts_ns == [5_000, 6_700, 7_000]  # caught up with the schedule by the third
    assert timed.latencies_s == _s(1_700, 800, 100)
    assert timed.late_s == 0


def test_a_pace_above_capacity_ends_late_and_latency_piles_up(simulate: Callable[..., Simulation]) -> None:
    simulation = simulate(1_500, 1_500, 1_500)
    timed = run_paced(simulation.run, 3, PERIOD_NS / NS_PER_S)
    assert timed.latencies_s == _s(1_500, 2_000, 2_500)
    assert (timed.ended_s, timed.late_s) == _s(9_500, 1_500)


@given(st.lists(st.integers(0, 5 * PERIOD_NS), min_size=1, max_size=20))
def test_the_window_is_whole_periods_unless_late(durations_ns: list[int]) -> None:
    simulation = Simulation(iter(durations_ns))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paced, "perf_counter_ns", lambda: simulation.now_ns)
        patch.setattr(paced, "sleep", simulation.sleep)
        timed = run_paced(simulation.run, len(durations_ns), PERIOD_NS / NS_PER_S)
    whole_s = len(durations_ns) * PERIOD_NS / NS_PER_S
    assert timed.ended_s - timed.started_s == pytest.approx(whole_s + timed.late_s)
    scheduled = [5_000 + index * PERIOD_NS for index in range(len(durations_ns))]
    assert all(start >= due for start, due in zip(simulation.starts_ns, scheduled, strict=True))
    assert timed.latencies_s == _s(
        *(
            start + duration - due
            for start, duration, due in zip(simulation.starts_ns, durations_ns, scheduled, strict=True)
        )
    )


def test_on_the_real_clock_the_gap_is_slept_and_not_spun() -> None:
    starts_s: list[float] = []
    cpu_before_s = time.process_time()
    timed = run_paced(lambda: starts_s.append(time.perf_counter()), 4, 0.05)
    cpu_s = time.process_time() - cpu_before_s
    assert timed.ended_s - timed.started_s >= 4 * 0.05
    assert all(start_s - timed.started_s >= index * 0.05 for index, start_s in enumerate(starts_s))
    assert cpu_s < (timed.ended_s - timed.started_s) / 2
