import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.stats.intervals import mean_interval, minimum_detectable_ratio, ratio_interval

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
    noise = rng.normal(0, 0.05, blocks)
    # Scaled so that its sample spread is exactly 0.05: then the promise is about runs with this true spread.
    noise *= 0.05 / noise.std(ddof=1)
    detectable = minimum_detectable_ratio(np.exp(noise), np.ones(blocks))
    assert detectable is not None
    runs = [
        ratio_interval(detectable * np.exp(rng.normal(0, 0.05, blocks)), np.ones(blocks)) for _ in range(2000)
    ]
    detected = np.mean([run.low is not None and run.low > 1 for run in runs])
    assert 0.76 < detected < 0.84
