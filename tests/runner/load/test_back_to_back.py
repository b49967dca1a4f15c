import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.load.back_to_back import run_back_to_back
from runner.load.timed import Timed
from runner.units import NS_PER_S


@given(st.integers(1, 50))
def test_every_inference_is_run_once_and_timed_once(count: int) -> None:
    calls: list[float] = []
    timed = run_back_to_back(lambda: calls.append(time.perf_counter()), count)
    assert len(calls) == len(timed.latencies_s) == count
    assert timed.started_s <= calls[0]
    assert calls[-1] <= timed.ended_s
    assert calls == sorted(calls)
    assert timed.late_s == 0


def test_each_latency_is_that_of_its_own_call() -> None:
    durations_s = (0.03, 0.001, 0.02)
    pending = iter(durations_s)
    timed = run_back_to_back(lambda: time.sleep(next(pending)), len(durations_s))
    assert all(
        latency_s >= duration_s for latency_s, duration_s in zip(timed.latencies_s, durations_s, strict=True)
    )
    # The window is these calls and the reads between them, and nothing is counted twice.
    assert sum(timed.latencies_s) <= timed.ended_s - timed.started_s


def test_nothing_but_the_two_reads_of_the_clock_lies_between_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    def clock() -> int:
        events.append("clock")
        return len(events) * NS_PER_S

    monkeypatch.setattr("runner.load.back_to_back.perf_counter_ns", clock)
    timed = run_back_to_back(lambda: events.append("run"), 3)
    assert events == ["clock", "run", "clock"] * 3
    assert timed == Timed(1, 9, (2, 2, 2))


def test_what_a_call_raises_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        run_back_to_back(lambda: 1 // 0, 3)
