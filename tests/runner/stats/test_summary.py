from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.stats.summary import quantile

LATENCIES = st.lists(st.floats(1e-6, 1e3), min_size=100, max_size=150)


@given(LATENCIES, st.sampled_from([0.5, 0.9]))
def test_a_quantile_interpolates_between_its_two_neighbours_in_order(values: list[float], p: float) -> None:
    place = (len(values) - 1) * p
    below, above = sorted(values)[floor(place)], sorted(values)[floor(place) + 1]
    assert quantile(values, p) == pytest.approx(below + (above - below) * (place - floor(place)), rel=1e-12)


@given(LATENCIES, st.floats(0.1, 10))
def test_a_quantile_scales_with_its_values_and_ignores_their_order(
    values: list[float], factor: float
) -> None:
    scaled = quantile(np.array(values[::-1]) * factor, 0.9)
    unscaled = quantile(values, 0.9)
    assert scaled is not None
    assert unscaled is not None
    assert scaled == pytest.approx(unscaled * factor, rel=1e-12)


@pytest.mark.parametrize("percent", [50, 90, 95, 99])
def test_a_quantile_is_shown_from_ten_samples_beyond_it(percent: int) -> None:
    enough = int(10 / (1 - Fraction(percent, 100)))
    assert quantile(range(enough - 1), percent / 100) is None
    assert quantile(range(enough), percent / 100) == pytest.approx((enough - 1) * percent / 100)
