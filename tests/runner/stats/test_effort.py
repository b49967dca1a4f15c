from math import exp, sqrt

from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import t

from runner.stats.effort import blocks_needed
from runner.stats.intervals import RatioInterval


def seen(spread: float, count: int, each: int = 1) -> RatioInterval:
    """Return a ratio as so many pairs of workers of this spread, with so many blocks each, would know it."""
    half = float(t.ppf(0.975, count - 1)) * spread / sqrt(count)
    return RatioInterval(1.0, exp(-half), exp(half), count * each, count if each > 1 else 1)


@given(st.floats(0.01, 1), st.integers(3, 50), st.floats(0.005, 0.1), st.integers(1, 4))
@example(spread=0.02, count=3, target_ratio=0.03, each=1)  # the normal quantile promises 2 blocks
def test_the_blocks_that_are_promised_reach_the_target_and_one_less_does_not(
    spread: float, count: int, target_ratio: float, each: int
) -> None:
    needed = blocks_needed(seen(spread, count, each), target_ratio)
    assert needed % each == 0
    sets = needed // each
    assert seen(spread, sets).half_width_ratio <= target_ratio * (1 + 1e-6)
    assert sets == 2 or seen(spread, sets - 1).half_width_ratio > target_ratio * (1 - 1e-6)


@given(st.integers(3, 100), st.floats(1.01, 100), st.floats(0.005, 0.1), st.integers(1, 4))
def test_more_blocks_are_promised_than_have_missed_the_target(
    count: int, excess_ratio: float, target_ratio: float, each: int
) -> None:
    factor = 1 + excess_ratio * target_ratio
    missed = RatioInterval(1.0, 1 / factor, factor, count * each, count if each > 1 else 1)
    assert blocks_needed(missed, target_ratio) > count * each
