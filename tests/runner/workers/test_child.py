"""The worker's answers, in this process; as real processes they are in test_workers."""

import time
from typing import Any

import pytest

from runner.backends.interface import Call
from runner.errors import AbsentError
from runner.load.timed import Timed
from runner.workers import child as worker
from runner.workers.child import Worker, _failure, _read_request
from runner.workers.protocol import REQUESTS, Measure, Measurement, Open, Prepare


def _with_call(run: Any) -> Worker:
    """Return a worker to which batch 1 was bound."""
    own = Worker()
    own._calls[1, "host"] = Call(run, dict)
    return own


@pytest.mark.parametrize("period_s", [None, 0.01])
def test_a_visit_is_warmed_up_untimed_before_the_cpu_clock_and_the_window_begin(
    period_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    def load(run: Any, count: int, *period: float) -> Timed:
        events.append(f"window of {count} at {period}")
        return Timed(1.0, 3.0, (0.5,) * count, 0.25)

    def cpu_clock() -> float:
        events.append("cpu clock")
        return float(len(events))

    monkeypatch.setattr(worker, "warm_visit", lambda run: events.append("warm"))
    monkeypatch.setattr(worker, "run_back_to_back", load)
    monkeypatch.setattr(worker, "run_paced", load)
    monkeypatch.setattr(worker, "process_time", cpu_clock)
    answer = _with_call(lambda: None).answer(Measure(1, "host", 2, period_s))
    before, window = (
        ("warm", "window of 2 at ()")
        if period_s is None
        else (
            "window of 1 at (0.01,)",  # a whole untimed period, so that the first inference too comes after a gap
            "window of 2 at (0.01,)",
        )
    )
    assert events == [before, "cpu clock", window, "cpu clock"]
    assert isinstance(answer, Measurement)
    assert (answer.started_s, answer.ended_s, answer.latencies_s) == (1.0, 3.0, (0.5, 0.5))
    assert (answer.cpu_s, answer.late_s) == (2.0, 0.25)


def test_a_window_s_cpu_time_is_that_of_its_inferences() -> None:
    def compute() -> None:
        end_s = time.process_time() + 0.01
        while time.process_time() < end_s:
            pass

    answer = _with_call(compute).answer(Measure(1, "host", 5, None))
    assert isinstance(answer, Measurement)
    assert len(answer.latencies_s) == 5
    assert answer.cpu_s >= 5 * 0.01


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (MemoryError(), "memory", "MemoryError"),
        (RuntimeError("std::bad_alloc"), "memory", "std::bad_alloc"),
        (RuntimeError("BFCArena: Failed to allocate memory for requested buffer"), "memory", "BFCArena"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "memory", "CUDA out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory", "can't allocate"),
        (AbsentError("Cannot prove x"), "error", "Cannot prove x."),
        (ValueError("a\n  b"), "error", "a b"),
        (KeyError(), "error", "KeyError"),
    ],
)
def test_a_failure_has_a_kind_and_one_line(error: Exception, kind: str, message: str) -> None:
    failure = _failure(error)
    assert failure["kind"] == kind
    assert message in failure["message"]
    assert len(failure["message"].splitlines()) == 1


def test_a_request_is_read_by_its_word() -> None:
    line = '{"do": "prepare", "batch_size": 4, "io": "host", "warm_up_inferences": 2, "warm_up_cap_s": 1.0, '
    assert _read_request(line + '"warm_up_steady": false}\n') == Prepare(
        4, "host", 2, 1.0, warm_up_steady=False
    )
    assert set(REQUESTS) == {"open", "prepare", "record", "check", "measure", "serve"}


def test_a_batch_that_was_not_bound_cannot_be_measured() -> None:
    with pytest.raises(KeyError):
        Worker().answer(Measure(1, "host", 1, None))


class Shapes:
    """A session that notes which batch sizes are bound and run."""

    def __init__(self) -> None:
        self.bound: list[int] = []
        self.ran: list[int] = []

    def bind(self, feeds: Any, io: str) -> Call:
        size = len(feeds["x"])
        self.bound.append(size)
        return Call(lambda: self.ran.append(size), dict)


def test_a_mixed_load_runs_its_sizes_in_turn_and_binds_only_what_was_not_bound() -> None:
    own, session = Worker(), Shapes()
    own._session = session  # type: ignore[assignment] # all that a worker asks of one here
    own._open = Open("cpu", "x.onnx", None, {}, ({"name": "x", "dtype": "float32", "shape": ["n"]},), 0)
    own.answer(Prepare(4, "host", 1, 1.0, warm_up_steady=False))
    line = '{"do": "prepare", "batch_size": 7, "io": "host", "warm_up_inferences": 2, "warm_up_cap_s": 1.0, '
    own.answer(_read_request(line + '"warm_up_steady": false, "mixed": [4, 1, 2]}\n'))
    assert session.bound == [4, 1, 2]
    assert session.ran == [4, 4, *[4, 1, 2] * 3]
    session.ran.clear()
    answer = own.answer(Measure(7, "host", 5, None, mixed=(4, 1, 2)))
    assert isinstance(answer, Measurement)
    assert len(answer.latencies_s) == 5
    assert session.ran[-15:] == [4, 1, 2] * 5
