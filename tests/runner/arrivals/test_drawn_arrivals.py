from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from runner.arrivals.burst import BURST_REQUESTS, OFF_S, ON_S
from runner.arrivals.interface import Arrivals, Rates
from runner.arrivals.registry import ARRIVALS, parse_arrivals
from runner.errors import UsageError

DRAWN = tuple(name for name, kind in ARRIVALS.items() if name == kind.form.partition("[")[0])
RATE_HZ = 32.0
COUNT = 20_000
LIKELY = 0.01
"""Kolmogorov-Smirnov p values of these seeds lie above, those of a wrong distribution far below 1e-9."""

drawn = st.sampled_from(DRAWN).map(parse_arrivals)
rates_hz = st.floats(1e-3, 1e6)
seeds = st.integers(0, 2**32)


def rng(seed: int = 4) -> np.random.Generator:
    return np.random.default_rng(seed)


def gaps_s(spec: str, count: int = COUNT, seed: int = 4) -> NDArray[np.float64]:
    return np.diff(parse_arrivals(spec).times_s(RATE_HZ, count, rng(seed)), prepend=0.0)


def concatenated(
    arrivals: Arrivals, rates_hz: Rates, rows: int, size: int, number: int
) -> NDArray[np.float64]:
    return np.concatenate(list(islice(arrivals.chunks(rates_hz, rows, size, rng()), number)), axis=1)


