import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.twin.growth import Growth
from runner.twin.service import Floats

LOOKS = 200


def looked_at(backlogs: Floats, largest_batch: int = 1) -> list[int]:
    """Return, by row, at which look it was found growing, counted from 1; 0 for never."""
    rows = np.arange(len(backlogs))
    growth = Growth(rows.size, largest_batch)
    found = np.zeros(rows.size, np.int64)
    for number, backlog in enumerate(backlogs.T, 1):
        growing = growth.look(rows, backlog[rows])
        found[rows[growing]] = number
        rows = rows[~growing]
    return list(found)


def reflected(drift: float, rows: int, seed: int) -> Floats:
    """Return random walks that never fall below zero, with steps of standard deviation 1."""
    steps = np.random.default_rng(seed).normal(drift, 1, (rows, LOOKS))
    walk = steps.cumsum(axis=1)
    return walk - np.minimum.accumulate(np.minimum(walk, 0), axis=1)


@pytest.mark.parametrize("drift", [-1.0, -0.1, 0.0])
def test_walks_that_do_not_drift_away_are_hardly_ever_found(drift: float) -> None:
    found = looked_at(reflected(drift, 1000, seed=1))
    assert np.count_nonzero(found) <= 1


@pytest.mark.parametrize(("drift", "looks"), [(2.0, 30), (1.0, 80), (0.6, 200)])
def test_walks_that_drift_away_are_found_the_sooner_the_faster(drift: float, looks: int) -> None:
    found = looked_at(reflected(drift, 100, seed=2))
    assert all(0 < each <= looks for each in found)


def test_a_straight_line_is_found_once_it_is_more_than_two_batches() -> None:
    assert looked_at(np.arange(1.0, 100.0)[None], largest_batch=10) == [21]


@given(st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_two_batches_are_no_backlog_whatever_their_course(backlogs: list[float]) -> None:
    assert looked_at(np.array([backlogs]), largest_batch=10) == [0]
