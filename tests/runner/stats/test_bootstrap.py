import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from runner.stats.bootstrap import LEAST_WINDOWS, quantile_limits


def simulated(rng: np.random.Generator, windows: int, inferences: int = 20) -> list[NDArray[np.float64]]:
    """Returns windows of a machine whose speed differs by 10 % between them, and by 5 % within."""
    speeds = rng.normal(0, 0.1, (windows, 1))
    return list(np.exp(speeds + rng.normal(0, 0.05, (windows, inferences))))


@pytest.mark.parametrize("p", [0.5, 0.9])
def test_the_limits_hold_the_true_quantile_although_a_windows_values_resemble_each_other(p: float) -> None:
    rng = np.random.default_rng(0)
    truth = np.quantile(np.concatenate(simulated(rng, 100_000)), p)
    limits = [quantile_limits(simulated(rng, LEAST_WINDOWS), p) for _ in range(200)]
    assert np.mean([found is not None and found[0] <= truth <= found[1] for found in limits]) >= 0.9


def test_fewer_windows_have_no_limits() -> None:
    windows = simulated(np.random.default_rng(0), LEAST_WINDOWS)
    assert quantile_limits(windows, 0.5)
    assert quantile_limits(windows[1:], 0.5) is None


@given(st.integers(0, 1000), st.sampled_from([0.5, 0.9]), st.floats(0.1, 10))
def test_limits_enclose_the_quantile_and_scale_with_the_values(seed: int, p: float, factor: float) -> None:
    windows = simulated(np.random.default_rng(seed), 40)
    limits = quantile_limits(windows, p)
    assert limits
    assert limits[0] <= np.quantile(np.concatenate(windows), p) <= limits[1]
    assert quantile_limits([each * factor for each in windows], p) == pytest.approx(
        (limits[0] * factor, limits[1] * factor)
    )


def test_windows_of_unequal_length_count_by_their_values() -> None:
    windows = [*([np.full(100, 1.0)] * 15), *([np.full(1, 2.0)] * 15)]
    assert quantile_limits(windows, 0.5) == (1.0, 1.0)
