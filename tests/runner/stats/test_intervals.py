from math import exp, hypot, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t, ttest_1samp

from runner.stats.compare import verdict
from runner.stats.intervals import (
    LAYOUT_SD,
    RatioInterval,
    mean_interval,
    minimum_detectable_ratio,
    ratio_interval,
)

SLEEP_HOURS = (1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4)
"""Student, The Probable Error of a Mean, Biometrika 6 (1908): hours gained with one drug over the other"""

PAIRS = st.lists(st.tuples(st.floats(1e-4, 10), st.floats(1e-4, 10)), min_size=2, max_size=30)


def test_the_t_interval_is_that_of_students_own_data() -> None:
    interval = mean_interval(SLEEP_HOURS)
    # The limits as printed by R's t.test on its data set "sleep".
    assert interval.mean == pytest.approx(1.58)
    assert interval.low == pytest.approx(0.7001142)
    assert interval.high == pytest.approx(2.4598858)


def test_one_value_has_a_mean_and_no_limits() -> None:
    interval = mean_interval([3.0])
    assert (interval.mean, interval.low, interval.high) == (3.0, None, None)
    ratio = ratio_interval([3.0], [2.0])
    assert ratio.ratio == pytest.approx(1.5)
    assert (ratio.low, ratio.high, ratio.pair_count) == (None, None, 1)
    assert minimum_detectable_ratio([3.0], [2.0]) is None


@given(PAIRS)
def test_turning_a_ratio_round_gives_its_reciprocal(pairs: list[tuple[float, float]]) -> None:
    values, baseline = zip(*pairs, strict=True)
    forth, back = ratio_interval(values, baseline), ratio_interval(baseline, values)
    assert forth.ratio * back.ratio == pytest.approx(1)
    assert forth.low is not None
    assert back.high is not None
    assert forth.low * back.high == pytest.approx(1)


@given(PAIRS, st.data())
def test_what_a_block_does_to_both_sides_leaves_the_ratio_alone(
    pairs: list[tuple[float, float]], data: st.DataObject
) -> None:
    speeds = data.draw(st.lists(st.floats(0.1, 10), min_size=len(pairs), max_size=len(pairs)))
    calm = ratio_interval(*zip(*pairs, strict=True))
    drifting = ratio_interval(
        *zip(*((a * s, b * s) for (a, b), s in zip(pairs, speeds, strict=True)), strict=True)
    )
    assert (drifting.ratio, drifting.low, drifting.high) == pytest.approx(
        (calm.ratio, calm.low, calm.high), rel=1e-6
    )


@given(st.floats(0.01, 100), st.integers(2, 20))
def test_a_constant_factor_is_the_ratio_without_any_width(factor: float, count: int) -> None:
    baseline = np.linspace(1, 2, count)
    interval = ratio_interval(baseline * factor, baseline)
    assert (interval.ratio, interval.low, interval.high) == pytest.approx((factor,) * 3, rel=1e-9)


@pytest.mark.parametrize("blocks", [5, 10, 30])
def test_the_minimum_detectable_ratio_is_detected_in_four_of_five_runs(blocks: int) -> None:
    rng = np.random.default_rng(1)
    # Fresh processes for every block: their layouts are part of its noise. A run promises by the spread that it saw.
    promised = [
        minimum_detectable_ratio(np.exp(noise), np.ones(blocks), range(blocks))
        for noise in rng.normal(0, 0.05, (500, blocks))
    ]
    detectable = exp(np.sqrt(np.mean([log(ratio) ** 2 for ratio in promised if ratio is not None])))
    runs = [
        ratio_interval(detectable * np.exp(rng.normal(0, 0.05, blocks)), np.ones(blocks), range(blocks))
        for _ in range(2000)
    ]
    assert 0.76 < np.mean([verdict(run) == "more" for run in runs]) < 0.84


def layout_runs(workers: int, blocks: int, ratio: float) -> list[RatioInterval]:
    """Returns runs whose processes differ by their layouts, and whose blocks scatter by 2 %."""
    rng = np.random.default_rng(workers)
    of_block = np.arange(blocks) * workers // blocks
    return [
        ratio_interval(
            ratio * np.exp(rng.normal(0, LAYOUT_SD, workers)[of_block] + rng.normal(0, 0.02, blocks)),
            np.ones(blocks),
            of_block.tolist(),
        )
        for _ in range(2000)
    ]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("blocks", [10, 30])
