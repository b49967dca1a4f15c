from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import JoulebatchError
from runner.policies.interface import Policy
from runner.policies.registry import POLICIES
from runner.twin.queues import Queues
from runner.twin.simulate import simulate
from runner.twin.stretch import AHEAD, SEARCHED
from tests.runner.twin.queueing import Batch, Deterministic, by_hand, constant, regular

LATTICE_S = 1 / 8
"""a power of two, so that arrivals, services and waits meet at exactly one moment again and again"""


def time_of(count: int, idle_s: float) -> float:
    """Batches get cheaper per request, and are slower after a pause."""
    return LATTICE_S * (2 + count + (idle_s > 4 * LATTICE_S))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    kind = POLICIES[draw(st.sampled_from(sorted(POLICIES)))]
    size = draw(st.integers(1, 2 * AHEAD))
    delay_s = draw(st.integers(1, 40)) * LATTICE_S
    expected_s = np.array([time_of(count, 0.0) for count in range(size + 1)])
    return kind.make(size, delay_s, expected_s)


@st.composite
def arrivals(draw: st.DrawFn) -> list[list[float]]:
    """Rows of equal length that differ in their rates; gaps of 0 are common."""
    rows, count = draw(st.integers(1, 4)), draw(st.integers(1, 3 * AHEAD))
    gaps = [
        draw(st.lists(st.integers(0, widest), min_size=count, max_size=count))
        for widest in draw(st.lists(st.sampled_from((0, 1, 3, 12, 60)), min_size=rows, max_size=rows))
    ]
    return [list(np.cumsum(each) * LATTICE_S) for each in gaps]


def stretched(policy: Policy, rows: Sequence[Sequence[float]], sizes: Sequence[int]) -> list[list[Batch]]:
    """Return the batches of every row as the twin finds them, with arrivals in stretches of these sizes."""
    times_s = np.array(rows)
    queues = Queues(policy, Deterministic(time_of), len(times_s))
    found: list[list[Batch]] = [[] for _ in rows]
    begin = 0
    for end in (*np.cumsum(sizes), times_s.shape[1]):
        if begin < end <= times_s.shape[1]:
            last = end == times_s.shape[1]
            batches = queues.serve(times_s[:, begin:end], last=last).batches
            for row, count, start_s, idle_s, service_s in zip(
                batches.row, batches.count, batches.start_s, batches.idle_s, batches.service_s, strict=True
            ):
                head = sum(each.count for each in found[row])
                found[row].append(Batch(head, count, start_s, idle_s, service_s))
            begin = end
    return found


@given(policies(), arrivals(), st.lists(st.integers(1, 2 * SEARCHED), max_size=6))
def test_batches_are_those_that_a_slow_simulation_finds_whatever_the_stretches(
    policy: Policy, rows: list[list[float]], sizes: list[int]
) -> None:
    assert stretched(policy, rows, sizes) == [by_hand(policy, row, time_of) for row in rows]


def test_a_stretch_may_see_no_batch_begin() -> None:
    row = list(np.arange(1, 41) * LATTICE_S)
    policy = POLICIES["fixed"].make(30, 0.0, None)
    assert stretched(policy, [row], [5, 5]) == [by_hand(policy, row, time_of)]


@dataclass(frozen=True)
class Stubborn:
    """Waits for a fixed moment, or for ever."""

    until_s: float
    spec: str = "stubborn:1"
    largest_batch: int = 1

    def next_dispatch(self, now_s: Any, oldest_arrival_s: Any, waiting: Any, closed: Any) -> tuple[Any, Any]:
        return np.zeros_like(waiting), np.full(np.shape(waiting), self.until_s)


def test_a_policy_that_never_takes_requests_leaves_them_waiting() -> None:
    figures = simulate(Stubborn(np.inf), constant(1.0), regular(1.0, 5), 5, np.random.default_rng(0))
    assert (figures.arrived[0], figures.served[0], figures.waiting[0]) == (5, 0, 5)
    assert np.isnan(figures.mean_wait_s[0])
    assert np.isnan(figures.response_quantile_s(0.5)[0])


def test_a_policy_that_waits_for_the_past_is_an_error_and_no_endless_loop() -> None:
    with pytest.raises(JoulebatchError) as raised:
        simulate(Stubborn(0.5), constant(1.0), regular(1.0, 5), 5, np.random.default_rng(0))
    assert (
        str(raised.value)
        == "Cannot simulate stubborn:1: expected a wait that ends later, got one that is over."
    )
