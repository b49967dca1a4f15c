import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.stats.outliers import outliers


@pytest.mark.parametrize(
    ("values", "flagged"),
    [
        ([], []),
        ([5.0], []),
        ([1.0, 2.0, 3.0, 4.0, 5.0], []),
        # Median 3, MAD 1: the limit lies at 3.5 / 0.6745 = 5.19 from the median.
        ([1.0, 2.0, 3.0, 4.0, 8.18], []),
        ([1.0, 2.0, 3.0, 4.0, 8.20], [4]),
        ([-2.2, 2.0, 3.0, 4.0, 5.0], [0]),
        ([1.0, 1.0, 1.0, 1.0], []),
        # More than half are equal: one that differs far from the mean deviation still stands out.
        ([1.0] * 9 + [2.0], [9]),
        ([1.0] * 3 + [1.1, 1.2], []),
    ],
)
def test_values_beyond_three_and_a_half_deviations_are_flagged(
    values: list[float], flagged: list[int]
) -> None:
    assert [place for place, is_far in enumerate(outliers(values)) if is_far] == flagged


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(-5, 5), st.integers(-8, 8))
def test_neither_unit_nor_offset_matters(values: list[int], power: int, offset: int) -> None:
    moved = (np.array(values) + offset) * 2.0**power  # exact in binary
    assert outliers(moved) == outliers(values)


def test_of_calm_noise_hardly_any_is_flagged() -> None:
    assert np.mean(outliers(np.random.default_rng(0).standard_normal(10_000))) < 0.002
