import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, trim_mean
from scipy.stats.mstats import trimmed_mean_ci

from runner.stats.estimate import estimate_log_ratio, estimate_mean

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


def even_ends(count: int) -> Floats:
    """Returns quantiles of the standard normal distribution."""
    return np.asarray(norm.ppf((np.arange(count) + 0.5) / count))


def limits(samples: Floats) -> tuple[float, float]:
    estimate = estimate_log_ratio(samples, None)
    half = estimate.reach(0.975)
    assert half is not None
    return estimate.mean - half, estimate.mean + half


@pytest.mark.parametrize("count", [50, 55, 100])
def test_limits_are_those_of_tukey_and_mclaughlin(count: int) -> None:
    samples = 0.1 + 0.05 * np.random.default_rng(0).permutation(even_ends(count))
    cut = count // 10
    expected = trimmed_mean_ci(samples, limits=(cut / count, cut / count))
    assert estimate_log_ratio(samples, None).mean == pytest.approx(trim_mean(samples, 0.1))
    assert limits(samples) == pytest.approx(tuple(expected))


@pytest.mark.parametrize("count", [2, 49])
def test_below_fifty_values_nothing_is_cut(count: int) -> None:
    samples = np.random.default_rng(0).normal(0, 0.05, count)
    assert estimate_log_ratio(samples, None) == estimate_mean(samples, None)


def test_bursts_that_hit_both_sides_alike_are_cut() -> None:
    samples = 0.01 * even_ends(60)
    struck = samples.copy()
    struck[:3], struck[-3:] = -0.8, 0.8
    low, high = limits(struck)
    assert limits(samples) == pytest.approx((low, high))
    assert high - low < 0.006


@pytest.mark.parametrize("side", [-1, 1])
def test_windows_in_which_one_backend_is_slow_itself_count_in_full(side: int) -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.02, 100)
    typical = samples.mean()
    samples[rng.choice(100, 8, replace=False)] += side * 0.7
    assert estimate_log_ratio(samples, None).mean == samples.mean()
    low, high = limits(samples)
    assert low < min(typical, samples.mean())
    assert high > max(typical, samples.mean())


def test_what_processes_have_in_common_counts_once_in_what_is_kept_too() -> None:
    rng = np.random.default_rng(0)
    workers = [name for name in "abcde" for _ in range(10)]
    samples = np.repeat([-0.03, -0.02, 0.0, 0.02, 0.03], 10) + 0.02 * np.concatenate(
        [rng.permutation(even_ends(10)) for _ in range(5)]
    )
    alone, shared = estimate_log_ratio(samples, None), estimate_log_ratio(samples, workers)
    assert alone.mean == shared.mean
    assert alone.standard_error is not None
    assert shared.standard_error is not None
    assert shared.standard_error > 2 * alone.standard_error
    assert (alone.freedom, shared.worker_count) == (39, 5)
    assert shared.freedom == pytest.approx(4)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=80))
def test_the_mean_lies_among_the_values(logs: list[float]) -> None:
    samples = np.array(logs)
    assert samples.min() - 1e-9 <= estimate_log_ratio(samples, None).mean <= samples.max() + 1e-9
