import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.policies.registry import parse_policy
from runner.stats.queueing import (
    Replay,
    batch_counts,
    busy_s,
    longest_queue,
    mean_queue,
    queue_lengths,
    request_times,
)
from tests.queues import Machine

POLICIES = st.sampled_from(["fixed:3", "greedy:2", "greedy:64", "timeout:4@50ms"])


def replayed(gaps_s: list[float], policy: str, service_s: float) -> Replay:
    arrivals_s = np.cumsum(gaps_s)
    done = Machine(lambda count: service_s * count).replay(arrivals_s.tolist(), parse_policy(policy).policy())
    return Replay(
        arrivals_s=arrivals_s,
        dispatched_s=np.array(done.dispatched_s),
        ready_s=np.array(done.dispatched_s),
        finished_s=np.array(done.finished_s),
        counts=np.array(done.counts),
    )


REPLAYS = st.builds(
    replayed,
    st.lists(st.floats(0, 0.2), min_size=1, max_size=30),
    POLICIES,
    st.sampled_from([0.001, 0.03, 0.1]),
)


def waiting_at(replay: Replay, moment_s: float) -> int:
    """Count one by one who has come and is not dispatched yet."""
    dispatched_s = np.repeat(replay.dispatched_s, replay.counts)
    return sum(
        came_s <= moment_s < begun_s for came_s, begun_s in zip(replay.arrivals_s, dispatched_s, strict=True)
    )


@given(REPLAYS)
def test_a_response_is_its_wait_and_its_service(replay: Replay) -> None:
    times = request_times(replay)
    assert times.response_s == pytest.approx(times.wait_s + times.decode_s + times.service_s)
    assert times.wait_s.min() >= 0
    assert len(times.wait_s) == len(replay.arrivals_s) == replay.served


@given(REPLAYS)
def test_the_mean_queue_is_what_parts_of_the_time_average_to(replay: Replay) -> None:
    assert np.mean(queue_lengths(replay, 7)) == pytest.approx(mean_queue(replay), abs=1e-9)


@given(REPLAYS)
def test_the_longest_queue_is_seen_when_somebody_has_just_come(replay: Replay) -> None:
    seen = max(waiting_at(replay, moment_s) for moment_s in replay.arrivals_s)
    assert longest_queue(replay) >= seen
    assert longest_queue(replay) <= len(replay.arrivals_s)


@given(REPLAYS)
def test_batches_hold_every_request_and_the_server_is_busy_within_the_time(replay: Replay) -> None:
    assert sum(size * count for size, count in batch_counts([replay])) == replay.served
    assert 0 < busy_s(replay) <= replay.span_s


def test_by_hand_two_requests_wait_for_each_other() -> None:
    replay = replayed([1.0, 1.0, 1.0], "fixed:2", 0.25)
    assert replay.dispatched_s == pytest.approx([2.0, 3.0])
    assert request_times(replay).wait_s == pytest.approx([1.0, 0.0, 0.0], abs=1e-6)
    assert request_times(replay).response_s == pytest.approx([1.5, 0.5, 0.25], abs=1e-6)
    assert busy_s(replay) == pytest.approx(0.75)
    assert mean_queue(replay) == pytest.approx(1.0 / 3.25)
    assert longest_queue(replay) == 2
    assert batch_counts([replay]) == ((1, 1), (2, 1))
    assert queue_lengths(replay, 13) == pytest.approx((0,) * 4 + (1,) * 4 + (0,) * 5, abs=1e-6)


def test_decoding_is_a_stage_between_dispatch_and_service() -> None:
    times = request_times(
        Replay(np.array([0.0, 0.5]), np.array([1.0]), np.array([1.5]), np.array([3.0]), np.array([2]))
    )
    assert times.wait_s.tolist() == [1.0, 0.5]
    assert times.decode_s.tolist() == [0.5, 0.5]
    assert times.service_s.tolist() == [1.5, 1.5]
    assert times.response_s.tolist() == [3.0, 2.5]
