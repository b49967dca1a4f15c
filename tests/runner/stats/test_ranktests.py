import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.stats.ranktests import friedman, holm, wilcoxon

HOLLANDER = np.array(
    [
        [5.40, 5.50, 5.55],
        [5.85, 5.70, 5.75],
        [5.20, 5.60, 5.50],
        [5.55, 5.50, 5.40],
        [5.90, 5.85, 5.70],
        [5.45, 5.55, 5.60],
        [5.40, 5.40, 5.35],
        [5.45, 5.50, 5.35],
        [5.25, 5.15, 5.00],
        [5.85, 5.80, 5.70],
        [5.25, 5.20, 5.10],
        [5.65, 5.55, 5.45],
        [5.60, 5.35, 5.45],
        [5.05, 5.00, 4.95],
        [5.50, 5.50, 5.40],
        [5.45, 5.55, 5.50],
        [5.55, 5.55, 5.35],
        [5.45, 5.50, 5.55],
        [5.50, 5.45, 5.25],
        [5.65, 5.60, 5.40],
        [5.70, 5.65, 5.55],
        [6.30, 6.30, 6.25],
    ]
)
"""Hollander and Wolfe, Nonparametric Statistical Methods (1973), page 140: three ways of rounding first base"""


def test_friedman_gives_what_r_prints_for_its_own_example() -> None:
    test = friedman(HOLLANDER)
    assert test is not None
    assert (test.statistic, test.p) == pytest.approx((11.1429, 0.003805), rel=1e-4)


def test_friedman_says_nothing_of_ties_few_blocks_or_two_cells() -> None:
    assert friedman(np.ones((10, 3))) is None
    assert friedman(HOLLANDER[:5]) is None
    assert friedman(HOLLANDER[:, :2]) is None
    assert friedman(HOLLANDER[:6]) is not None


def test_wilcoxon_is_exact_for_few_pairs() -> None:
    baseline = np.arange(1.0, 7.0)
    test = wilcoxon(baseline * [1.1, 1.2, 1.3, 1.4, 1.5, 1.6], baseline)
    assert test is not None
    assert (test.statistic, test.p) == pytest.approx((0, 2 / 2**6))
    # Worth their ranks 1 against 2 + .. + 6; of the 64 choices of signs two reach each of 0 and 1.
    test = wilcoxon(baseline * [0.9, 1.2, 1.3, 1.4, 1.5, 1.6], baseline)
    assert test is not None
    assert (test.statistic, test.p) == pytest.approx((1, 4 / 2**6))


@pytest.mark.parametrize("pairs", [0, 5])
def test_wilcoxon_says_nothing_where_it_could_not_reach_5_percent(pairs: int) -> None:
    values = [1.0 + place / 10 for place in range(1, pairs + 1)]
    # Equal pairs say nothing of a difference.
    assert wilcoxon([*values, *[1.0] * 20], [1.0] * (pairs + 20)) is None


@pytest.mark.parametrize("pairs", [6, 12, 60])
def test_wilcoxon_does_not_care_which_of_two_is_the_baseline(pairs: int) -> None:
    values, baseline = np.random.default_rng(0).uniform(0.5, 2, (2, pairs))
    there, back = wilcoxon(values, baseline), wilcoxon(baseline, values)
    assert there is not None
    assert back is not None
    assert there.p == pytest.approx(back.p)


def test_holm_multiplies_the_smallest_by_all_and_never_falls() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx((0.06, 0.03, 0.06))
    assert holm([0.6, 0.7]) == (1.0, 1.0)
    assert holm([]) == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_each_p_and_bonferroni_s(ps: list[float]) -> None:
    for p, adjusted in zip(ps, holm(ps), strict=True):
        assert p <= adjusted <= 1
        assert adjusted <= max(len(ps) * each for each in ps if each <= p)
    order = sorted(range(len(ps)), key=ps.__getitem__)
    assert sorted(holm(ps)) == [holm(ps)[place] for place in order]


def test_holm_keeps_the_family_s_level_where_all_are_equal_in_truth() -> None:
    rng = np.random.default_rng(0)
    families = rng.random((2000, 5))
    assert np.mean([min(holm(family.tolist())) < 0.05 for family in families]) == pytest.approx(
        0.05, abs=0.015
    )
