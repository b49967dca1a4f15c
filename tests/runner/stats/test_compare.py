from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import t

from runner.stats.compare import best_set, critical_t, exceeds, lowest, verdict
from runner.stats.intervals import RatioInterval

Floats = NDArray[np.float64]


def simulated_table(rng: np.random.Generator, blocks: int, truth: Floats, noise: float | Floats) -> Floats:
    """Returns figures of cells with these true means on a machine whose speed wanders by 10 %."""
    speed = rng.normal(0, 0.1, (blocks, 1))
    return np.exp(np.log(truth) + speed + rng.normal(0, noise, (blocks, truth.size)))


@pytest.mark.parametrize(
    ("low", "high", "pairs", "expected"),
    [
        (0.88, 0.97, 10, "less"),
        (1.01, 1.10, 10, "more"),
        (0.99, 1.01, 10, "no difference seen"),
        (1.0, 1.0, 10, "no difference seen"),
        (0.88, 0.97, 3, "less"),
        (0.88, 0.97, 2, "too few pairs"),
        (None, None, 1, "too few pairs"),
    ],
)
def test_a_verdict_follows_from_the_interval(
    low: float | None, high: float | None, pairs: int, expected: str
) -> None:
    ratio = 1.0 if low is None or high is None else (low * high) ** 0.5
    assert verdict(RatioInterval(ratio, low, high, pairs)) == expected


@pytest.mark.parametrize(
    ("ratio", "workers", "expected"),
    [
        (1.005, 1, "too few workers"),
        (1.005, 2, "too few workers"),
        (1.005, 3, "more"),
        (1.018, 1, "too few workers"),
        (1.018, 2, "more"),
        (1.022, 1, "more"),
        (1 / 1.005, 2, "too few workers"),
        (1 / 1.005, 5, "less"),
        (1 / 1.018, 1, "too few workers"),
        (1 / 1.022, 1, "less"),
    ],
)
def test_a_difference_that_processes_may_explain_takes_three_of_them(
    ratio: float, workers: int, expected: str
) -> None:
    assert verdict(RatioInterval(ratio, ratio / 1.001, ratio * 1.001, 100, workers)) == expected


def test_half_widths_of_windows_and_of_processes_add_in_quadrature() -> None:
    # Of 2 % and 1.96 %: either alone would let a ratio of 1.025 pass, both together do not.
    assert verdict(RatioInterval(1.025, 1.025 / 1.02, 1.025 * 1.02, 100)) == "too few workers"
    assert verdict(RatioInterval(1.03, 1.03 / 1.02, 1.03 * 1.02, 100)) == "more"


def test_without_a_difference_more_workers_are_not_asked_for() -> None:
    assert verdict(RatioInterval(1.001, 0.999, 1.003, 100)) == "no difference seen"


@pytest.mark.parametrize("cells", [3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("blocks", [3, 10])
def test_a_true_tie_is_kept_whole(cells: int, blocks: int) -> None:
    rng = np.random.default_rng(cells)
    tables = (simulated_table(rng, blocks, np.ones(cells), 0.03) for _ in range(500))
    assert np.mean([len(best_set(table)) == cells for table in tables]) >= 0.93


def test_a_true_tie_is_kept_whole_when_one_cell_is_much_noisier() -> None:
    rng = np.random.default_rng(0)
    tables = (
        simulated_table(rng, 10, np.ones(5), np.array([0.15, 0.03, 0.03, 0.03, 0.03])) for _ in range(500)
    )
    assert np.mean([len(best_set(table)) == 5 for table in tables]) >= 0.93


def test_a_cell_that_is_a_tenth_slower_is_thrown_out_and_the_tied_ones_stay() -> None:
    rng = np.random.default_rng(0)
    sets = [best_set(simulated_table(rng, 30, np.array([1.1, 1, 1, 1, 1]), 0.05)) for _ in range(200)]
    assert np.mean([0 not in members for members in sets]) >= 0.99
    assert np.mean([members == (1, 2, 3, 4) for members in sets]) >= 0.93


@given(st.integers(0, 1000), st.integers(2, 6), st.integers(3, 12))
def test_the_lowest_is_always_a_member_of_the_best_set(seed: int, cells: int, blocks: int) -> None:
    table = simulated_table(np.random.default_rng(seed), blocks, np.linspace(1, 1.2, cells), 0.05)
    assert lowest(table) in best_set(table)


def test_equal_columns_are_all_best_and_a_constant_factor_is_not() -> None:
    column = np.array([1.0, 2.0, 3.0])
    assert best_set(np.column_stack([column, column, column * 1.03])) == (0, 1)


def test_a_true_tie_is_kept_whole_when_processes_differ() -> None:
    rng, sets, workers = np.random.default_rng(0), [], 5
    of_block = np.repeat(np.arange(workers), 6)
    for _ in range(500):
        layouts = np.exp(rng.normal(0, 0.01, (workers, 4)))
        table = simulated_table(rng, of_block.size, np.ones(4), 0.01) * layouts[of_block]
        sets.append(best_set(table, of_block.tolist()))
    assert np.mean([len(members) == 4 for members in sets]) >= 0.93


@pytest.mark.parametrize(
    ("workers", "expected"), [((0, 0, 0), (0, 1, 2)), ((0, 1, 1), (0, 1)), ((0, 1, 2), (0,))]
)
def test_a_cell_that_processes_may_explain_is_thrown_out_by_three_of_them_only(
    workers: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    column = np.array([1.0, 2.0, 3.0])
    assert best_set(np.column_stack([column, column * 1.005, column * 1.02]), workers) == expected


@pytest.mark.parametrize("freedom", [2, 9, 29])
def test_two_cells_need_no_more_than_students_t(freedom: int) -> None:
    # 10,000 simulations leave the level within 3 standard errors of 0.22 points.
    assert t.cdf(critical_t(2, freedom), freedom) == pytest.approx(0.975, abs=0.0035)


def test_more_cells_need_more_and_more_freedom_needs_less() -> None:
    assert critical_t(2, 10) < critical_t(3, 10) < critical_t(8, 10)
    assert critical_t(3, 30) < critical_t(3, 10) < critical_t(3, 3)


@given(st.floats(0.5, 4.0), st.floats(0.001, 0.5), st.integers(1, 8))
def test_above_1_for_sure_is_what_the_verdict_calls_more(ratio: float, half: float, workers: int) -> None:
    interval = RatioInterval(ratio, ratio * exp(-half), ratio * exp(half), 10, workers)
    assert exceeds(interval, 1.0) == (verdict(interval) == "more")
    assert not exceeds(interval, interval.high or 0.0)


def test_two_pairs_are_above_nothing() -> None:
    assert exceeds(RatioInterval(9.0, 8.0, 10.0, 3, 3), 7.9)
    assert not exceeds(RatioInterval(9.0, 8.0, 10.0, 3, 3), 8.1)
    assert not exceeds(RatioInterval(9.0, 8.0, 10.0, 2, 3), 1.0)
    assert not exceeds(RatioInterval(9.0, None, None, 3, 3), 1.0)
