from collections.abc import Iterator
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from runner.errors import UsageError
from runner.policies.interface import Policy
from runner.policies.registry import POLICIES, parse_policy
from runner.stats.summary import quantile
from runner.twin.figures import QueueFigures
from runner.twin.histogram import ERROR_RATIO
from runner.twin.service import Floats
from runner.twin.simulate import STRETCH, simulate
from tests.runner.twin.queueing import (
    Batch,
    Deterministic,
    Scattered,
    by_hand,
    constant,
    poisson,
    regular,
)

SERVICE_S = 0.01


def policy(spec: str) -> Policy:
    return parse_policy(spec).policy(np.full(200, SERVICE_S))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def time_of(count: int, idle_s: float) -> float:
    return 0.004 + 0.002 * count + 0.001 * (idle_s > 0.01)


def test_rows_of_different_rates_do_not_touch_each_other() -> None:
    rates_hz = [20.0, 150.0, 60.0]
    times_s = next(poisson(rates_hz, 3, seed=3, size=2000))
    together = simulate(policy("greedy:8"), Deterministic(time_of), [times_s], 2000, rng())
    for row in range(3):
        alone = simulate(policy("greedy:8"), Deterministic(time_of), [times_s[row : row + 1]], 2000, rng())
        assert alone.mean_response_s[0] == together.mean_response_s[row]
        assert (alone.batch_counts[0] == together.batch_counts[row]).all()
        for p in (0.5, 0.95):
            assert alone.response_quantile_s(p)[0] == together.response_quantile_s(p)[row]


def queue_by_sweeping(batches: list[Batch], times_s: Floats, begin_s: float) -> float:
    """Return the queue's mean length since then, from moment to moment."""
    moments = sorted({begin_s, *times_s, *(each.start_s for each in batches), batches[-1].end_s})
    area = 0.0
    for now_s, next_s in pairwise(moments):
        if now_s >= begin_s:
            taken = sum(each.count for each in batches if each.start_s <= now_s)
            area += (float((times_s <= now_s).sum()) - taken) * (next_s - now_s)
    return area / (batches[-1].end_s - begin_s)


@given(
    st.sampled_from(("greedy:1", "greedy:4", "fixed:3", "timeout:5@20ms", "deadline:6@50ms")),
    st.integers(0, 1000),
    st.floats(20, 200),
    st.integers(0, 30),
)
def test_figures_are_those_of_the_counted_batches(spec: str, seed: int, rate_hz: float, warm_up: int) -> None:
    times_s = next(poisson(rate_hz, 1, seed, size=80))
    figures = simulate(policy(spec), Deterministic(time_of), [times_s], 80, rng(), warm_up=warm_up)
    batches = by_hand(policy(spec), tuple(times_s[0]), time_of)
    counted = [each for each in batches if each.head >= warm_up]
    begin_s = max((each.end_s for each in batches if each.head < warm_up), default=0.0)
    if not counted:
        assert figures.counted[0] == 0
        return
    waits_s = np.concatenate([b.start_s - times_s[0, b.head : b.head + b.count] for b in counted])
    services_s = np.repeat([b.service_s for b in counted], [b.count for b in counted])
    responses_s = waits_s + services_s
    assert figures.counted[0] == waits_s.size
    assert figures.dispatches[0] == len(counted)
    assert figures.mean_wait_s[0] == pytest.approx(waits_s.mean())
    assert figures.mean_service_s[0] == pytest.approx(services_s.mean())
    assert figures.mean_response_s[0] == pytest.approx(responses_s.mean())
    assert figures.max_response_s[0] == pytest.approx(responses_s.max())
    assert figures.busy_s[0] == pytest.approx(sum(b.service_s for b in counted))
    assert figures.cost[0] == pytest.approx(2 * figures.busy_s[0])
    assert figures.busy_s[0] + figures.idle_s[0] == pytest.approx(batches[-1].end_s - begin_s)
    assert figures.mean_queue[0] == pytest.approx(queue_by_sweeping(batches, times_s[0], begin_s), abs=1e-9)
    sizes = np.bincount([b.count for b in counted], minlength=figures.batch_counts.shape[1])
    assert (figures.batch_counts[0] == sizes).all()
    for p in (0.5, 0.95, 0.99):
        exact_s = np.quantile(responses_s, p)
        assert figures.response_quantile_s(p)[0] == pytest.approx(exact_s, rel=1.001 * ERROR_RATIO)


def test_quantiles_of_a_long_run_are_within_the_stated_error() -> None:
    times_s = next(poisson(60.0, 1, seed=4, size=5000))
    figures = simulate(policy("greedy:4"), Deterministic(time_of), [times_s], 5000, rng())
    batches = by_hand_fast(times_s[0])
    for p in (0.5, 0.95, 0.99):
        exact_s = quantile(batches, p)
        assert exact_s
        assert figures.response_quantile_s(p)[0] == pytest.approx(exact_s, rel=ERROR_RATIO)


def by_hand_fast(times_s: Floats) -> NDArray[np.float64]:
    """Return the responses of ``greedy:4``, by the recursion that a greedy server follows."""
    responses_s, free_s, head = [], 0.0, 0
    while head < times_s.size:
        start_s = max(free_s, float(times_s[head]))
        count = min(4, int(np.searchsorted(times_s, start_s, side="right")) - head)
        service_s = time_of(count, start_s - free_s)
        free_s = start_s + service_s
        responses_s += [free_s - each for each in times_s[head : head + count]]
        head += count
    return np.array(responses_s)


