"""The live queue, on a clock that only serving and sleeping move."""

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.load.replay import Replayed, replay
from runner.policies.fixed import Fixed
from runner.policies.greedy import Greedy
from runner.policies.interface import Counts, Flags, Policy, Times
from runner.policies.registry import parse_policy
from runner.policies.timeout import Timeout

SERVICE_S = 0.01


class Machine:
    """A server that takes so long for each request of a batch, and a sleep that may oversleep."""

    def __init__(self, oversleeps_s: float = 1e-9, per_request_s: float = SERVICE_S) -> None:
        self.now_s, self.cpu_s = 1000.0, 0.0
        self._oversleeps_s, self._per_request_s = oversleeps_s, per_request_s

    def serve(self, count: int) -> None:
        self.now_s += count * self._per_request_s
        self.cpu_s += 2 * count * self._per_request_s

    def sleep(self, duration_s: float) -> None:
        self.now_s += duration_s + self._oversleeps_s

    def replay(self, arrivals_s: list[float], policy: Policy, longest_wait_s: float = inf) -> Replayed:
        clocks = (lambda: self.now_s, self.sleep, lambda: self.cpu_s)
        return replay(self.serve, arrivals_s, policy, longest_wait_s, None, *clocks)


def test_a_full_batch_waits_for_its_last_request_and_the_rest_for_the_end() -> None:
    done = Machine().replay([0.1, 0.2, 0.3, 0.4, 0.5], Fixed(2))
    assert done.counts == (2, 2, 1)
    assert done.dispatched_s == pytest.approx([0.2, 0.4, 0.5])
    assert done.finished_s == pytest.approx([0.22, 0.42, 0.51])
    assert done.started_s == 1000.0
    assert done.ended_s == pytest.approx(1000.51)


def test_who_came_while_the_server_was_busy_is_the_next_batch() -> None:
    done = Machine(per_request_s=0.1).replay([0.0, 0.01, 0.05, 0.09, 0.5], Greedy(128))
    assert done.counts == (1, 3, 1)
    assert done.dispatched_s == pytest.approx([0.0, 0.1, 0.5])


def test_nobody_waits_longer_than_the_timeout_while_the_server_is_idle() -> None:
    done = Machine().replay([0.0, 0.03, 0.2], Timeout(16, 0.05))
    assert done.counts == (2, 1)
    assert done.dispatched_s == pytest.approx([0.05, 0.25])


def test_what_the_loop_oversleeps_is_its_own_error_and_nobody_else_s() -> None:
    done = Machine(oversleeps_s=0.001).replay([0.1, 0.2, 0.2, 0.2], Greedy(1))
    assert done.late_s == pytest.approx([0.001, 0.001, 0.0, 0.0], abs=1e-8)
    assert Machine().replay([0.1, 0.2], Greedy(1)).late_s == pytest.approx([0.0, 0.0], abs=1e-8)


def test_cpu_time_is_that_of_serving() -> None:
    assert Machine().replay([0.1, 0.5], Greedy(1)).busy_cpu_s == pytest.approx(4 * SERVICE_S)


def test_a_queue_that_only_grows_is_given_up() -> None:
    arrivals_s = list(np.arange(1000) * SERVICE_S / 2)
    done = Machine().replay(arrivals_s, Greedy(1), longest_wait_s=1.0)
    assert done.given_up
    assert 195 <= sum(done.counts) <= 205, "each waits half a service longer than the one before it"
    assert not Machine().replay(arrivals_s, Greedy(1), longest_wait_s=6.0).given_up


def test_nothing_to_serve_is_done_at_once() -> None:
    assert Machine().replay([], Greedy(1)).counts == ()


def test_a_policy_that_would_wait_for_ever_is_a_bug_that_is_named() -> None:
    class Lazy(Greedy):
        def next_dispatch(
            self, now_s: Times, oldest_arrival_s: Times, waiting: Counts, closed: Flags
        ) -> tuple[Counts, Times]:
            return 0, inf

    with pytest.raises(RuntimeError, match=r"greedy:1 waits for ever with 1 requests left"):
        Machine().replay([0.1], Lazy(1))


@given(
    st.lists(st.floats(0, 0.05), min_size=1, max_size=60),
    st.sampled_from(["fixed:4", "greedy:3", "timeout:4@20ms", "deadline:4@80ms"]),
    st.floats(0.001, 0.03),
)
def test_every_request_is_served_once_in_order_and_never_before_it_came(
    gaps_s: list[float], spec: str, per_request_s: float
) -> None:
    arrivals_s = np.cumsum(gaps_s).tolist()
    policy = parse_policy(spec).policy(np.arange(5, dtype=np.float64) * per_request_s)
    done = Machine(per_request_s=per_request_s).replay(arrivals_s, policy)
    assert sum(done.counts) == len(arrivals_s)
    assert max(done.counts) <= policy.largest_batch
    ends = np.cumsum(done.counts) - 1
    for last, dispatched_s in zip(ends, done.dispatched_s, strict=True):
        assert dispatched_s >= arrivals_s[last] - 1e-9
    for finished_s, next_s in zip(done.finished_s, done.dispatched_s[1:], strict=False):
        assert next_s >= finished_s - 1e-12, "one batch at a time"
    assert min(done.late_s) >= 0