def interrupted_poisson_gaps(mean_requests: int, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Gaps in mean gaps of a process that is simulated switch by switch, without any theory of its gaps."""
    on_rate = (ON_S + OFF_S) / ON_S
    on_mean = mean_requests / on_rate
    off_mean = on_mean * OFF_S / ON_S
    moments: list[float] = []
    now, on_ends = 0.0, rng.exponential(on_mean)
    while len(moments) < count:
        now += rng.exponential(1 / on_rate)
        while now > on_ends:
            begins = on_ends + rng.exponential(off_mean)
            on_ends = begins + rng.exponential(on_mean)
            now = begins + rng.exponential(1 / on_rate)
        moments.append(now)
    return np.diff(np.asarray(moments), prepend=0.0)


def test_all_but_traces_are_drawn() -> None:
    assert set(ARRIVALS) - set(DRAWN) == {"trace"}
    for spec in DRAWN:
        arrivals = parse_arrivals(spec)
        assert arrivals.takes_rate
        assert arrivals.available is None


@pytest.mark.parametrize(("spec", "deviation"), [("uniform", 0.4 / 12**0.5), ("poisson", 1), ("constant", 0)])
def test_the_mean_rate_is_what_was_asked_for(spec: str, deviation: float) -> None:
    in_periods = gaps_s(spec) * RATE_HZ
    four_standard_errors = 4 * deviation / COUNT**0.5
    assert in_periods.mean() == pytest.approx(1, abs=max(four_standard_errors, 1e-9))
    assert in_periods.std() == pytest.approx(deviation, rel=0.05, abs=1e-9)


@pytest.mark.parametrize("mean_requests", [1, 5, BURST_REQUESTS])
def test_bursts_have_the_mean_rate_and_the_variance_of_an_interrupted_poisson_process(
    mean_requests: int,
) -> None:
    in_periods = gaps_s(f"burst:{mean_requests}", 400_000) * RATE_HZ
    silence_ratio = OFF_S / (ON_S + OFF_S)
    squared_variation = 1 + 2 * mean_requests * silence_ratio**2
    assert in_periods.mean() == pytest.approx(1, abs=4 * (squared_variation / in_periods.size) ** 0.5)
    assert in_periods.var() == pytest.approx(squared_variation, rel=0.06)


def test_uniform_gaps_lie_evenly_within_a_fifth_of_the_period() -> None:
    in_periods = gaps_s("uniform") * RATE_HZ
    assert in_periods.min() >= 0.8 - 1e-9
    assert in_periods.max() <= 1.2 + 1e-9
    assert stats.kstest(in_periods, "uniform", args=(0.8, 0.4)).pvalue > LIKELY


def test_poisson_gaps_are_exponential() -> None:
    assert stats.kstest(gaps_s("poisson") * RATE_HZ, "expon").pvalue > LIKELY


@pytest.mark.parametrize("mean_requests", [1, 5, BURST_REQUESTS])
def test_bursts_are_an_interrupted_poisson_process_simulated_switch_by_switch(mean_requests: int) -> None:
    expected = interrupted_poisson_gaps(mean_requests, COUNT, rng(11))
    drawn = gaps_s(f"burst:{mean_requests}") * RATE_HZ
    assert stats.ks_2samp(drawn, expected).pvalue > LIKELY
    other = gaps_s(f"burst:{10 * mean_requests}") * RATE_HZ
    assert stats.ks_2samp(other, expected).pvalue < 1e-9
    # Only gaps that are independent in both have sums of one distribution.
    in_tens = (gaps.reshape(-1, 10).sum(axis=1) for gaps in (drawn, expected))
    assert stats.ks_2samp(*in_tens).pvalue > LIKELY


@pytest.mark.parametrize("spec", DRAWN)
def test_gaps_across_chunks_are_like_all_others(spec: str) -> None:
    times_s = concatenated(parse_arrivals(spec), RATE_HZ, rows=5000, size=2, number=3)
    gaps = np.diff(times_s, axis=1, prepend=0.0)
    across, within = gaps[:, ::2].ravel(), gaps[:, 1::2].ravel()
    if spec == "constant":
        assert across == pytest.approx(1 / RATE_HZ)
    else:
        assert stats.ks_2samp(across, within).pvalue > LIKELY


@given(rate_hz=rates_hz, size=st.integers(1, 50), number=st.integers(1, 20))
def test_constant_arrivals_never_drift_however_the_chunks_are_cut(
    rate_hz: float, size: int, number: int
) -> None:
    times_s = concatenated(parse_arrivals("constant"), rate_hz, rows=2, size=size, number=number)
    exact_s = np.arange(1, size * number + 1) / rate_hz
    assert times_s.tolist() == [exact_s.tolist()] * 2


def test_a_million_periods_that_no_float_holds_end_where_they_must() -> None:
    assert parse_arrivals("constant").times_s(30.0, 10**6, rng())[-1] == 10**6 / 30


@given(
    arrivals=drawn,
    rate_hz=rates_hz,
    rows=st.integers(1, 5),
    size=st.integers(1, 30),
    number=st.integers(1, 5),
)
def test_times_ascend_from_the_first_gap_on_and_across_chunks(
    arrivals: Arrivals, rate_hz: float, rows: int, size: int, number: int
) -> None:
    times_s = concatenated(arrivals, rate_hz, rows, size, number)
    assert times_s.shape == (rows, size * number)
    assert times_s.dtype == np.float64
    assert (times_s[:, 0] > 0).all()
    assert (np.diff(times_s, axis=1) >= 0).all()


@given(arrivals=drawn, rate_hz=rates_hz, count=st.integers(1, 200), seed=seeds)
def test_the_live_queue_and_a_row_of_the_twin_see_the_same_arrivals(
    arrivals: Arrivals, rate_hz: float, count: int, seed: int
) -> None:
    alone_s = arrivals.times_s(rate_hz, count, rng(seed))
    assert alone_s.shape == (count,)
    assert alone_s.tolist() == next(arrivals.chunks(rate_hz, 1, count, rng(seed)))[0].tolist()


@given(arrivals=drawn, seed=seeds)
def test_equal_seeds_give_equal_arrivals_and_others_do_not(arrivals: Arrivals, seed: int) -> None:
    again = parse_arrivals(arrivals.spec)
    assert again == arrivals
    times_s = arrivals.times_s(RATE_HZ, 50, rng(seed)).tolist()
    assert times_s == again.times_s(RATE_HZ, 50, rng(seed)).tolist()
    other_s = arrivals.times_s(RATE_HZ, 50, rng(seed + 1)).tolist()
    assert (times_s == other_s) == (arrivals.spec == "constant")


@given(arrivals=drawn, rate_hz=rates_hz, factor=st.floats(1e-3, 1e3), seed=seeds)
def test_one_seed_gives_one_pattern_stretched_by_the_rate(
    arrivals: Arrivals, rate_hz: float, factor: float, seed: int
) -> None:
    slow_s = arrivals.times_s(rate_hz, 50, rng(seed))
    fast_s = arrivals.times_s(rate_hz * factor, 50, rng(seed))
    assert fast_s * factor == pytest.approx(slow_s, rel=1e-12)


def test_rows_may_differ_in_rate_and_are_independent() -> None:
    rates_hz = np.array([1.0, 10.0, 100.0])
    times_s = concatenated(parse_arrivals("poisson"), rates_hz, rows=3, size=4096, number=4)
    gaps = np.diff(times_s * rates_hz[:, np.newaxis], axis=1)
    assert gaps.mean(axis=1) == pytest.approx([1, 1, 1], abs=4 / gaps.shape[1] ** 0.5)
    between_rows = np.corrcoef(gaps)[np.triu_indices(3, 1)]
    assert np.abs(between_rows).max() < 4 / gaps.shape[1] ** 0.5


@pytest.mark.parametrize("spec", DRAWN)
def test_a_chunk_is_the_caller_s_to_change(spec: str) -> None:
    chunks = parse_arrivals(spec).chunks(RATE_HZ, 2, 10, rng())
    first, kept = next(chunks), next(parse_arrivals(spec).chunks(RATE_HZ, 2, 10, rng()))
    assert first.tolist() == kept.tolist()
    first[:] = -1e9
    assert (next(chunks)[:, 0] > kept[:, -1]).all()


@pytest.mark.parametrize(
    ("rate_hz", "got"),
    [
        (None, "none"),
        (0.0, "0"),
        (-32.0, "-32"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        (np.array([32.0, -1.5]), "-1.5"),
    ],
)
def test_a_rate_that_is_missing_or_not_above_zero_is_refused_before_the_first_chunk(
    rate_hz: Rates, got: str
) -> None:
    arrivals = parse_arrivals("burst")
    message = (
        f"Cannot draw burst:22 arrivals: expected a request rate above 0, got {got}. "
        "Pass for example --request-rate 32."
    )
    with pytest.raises(UsageError) as caught:
        arrivals.chunks(rate_hz, 2, 10, rng())
    assert str(caught.value) == message
    with pytest.raises(UsageError) as caught:
        arrivals.times_s(rate_hz, 10, rng())
    assert (str(caught.value), caught.value.exit_code) == (message, 2)