def test_fewer_than_three_processes_claim_what_is_not_there_in_one_of_twenty_runs(
    blocks: int, workers: int
) -> None:
    runs = layout_runs(workers, blocks, 1.0)
    assert np.mean([verdict(run) in {"less", "more"} for run in runs]) < 0.06
    # Without the layout in it they would.
    assert (
        np.mean([run.low is not None and run.high is not None and not run.low < 1 < run.high for run in runs])
        > 0.07
    )


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("blocks", [10, 30])
def test_the_minimum_detectable_ratio_of_few_processes_is_claimed_in_four_of_five_runs(
    blocks: int, workers: int
) -> None:
    of_block = (np.arange(blocks) * workers // blocks).tolist()
    promised = [
        minimum_detectable_ratio(np.exp(noise), np.ones(blocks), of_block)
        for noise in np.random.default_rng(0).normal(0, 0.02, (500, blocks))
    ]
    detectable = exp(np.sqrt(np.mean([log(ratio) ** 2 for ratio in promised if ratio is not None])))
    claimed = np.mean([verdict(run) == "more" for run in layout_runs(workers, blocks, detectable)])
    assert 0.74 < claimed < 0.84


def as_limits(logs: np.ndarray[tuple[int], np.dtype[np.float64]], workers: list[str]) -> tuple[float, float]:
    interval = ratio_interval(np.exp(logs), np.ones(logs.size), workers)
    assert interval.low is not None
    assert interval.high is not None
    return float(np.log(interval.low)), float(np.log(interval.high))


def test_equal_shares_of_workers_that_differ_are_a_t_test_of_their_means() -> None:
    rng = np.random.default_rng(0)
    means = np.array([0.0, 0.1, 0.3, 0.15])
    logs = (means[:, None] + rng.normal(0, 0.01, (4, 2))).ravel()
    low, high = ttest_1samp(logs.reshape(4, 2).mean(axis=1), 0).confidence_interval(0.95)
    assert as_limits(logs, [name for name in "abcd" for _ in range(2)]) == pytest.approx((low, high))


def test_pairs_of_windows_and_of_workers_are_counted_apart() -> None:
    logs = np.array([0.1, -0.1, 0.2, -0.2, 0.3, -0.3])
    workers = ["a", "a", "b", "b", "c", "c"]
    interval = ratio_interval(np.exp(logs), np.ones(6), workers)
    assert (interval.pair_count, interval.worker_count) == (6, 3)


def test_unequal_shares_take_the_textbooks_estimate_of_clusters() -> None:
    # Worked by hand: sizes 1, 2 and 3 of the values below.
    logs = np.array([0.0, 0.3, 0.5, 0.7, 0.8, 0.9])
    mean = logs.mean()
    squares = (1 * (0 - mean)) ** 2 + (2 * (0.4 - mean)) ** 2 + (3 * (0.8 - mean)) ** 2
    effective = 36 / 14  # of 3
    error = (squares / 36 / (1 - 1 / effective)) ** 0.5
    half = t.ppf(0.975, effective - 1) * error
    assert as_limits(logs, list("abbccc")) == pytest.approx((mean - half, mean + half))


@pytest.mark.parametrize("workers", [["a"] * 6, ["a", "a", "a", "b", "b", "b"], list("abcdef")])
def test_one_or_two_workers_or_one_for_every_pair_are_the_plain_interval(workers: list[str]) -> None:
    logs = np.array([0.0, 0.3, 0.5, 0.7, 0.8, 0.9])
    low, high = ttest_1samp(logs, 0).confidence_interval(0.95)
    assert as_limits(logs, workers) == pytest.approx((low, high))


@pytest.mark.parametrize("seed", range(10))
def test_neither_the_order_nor_the_names_of_workers_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, baseline = rng.uniform(1, 2, (2, 20))
    workers, order = rng.integers(0, 4, 20), rng.permutation(20)
    one = ratio_interval(values, baseline, workers.tolist())
    other = ratio_interval(values[order], baseline[order], [f"worker {name}" for name in workers[order]])
    assert one.worker_count == other.worker_count == 4
    assert (one.ratio, one.low, one.high) == pytest.approx((other.ratio, other.low, other.high))


@pytest.mark.parametrize(
    ("workers", "layouts"), [(1, norm.ppf(0.975)), (2, norm.ppf(0.975) / 2**0.5), (3, 0)]
)
@pytest.mark.parametrize("half_log", [0.0, 0.005, 0.08])
def test_a_claim_holds_for_other_processes_too(workers: int, layouts: float, half_log: float) -> None:
    interval = RatioInterval(1.2, 1.2 * exp(-half_log), 1.2 * exp(half_log), 10, workers)
    assert interval.claimed_log == pytest.approx(hypot(half_log, layouts * 0.01), abs=1e-8)


def test_without_limits_there_is_nothing_to_claim() -> None:
    assert ratio_interval([3.0], [2.0]).claimed_log is None


def test_what_processes_may_explain_is_detectable_by_three_of_them_only() -> None:
    values, baseline = np.exp([0.0, 1e-4] * 6), np.ones(12)
    powered = norm.ppf(0.975) + norm.ppf(0.8)
    for workers, expected in (
        (None, powered),
        (["a"] * 12, powered),
        (list("aaaaaabbbbbb"), powered / 2**0.5),
    ):
        detectable = minimum_detectable_ratio(values, baseline, workers)
        assert detectable is not None
        assert log(detectable) == pytest.approx(expected * 0.01, rel=1e-3)
    detectable = minimum_detectable_ratio(values, baseline, list("aaaabbbbcccc"))
    assert detectable is not None
    assert log(detectable) < 0.01 * powered / 3**0.5
