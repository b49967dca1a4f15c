import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.stats.effect import cliffs_delta

SAMPLES = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=20)


@given(SAMPLES, SAMPLES)
def test_it_is_the_balance_of_all_pairs(values: list[float], baseline: list[float]) -> None:
    signs = [np.sign(value - base) for value in values for base in baseline]
    assert cliffs_delta(values, baseline) == pytest.approx(float(np.mean(signs)))


@given(SAMPLES, SAMPLES)
def test_exchanging_the_samples_turns_its_sign(values: list[float], baseline: list[float]) -> None:
    assert cliffs_delta(values, baseline) == pytest.approx(-cliffs_delta(baseline, values))


def test_samples_that_do_not_overlap_are_at_its_ends() -> None:
    assert cliffs_delta([3, 4], [1, 2, 2.5]) == 1
    assert cliffs_delta([1, 2], [3, 4, 5]) == -1
    assert cliffs_delta([1, 1], [1, 1, 1]) == 0
