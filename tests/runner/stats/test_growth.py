import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import linregress, t

from runner.stats.growth import fit_line

POINTS = st.lists(st.tuples(st.integers(1990, 2030), st.floats(-10, 10)), min_size=2, max_size=20)


@given(POINTS)
def test_the_line_is_that_of_scipy_with_its_t_limits(points: list[tuple[int, float]]) -> None:
    years, figures = zip(*points, strict=True)
    assume(len(set(years)) > 1)
    line = fit_line(years, figures)
    assert line is not None
    expected = linregress(years, figures)
    assert line.slope.mean == pytest.approx(expected.slope, abs=1e-9)
    for year in (1980, *years):
        assert line.at(year) == pytest.approx(expected.intercept + expected.slope * year, abs=1e-6)
    if len(points) == 2:
        assert (line.slope.low, line.slope.high) == (None, None)
    else:
        # Where all figures are equal scipy divides 0 by 0; the line then fits exactly.
        error = 0.0 if len(set(figures)) == 1 else expected.stderr
        half = t.ppf(0.975, len(points) - 2) * error
        assert line.slope.low == pytest.approx(expected.slope - half, abs=1e-5)
        assert line.slope.high == pytest.approx(expected.slope + half, abs=1e-5)


@pytest.mark.parametrize("years", [[2012.0], [2018.0] * 4])
def test_one_year_has_no_line(years: list[float]) -> None:
    assert fit_line(years, list(range(len(years)))) is None


def test_the_limits_of_five_noisy_points_hold_the_truth_in_95_of_100_cases() -> None:
    rng, years = np.random.default_rng(0), [2012, 2016, 2018, 2020, 2022]
    held = 0
    for _ in range(1000):
        line = fit_line(years, 0.3 * np.array(years) + rng.standard_normal(5))
        assert line is not None
        assert line.slope.low is not None
        assert line.slope.high is not None
        held += line.slope.low <= 0.3 <= line.slope.high
    assert 930 <= held <= 970  # 950 +- 3 standard errors of a binomial
