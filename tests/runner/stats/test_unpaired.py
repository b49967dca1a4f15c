"""Ratios of figures that were not taken side by side."""

from collections.abc import Sequence
from math import exp, inf, isclose, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import polygamma
from scipy.stats import ttest_ind

from runner.stats.intervals import LAYOUT_SD
from runner.stats.spread import _inverse_trigamma, run_spreads
from runner.stats.unpaired import LogMean, RunSpread, difference, log_mean, pooled

RUN = LogMean(0.0, 1e-4, 10)


def test_without_a_spread_it_is_welch_s_interval() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.3, 0.2, 9), rng.normal(0.0, 0.1, 15)
    sides = [LogMean(float(x.mean()), float(x.var(ddof=1)) / x.size, x.size - 1) for x in (a, b)]
    expected = ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert difference(sides[0], sides[1]).limits() == pytest.approx((exp(expected.low), exp(expected.high)))


def test_a_run_of_few_processes_knows_no_more_than_their_layout_lets_it() -> None:
    found = log_mean([1.0, 1.0001, 0.9999, 1.0] * 50, [0] * 200)
    assert found
    assert found.log_variance == pytest.approx(LAYOUT_SD**2, rel=0.01)


def test_three_processes_are_three_pieces_of_evidence() -> None:
    windows = [1.0, 1.001, 0.999] * 10
    values = [*windows, *(1.1 * each for each in windows), *(1.2 * each for each in windows)]
    found = log_mean(values, [0] * 30 + [1] * 30 + [2] * 30)
    assert found
    assert found.degrees_of_freedom == pytest.approx(2)
    assert found.log_variance == pytest.approx(np.var([0, log(1.1), log(1.2)], ddof=1) / 3, rel=0.01)


@pytest.mark.parametrize("values", [(), (1.0,), (1.0, 0.0), (1.0, -2.0)])
def test_what_has_no_log_or_no_spread_has_no_figure(values: Sequence[float]) -> None:
    assert log_mean(values) is None


def test_the_spread_of_runs_stands_for_what_windows_know() -> None:
    spread = RunSpread(variance=0.01, degrees_of_freedom=8, within_variance=1e-4)
    assert difference(RUN, RUN, spread).standard_error == pytest.approx((2 * 0.01) ** 0.5)
    assert difference(RUN, RUN, spread).degrees_of_freedom == pytest.approx(8)


def test_a_shorter_run_than_those_of_the_spread_adds_what_it_does_not_know() -> None:
    spread = RunSpread(variance=0.01, degrees_of_freedom=8, within_variance=1e-4)
    short = LogMean(0.0, 0.02, 5)
    assert difference(short, RUN, spread).standard_error ** 2 == pytest.approx(2 * 0.01 + 0.02 - 1e-4)


def test_four_runs_a_side_halve_the_standard_error() -> None:
    spread = RunSpread(variance=0.01, degrees_of_freedom=8, within_variance=1e-4)
    four = pooled([RUN] * 4)
    assert difference(four, four, spread).standard_error == pytest.approx(
        difference(RUN, RUN, spread).standard_error / 2
    )


SIDES = st.builds(LogMean, st.floats(-3, 3), st.floats(1e-6, 1), st.floats(1, 100))


@given(SIDES, SIDES, st.floats(0.001, 0.5))
def test_limits_turn_round_with_the_sides(a: LogMean, b: LogMean, error: float) -> None:
    one, two = difference(a, b), difference(b, a)
    assert isclose(one.lower(error) * two.upper(error), 1, rel_tol=1e-6)
    assert one.lower(error) <= one.ratio <= one.upper(error)
    low, high = one.limits(1 - 2 * error)
    assert isclose(low, one.lower(error), rel_tol=1e-6)
    assert isclose(high, one.upper(error), rel_tol=1e-6)


@pytest.mark.parametrize("value", [1e-3, 0.1, 1.0, 10.0])
def test_the_inverse_of_the_trigamma_function(value: float) -> None:
    assert float(polygamma(1, _inverse_trigamma(value))) == pytest.approx(value)


def test_one_cell_has_only_its_own_runs() -> None:
    logs = (0.0, 0.1, -0.1, 0.05, 0.02)
    (found,) = run_spreads([[LogMean(each, 1e-4, 10) for each in logs]])
    assert found == RunSpread(float(np.var(logs, ddof=1)), 4, 1e-4)


