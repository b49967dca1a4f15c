import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.twin.histogram import BIN_RATIO, ERROR_RATIO, LEAST_S, Histogram

TIMES = st.lists(st.floats(LEAST_S, 1e9), min_size=1, max_size=50)
ROUNDING_RATIO = 1e-12


@given(TIMES, TIMES, st.floats(0, 1))
def test_quantiles_of_each_row_are_within_the_error_of_numpys(
    first: list[float], second: list[float], p: float
) -> None:
    histogram = Histogram(3)
    for row, values in ((0, first), (2, second)):
        histogram.add(np.full(len(values), row), np.array(values))
    found_s = histogram.quantile_s(p)
    assert np.isnan(found_s[1])
    for row, values in ((0, first), (2, second)):
        assert found_s[row] == pytest.approx(np.quantile(values, p), rel=ERROR_RATIO + ROUNDING_RATIO)


def test_bins_are_narrower_than_half_a_percent() -> None:
    assert BIN_RATIO < 0.005
    assert ERROR_RATIO < 0.002


def test_times_below_a_nanosecond_count_as_one() -> None:
    histogram = Histogram(1)
    histogram.add(np.zeros(2, np.int64), np.array([0.0, 1e-300]))
    assert histogram.quantile_s(1.0)[0] == pytest.approx(LEAST_S, rel=BIN_RATIO)


def test_nothing_counted_has_no_quantile() -> None:
    histogram = Histogram(2)
    histogram.add(np.empty(0, np.int64), np.empty(0))
    assert np.isnan(histogram.quantile_s(0.5)).all()
