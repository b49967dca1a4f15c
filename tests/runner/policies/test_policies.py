"""What each policy does, and what all of them must."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.policies.deadline import Deadline
from runner.policies.fixed import Fixed
from runner.policies.greedy import Greedy
from runner.policies.interface import NEVER_S, Policy
from runner.policies.registry import POLICIES, PolicySpec
from runner.policies.timeout import Timeout

MOMENTS_S = st.floats(0, 1e6)
SERVICE_S = st.lists(st.floats(0, 10), min_size=65, max_size=65).map(np.asarray)
ANY = float("nan")
"""of no meaning for the policy that is asked"""


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    spec = PolicySpec(
        draw(st.sampled_from(tuple(POLICIES))), draw(st.integers(1, 64)), draw(st.floats(1e-6, 1e3))
    )
    return spec.policy(draw(SERVICE_S) if POLICIES[spec.kind].needs_service_times else None)


def deadline(largest_batch: int, limit_s: float, service_s: list[float]) -> Policy:
    return PolicySpec("deadline", largest_batch, limit_s).policy(np.asarray([ANY, *service_s]))


@pytest.mark.parametrize(
    ("waiting", "closed", "count"), [(0, False, 0), (3, False, 0), (4, False, 4), (9, False, 4)]
)
def test_fixed_waits_for_a_full_batch_and_leaves_the_rest(waiting: int, closed: bool, count: int) -> None:
    assert Fixed(4).next_dispatch(ANY, ANY, waiting, closed) == (count, NEVER_S)


@pytest.mark.parametrize(("waiting", "count"), [(0, 0), (3, 3), (4, 4), (9, 4)])
def test_fixed_takes_what_is_left_once_no_more_will_come(waiting: int, count: int) -> None:
    assert Fixed(4).next_dispatch(ANY, ANY, waiting, closed=True)[0] == count


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize(("waiting", "count"), [(0, 0), (1, 1), (4, 4), (9, 4)])
def test_greedy_takes_whatever_waits_up_to_its_limit(waiting: int, closed: bool, count: int) -> None:
    assert Greedy(4).next_dispatch(ANY, ANY, waiting, closed) == (count, NEVER_S)


@pytest.mark.parametrize(
    ("now_s", "waiting", "count", "until_s"),
    [
        (10.0, 0, 0, NEVER_S),
        (10.0, 1, 0, 10.5),
        (10.49, 3, 0, 10.5),
        (10.5, 3, 3, 10.5),
        (12.0, 3, 3, 10.5),
        (10.1, 4, 4, 10.5),
        (12.0, 9, 4, 10.5),
    ],
)
def test_timeout_takes_a_full_batch_or_what_waits_once_the_oldest_waited_long_enough(
    now_s: float, waiting: int, count: int, until_s: float
) -> None:
    assert Timeout(4, 0.5).next_dispatch(now_s, 10.0, waiting, closed=False) == (count, until_s)


@pytest.mark.parametrize(
    ("now_s", "waiting", "count", "until_s"),
    [
        (10.0, 0, 0, NEVER_S),
        (10.0, 1, 0, 10.75),  # two take 0.25 of the second that is left
        (10.75, 1, 1, 10.75),
        (10.7, 2, 0, 10.75),  # three are not slower
        (10.7, 3, 3, 10.5),  # four take 0.5, and it is too late for that: three still take 0.25
        (10.1, 4, 4, ANY),
        (10.1, 9, 4, ANY),
        (12.0, 2, 2, 10.75),  # late already
    ],
)
def test_deadline_takes_what_waits_once_there_is_no_time_for_one_more(
    now_s: float, waiting: int, count: int, until_s: float
) -> None:
    policy = deadline(4, 1.0, [0.125, 0.25, 0.25, 0.5])
    taken, wait_s = policy.next_dispatch(now_s, 10.0, waiting, closed=False)
    assert taken == count
    assert count == 4 or wait_s == until_s


def test_deadline_takes_a_request_at_once_that_even_alone_comes_too_late() -> None:
    assert deadline(4, 0.1, [0.2, 0.3, 0.4, 0.5]).next_dispatch(10.0, 10.0, 1, closed=False)[0] == 1


def test_deadline_expects_no_larger_batch_to_be_faster() -> None:
    scattered = deadline(4, 1.0, [0.25, 0.125, 0.5, 0.25])
    for waiting in range(1, 5):
        assert scattered.next_dispatch(10.0, 10.0, waiting, closed=False) == (
            deadline(4, 1.0, [0.25, 0.25, 0.5, 0.5]).next_dispatch(10.0, 10.0, waiting, closed=False)
        )


def test_deadline_leaves_the_measured_times_as_they_were() -> None:
    service_s = np.array([ANY, 0.3, 0.2, 0.1])
    PolicySpec("deadline", 2, 1.0).policy(service_s)
    assert service_s[1:].tolist() == [0.3, 0.2, 0.1]


@given(
    gaps_s=st.lists(st.floats(1e-6, 0.2), min_size=1, max_size=30),
    growth_s=st.lists(st.floats(0, 0.2), min_size=8, max_size=8),
)
def test_deadline_never_lets_a_request_be_late_that_found_the_server_idle(
    gaps_s: list[float], growth_s: list[float]
) -> None:
    service_s = np.cumsum(growth_s)
    limit_s = max(1.0, float(service_s[0]))
    policy = deadline(8, limit_s, service_s.tolist())
    arrivals_s = np.cumsum(gaps_s)
    now_s, waiting, until_s = 0.0, 0, NEVER_S
    count = 0
    while not count:
        following_s = float(arrivals_s[waiting]) if waiting < arrivals_s.size else NEVER_S
        now_s = min(following_s, until_s)
        waiting += int(following_s == now_s)
        taken, wait_s = policy.next_dispatch(now_s, float(arrivals_s[0]), waiting, closed=False)
        count, until_s = int(taken), float(wait_s)
    assert now_s + service_s[count - 1] - arrivals_s[0] <= limit_s + 1e-9


@given(
    policy=policies(),
    now_s=MOMENTS_S,
    waited_s=st.floats(0, 1e3),
    waiting=st.integers(0, 200),
    closed=st.booleans(),
)
def test_a_batch_is_of_requests_that_wait_and_nothing_waits_for_ever(
    policy: Policy, now_s: float, waited_s: float, waiting: int, closed: bool
) -> None:
    count, until_s = policy.next_dispatch(now_s, now_s - waited_s, waiting, closed)
    assert 0 <= count <= min(waiting, policy.largest_batch)
    if waiting and not count:
        assert until_s > now_s
        assert until_s < NEVER_S or not closed
        if until_s < NEVER_S:
            later, _ = policy.next_dispatch(until_s, now_s - waited_s, waiting, closed)
            assert later == min(waiting, policy.largest_batch)


@given(policy=policies(), now_s=MOMENTS_S, waited_s=st.floats(0, 1e3), closed=st.booleans())
def test_a_full_batch_is_never_kept_waiting(
    policy: Policy, now_s: float, waited_s: float, closed: bool
) -> None:
    for waiting in (policy.largest_batch, policy.largest_batch + 1):
        assert policy.next_dispatch(now_s, now_s - waited_s, waiting, closed)[0] == policy.largest_batch


@given(
    policy=policies(),
    rows=st.lists(
        st.tuples(MOMENTS_S, st.floats(0, 1e3), st.integers(0, 200), st.booleans()), min_size=1, max_size=20
    ),
)
def test_many_queues_at_once_are_answered_as_each_alone(
    policy: Policy, rows: list[tuple[float, float, int, bool]]
) -> None:
    now_s, waited_s, waiting, closed = (np.asarray(column) for column in zip(*rows, strict=True))
    counts, until_s = policy.next_dispatch(now_s, now_s - waited_s, waiting, closed)
    assert np.shape(counts) == now_s.shape
    each_until_s = np.broadcast_to(until_s, now_s.shape)
    for row, count, wait_s in zip(rows, np.asarray(counts), each_until_s, strict=True):
        alone = policy.next_dispatch(row[0], row[0] - row[1], row[2], row[3])
        assert alone == (count, wait_s)
        assert {np.ndim(answer) for answer in alone} == {0}
        assert hash(alone) is not None  # numbers, not arrays without dimensions: a table can be keyed by them


@given(policy=policies(), waits_s=st.lists(st.floats(0, 1e3), min_size=2, max_size=10).map(sorted))
def test_who_waits_longer_is_not_taken_later(policy: Policy, waits_s: list[float]) -> None:
    counts = [policy.next_dispatch(wait_s, 0.0, 3, closed=False)[0] for wait_s in waits_s]
    assert all(earlier <= later for earlier, later in pairwise(counts))


def test_two_policies_with_service_times_can_be_compared() -> None:
    one, other = (Deadline(2, 1.0, np.array([0, 0.1, 0.2])) for _ in range(2))
    assert one != other
    assert len({one, other}) == 2