@given(
    st.sampled_from(sorted(POLICIES)),
    st.integers(1, 40),
    st.floats(0.2, 3.0),
    st.integers(1, 3 * STRETCH),
    st.integers(1, 700),
)
def test_arrivals_are_served_or_wait(kind: str, size: int, load: float, requests: int, chunk: int) -> None:
    spec = f"{kind}:{size}" + ("@50ms" if POLICIES[kind].takes_delay else "")
    arrivals = poisson([load * size / SERVICE_S, 1.0], 2, seed=5, size=chunk)
    figures = simulate(policy(spec), Scattered(SERVICE_S), arrivals, requests, rng())
    assert (figures.arrived == figures.served + figures.waiting).all()
    assert (figures.served == figures.batch_counts @ np.arange(figures.batch_counts.shape[1])).all()
    assert (figures.waiting[figures.stable] == 0).all()
    assert (figures.arrived[figures.stable] == requests).all()


def run(load: float, spec: str, seed: int, requests: int = 40_000, rows: int = 20) -> QueueFigures:
    rate_hz = load * policy(spec).largest_batch / SERVICE_S
    service = Scattered(SERVICE_S, shape=25)
    return simulate(policy(spec), service, poisson(rate_hz, rows, seed), requests, rng(seed))


@pytest.mark.parametrize(
    "spec", ["greedy:1", "greedy:128", "fixed:16", "timeout:16@50ms", "deadline:16@50ms"]
)
def test_a_queue_is_stopped_above_capacity_and_not_below(spec: str) -> None:
    over, under = run(1.1, spec, seed=6), run(0.9, spec, seed=6)
    assert not over.stable.any()
    assert (over.arrived < 40_000).all()
    assert (over.waiting > 0).all()
    assert (over.arrived == over.served + over.waiting).all()
    assert under.stable.all()
    assert (under.served == 40_000).all()


def test_a_queue_of_regular_arrivals_is_stopped_above_capacity_and_not_at_it() -> None:
    for spec in ("greedy:1", "fixed:85"):  # every 256 arrivals, 85 leave one more over than before
        size = policy(spec).largest_batch
        for gap_s, stable in ((0.9 / size, False), (1.0 / size, True), (1.1 / size, True)):
            figures = simulate(policy(spec), constant(1.0), regular(gap_s, 20_000), 20_000, rng())
            assert figures.stable[0] == stable


def test_one_row_stops_and_the_others_go_on() -> None:
    figures = simulate(
        policy("greedy:1"), constant(SERVICE_S), poisson([60.0, 120.0, 80.0], 3, seed=7), 20_000, rng()
    )
    assert figures.stable.tolist() == [True, False, True]
    assert figures.served[[0, 2]].tolist() == [20_000, 20_000]
    alone = simulate(policy("greedy:1"), constant(SERVICE_S), take_row(1), 20_000, rng())
    assert alone.served[0] == figures.served[1]
    assert alone.mean_queue[0] == figures.mean_queue[1]
    # What waits counts as well: a queue that grows as a line has half of its end as its mean.
    assert figures.mean_queue[1] == pytest.approx(figures.waiting[1] / 2, rel=0.2)


def test_the_queue_of_a_stopped_row_counts_what_waits() -> None:
    figures = simulate(policy("greedy:1"), constant(1.0), regular(0.5, 20_000), 20_000, rng())
    arrived, served, end_s = figures.arrived[0], figures.served[0], figures.end_s[0]
    assert (end_s, arrived < 20_000) == (served + 0.5, True)
    arrivals_s = (1 + np.arange(arrived)) / 2
    left_s = np.where(np.arange(arrived) < served, 0.5 + np.arange(arrived), end_s)
    assert figures.mean_queue[0] == pytest.approx(np.maximum(left_s - arrivals_s, 0).sum() / end_s)


def take_row(row: int) -> Iterator[Floats]:
    return (chunk_s[row : row + 1] for chunk_s in poisson([60.0, 120.0, 80.0], 3, seed=7))


def test_equal_seeds_and_any_chunks_give_equal_figures_and_other_seeds_others() -> None:
    def responses_s(seed: int, size: int) -> list[float]:
        times_s = np.concatenate(list(islice(poisson(70.0, 5, seed=8), 4)), axis=1)
        chunks = np.split(times_s, range(size, 2000, size), axis=1)
        return list(
            simulate(policy("greedy:2"), Scattered(SERVICE_S), chunks, 2000, rng(seed)).mean_response_s
        )

    assert responses_s(1, 2000) == responses_s(1, 2000) == responses_s(1, 7)
    assert responses_s(1, 2000) != responses_s(2, 2000)


def test_chunks_given_are_not_changed() -> None:
    times_s = next(poisson(70.0, 2, seed=9, size=600))
    before = times_s.copy()
    simulate(policy("greedy:2"), constant(SERVICE_S), [times_s], 500, rng())
    assert (times_s == before).all()


def test_too_few_arrivals_are_an_error() -> None:
    with pytest.raises(UsageError) as raised:
        simulate(policy("greedy:1"), constant(0.5), regular(1.0, 900), 1000, rng())
    assert str(raised.value) == "Cannot simulate 1000 requests: expected as many arrivals, got 900."


@pytest.mark.parametrize(("requests", "warm_up"), [(0, 0), (10, 10), (10, -1)])
def test_requests_that_are_all_warm_up_are_an_error(requests: int, warm_up: int) -> None:
    with pytest.raises(UsageError, match=f"Cannot simulate {requests} requests: expected more than the"):
        simulate(policy("greedy:1"), constant(0.5), regular(1.0, 10), requests, rng(), warm_up=warm_up)
