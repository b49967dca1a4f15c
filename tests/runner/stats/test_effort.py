from math import exp, sqrt

from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import t

from runner.stats.effort import blocks_needed


def width_ratio(spread: float, blocks: int) -> float:
    """Return the half-width of a ratio from so many pairs of this spread, as reports mean it."""
    return exp(float(t.ppf(0.975, blocks - 1)) * spread / sqrt(blocks)) - 1


@given(st.floats(0.01, 1), st.integers(3, 50), st.floats(0.005, 0.1))
@example(spread=0.02, blocks=3, target_ratio=0.03)  # the normal quantile promises 2 blocks
def test_the_blocks_that_are_promised_reach_the_target_and_one_less_does_not(
    spread: float, blocks: int, target_ratio: float
) -> None:
    needed = blocks_needed(width_ratio(spread, blocks), blocks, target_ratio)
    assert width_ratio(spread, needed) <= target_ratio * (1 + 1e-6)
    assert needed == 2 or width_ratio(spread, needed - 1) > target_ratio * (1 - 1e-6)


@given(st.integers(3, 100), st.floats(1.01, 100), st.floats(0.005, 0.1))
def test_more_blocks_are_promised_than_have_missed_the_target(
    blocks: int, excess_ratio: float, target_ratio: float
) -> None:
    assert blocks_needed(excess_ratio * target_ratio, blocks, target_ratio) > blocks