def test_cells_that_move_together_lend_each_other_nothing_that_they_do_not_know() -> None:
    logs = (0.0, 0.1, -0.1, 0.05, 0.02)
    cell = [LogMean(each, 1e-4, 10) for each in logs]
    alike = run_spreads([cell] * 8)
    # Eight copies of one cell are one cell: its own four degrees of freedom are all there are.
    assert all(found.degrees_of_freedom == pytest.approx(4) for found in alike)
    assert all(found.variance == pytest.approx(np.var(logs, ddof=1)) for found in alike)


def test_what_no_float_holds_is_infinite() -> None:
    unknown = difference(LogMean(0.0, 1e6, 1), LogMean(0.0, 1e6, 1))
    assert unknown.limits() == (0.0, inf)
    assert unknown.lower(0.05) == 0.0
    assert unknown.upper(0.05) == unknown.detectable(1.05, 0.05) == inf
    assert difference(LogMean(699.0, 0.01, 5), LogMean(-699.0, 0.01, 5)).ratio == inf


def test_a_noisy_cell_keeps_its_noise_among_quiet_ones() -> None:
    rng = np.random.default_rng(0)
    quiet = [[LogMean(x, 1e-6, 10) for x in rng.normal(0, 0.01, 6)] for _ in range(7)]
    noisy = [LogMean(x, 1e-6, 10) for x in rng.normal(0, 0.3, 6)]
    *others, found = run_spreads([*quiet, noisy])
    assert found.variance > 20 * max(each.variance for each in others)


@pytest.mark.parametrize("common", [0.0, 0.5, 0.95], ids=lambda share: f"{share:.0%} shared by all cells")
@pytest.mark.parametrize("cells", [1, 4, 16])
@pytest.mark.parametrize("uneven", [0.0, 0.7], ids=["alike", "uneven"])
def test_equal_runs_differ_beyond_the_limits_in_one_of_twenty_comparisons_whatever_their_cells(
    cells: int, common: float, uneven: float
) -> None:
    rng = np.random.default_rng(1)
    trials = 250
    failed = sum(_any_above_one(rng, cells, common, uneven) for _ in range(trials))
    # 5 %, and three standard errors of so many trials.
    assert failed / trials <= 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5


def test_one_judged_of_eight_cells_that_move_together_fails_in_one_of_twenty_comparisons() -> None:
    rng = np.random.default_rng(3)
    trials = 2000
    failed = sum(_any_above_one(rng, 8, 0.95, 0.0, sd=0.1, judged=1) for _ in range(trials))
    # 5 %, and two standard errors of so many trials: those that count a cell's own runs twice fail in 7 %.
    assert failed / trials <= 0.05 + 2 * (0.05 * 0.95 / trials) ** 0.5


def test_a_slowdown_of_a_fifth_is_found_over_runs_that_differ_by_two_percent() -> None:
    rng = np.random.default_rng(2)
    found = sum(_any_above_one(rng, 4, 0.5, 0.0, sd=0.02, planted=1.2, threshold=1.05) for _ in range(100))
    assert found >= 80


def _any_above_one(  # noqa: PLR0913 - what a machine is made of
    rng: np.random.Generator,
    cells: int,
    common: float,
    uneven: float,
    *,
    sd: float = 0.03,
    planted: float = 1.0,
    threshold: float = 1.0,
    judged: int | None = None,
) -> bool:
    """Return whether a judged cell's lower limit exceeds the threshold, five other runs having told the spread."""
    sds = sd * np.exp(rng.normal(0, uneven, cells))

    def run() -> list[LogMean]:
        moves = common**0.5 * rng.standard_normal() + (1 - common) ** 0.5 * rng.standard_normal(cells)
        logs = sds * moves + rng.normal(0, 0.01, cells)
        return [LogMean(float(each), 1e-4 * rng.chisquare(2) / 2, 2) for each in logs]

    spreads = run_spreads(list(zip(*(run() for _ in range(5)), strict=True)))
    new = [LogMean(each.log_mean + log(planted), each.log_variance, 2) for each in run()]
    return any(
        difference(own, other, spread).lower(0.05 / (judged or cells)) > threshold
        for own, other, spread in list(zip(new, run(), spreads, strict=True))[:judged]
    )
