from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, theilslopes

from runner.stats.variation import Instability, instabilities, trend, variation_ratio


def noisy(sd: float, count: int = 40, change: float = 0.0, seed: int = 0) -> list[float]:
    rng = np.random.default_rng(seed)
    values: list[float] = (1 + sd * rng.standard_normal(count) + np.linspace(0, change, count)).tolist()
    return values


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        ([1.0], ()),
        ([1.0] * 20, ()),
        (noisy(0.03), ()),
        (noisy(0.2), (Instability.SCATTER,)),
        ([1.0, 1.5], (Instability.SCATTER,)),
        (noisy(0.01, change=0.1), (Instability.SLOWER,)),
        (noisy(0.01, change=-0.1), (Instability.FASTER,)),
        (noisy(0.001, change=0.04), ()),  # a trend beyond doubt that shifts the mean by 2 %
        (noisy(0.02, count=9, change=0.2), ()),  # too few to call it one
        (noisy(0.05, change=0.6), (Instability.SLOWER, Instability.SCATTER)),
    ],
)
def test_a_cell_is_unstable_by_scatter_or_drift(values: list[float], seen: tuple[Instability, ...]) -> None:
    assert instabilities(values) == seen


def test_every_instability_names_a_cause_and_what_to_do() -> None:
    for each in Instability:
        seen, cause_and_advice = each.value.split(": ")
        cause, *advice = cause_and_advice.split("; ")
        assert seen
        assert cause
        assert "rerun" in advice[-1]


@given(st.lists(st.floats(1, 2), min_size=10, max_size=30, unique=True))
def test_the_trend_is_kendall_s_and_sen_s(values: list[float]) -> None:
    found = trend(values)
    assert found is not None
    places = range(len(values))
    # Correcting for continuity only ever makes a p larger, by less than one step of S.
    asymptotic = kendalltau(places, values, method="asymptotic").pvalue
    assert asymptotic - 1e-12 <= found.p <= asymptotic + 0.1
    slope = theilslopes(values, places).slope
    assert found.change_ratio == pytest.approx(slope * (len(values) - 1) / np.median(values), abs=1e-12)


def test_the_p_of_a_trend_is_near_the_exact_one() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        values = rng.random(12)
        found = trend(values)
        assert found is not None
        assert found.p == pytest.approx(kendalltau(range(12), values, method="exact").pvalue, abs=0.01)


def test_ties_take_their_part_of_the_variance() -> None:
    values = [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0]
    found = trend(values)
    assert found is not None
    # Gilbert (1987), section 16.4.2: S is 3 x 4 + 3 x 3 + 4 x 3, its variance 10 x 9 x 25 less 3 x 2 x 11 twice and
    # 4 x 3 x 13, by 18.
    z = (33 - 1) / ((2250 - 132 - 156) / 18) ** 0.5
    assert found.p == pytest.approx(2 * NormalDist().cdf(-z))


def test_no_trend_is_seen_in_one_value_repeated_or_in_too_few() -> None:
    assert trend([1.0] * 12) is None
    assert trend([float(value) for value in range(9)]) is None


def test_calm_noise_trends_as_rarely_as_its_level_says() -> None:
    found = [trend(noisy(0.05, count=20, seed=seed)) for seed in range(1000)]
    assert np.mean([each is not None and each.p < 0.05 for each in found]) == pytest.approx(0.05, abs=0.02)


def test_variation_is_relative_to_the_mean() -> None:
    assert variation_ratio([1.0]) is None
    assert variation_ratio([9.0, 11.0]) == pytest.approx(2**0.5 / 10)
