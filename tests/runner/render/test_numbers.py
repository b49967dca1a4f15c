import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.render import numbers

SIZES = st.floats(min_value=1e-8, max_value=1e8)


@pytest.mark.parametrize(
    ("value", "half", "text"),
    [
        (2.3149, 0.06, "2.31"),
        (2.3149, 0.6, "2.3"),
        (2.3149, 0.0001, "2.315"),
        (74.3, 20.0, "74"),
        (432.7, 3.0, "433"),
        (12345.6, 10.0, "12346"),
        (2.3149, None, "2.31"),
        (2.0, 0.0, "2.00"),
        (0.0, None, "0"),
        (0.0, 0.5, "0"),
    ],
)
def test_the_interval_decides_the_digits(value: float, half: float | None, text: str) -> None:
    assert numbers.digits(value, half) == text


@given(SIZES, st.one_of(st.none(), SIZES))
def test_rounding_stays_within_the_interval_or_two_digits(value: float, half: float | None) -> None:
    error = abs(float(numbers.digits(value, half)) - value)
    coarsest = 0.051 * value  # half a unit of the second significant digit, at worst of 1.0
    assert error <= coarsest
    assert half is None or error <= max(half, 0.0051 * value)


@given(st.lists(SIZES, min_size=1))
def test_one_scale_fits_a_column(values: list[float]) -> None:
    scale = numbers.scale_for("s", tuple(values))
    assert scale.unit in {"s", "ms", "us", "ns"}
    assert min(values) / scale.base >= 1 or max(values) / scale.base >= 10 or scale.unit in {"s", "ns"}
    wide = max(values) / min(values) < 10  # within one decade no column needs five digits
    assert not wide or scale.unit == "s" or max(values) / scale.base < 10_000


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.00231, "s", "2.31 ms"),
        (2.5e-6, "s", "2.50 us"),
        (1.2, "s", "1.20 s"),
        (0.0123, "J", "12.3 mJ"),
        (4.2e-5, "J", "42.0 uJ"),
        (None, "J", "-"),
    ],
)
def test_quantities_carry_their_prefix(value: float | None, unit: str, text: str) -> None:
    assert numbers.quantity(value, unit) == text


def test_nothing_is_never_zero_and_zero_never_nothing() -> None:
    for text in (numbers.quantity(None, "J"), numbers.percent(None), numbers.scientific(None)):
        assert text == numbers.NOTHING
    for text in (
        numbers.quantity(0.0, "J"),
        numbers.percent(0.0),
        numbers.digits(0.0),
        numbers.scientific(0.0),
    ):
        assert text.startswith("0")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.984, "98.4 %"),
        (1.0, "100 %"),
        (9.994, "999 %"),
        (9.996, "1000 %"),
        (44.53, "4453 %"),
        (math.inf, "inf %"),
    ],
)
def test_a_percentage_has_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert numbers.percent(value) == text


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ((0.84, 0.80, 0.88), "0.84x [0.80, 0.88]"),
        ((1.0021, 1.0011, 1.0031), "1.002x [1.001, 1.003]"),
        ((0.0968, 0.095, 0.0999), "0.097x [0.095, 0.100]"),
        ((12.34, 11.9, 12.9), "12.3x [11.9, 12.9]"),
        ((1.08, None, None), "1.08x"),
        ((1.004, None, None), "1.004x"),
        ((0.996, None, None), "0.996x"),
    ],
)
def test_ratios(limits: tuple[float, float | None, float | None], text: str) -> None:
    assert numbers.ratio(*limits) == text


def test_a_ratio_of_which_nothing_is_known_is_only_large() -> None:
    assert numbers.ratio(1.5, 0.0, math.inf) == "1.50x [0.00, >1000]"
    assert numbers.ratio(1e300) == ">1000x"


def test_intervals_print_their_limits_as_their_mean() -> None:
    milli = numbers.Scale("ms", 1e-3)
    assert numbers.interval(0.00231, 0.00225, 0.00237, milli) == "2.31 [2.25, 2.37]"
    assert numbers.interval(0.00231, None, None, milli) == "2.31"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (48, "48 s"), (59.6, "1 min 0 s"), (252, "4 min 12 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert numbers.duration(seconds) == text


def test_what_is_no_number_is_not_hidden() -> None:
    assert numbers.digits(math.nan) == "nan"
    assert numbers.digits(math.inf, 1.0) == "inf"


def test_sizes_and_moments() -> None:
    assert numbers.moment("no time\x00") == "no time\x00"
    assert numbers.size(5_520_000) == "5.52 MB"
    assert numbers.size(85_520_809_984) == "85.5 GB"
    assert numbers.moment("2026-11-23T21:34:05+02:00") == "2026-11-23 21:34 +0200"


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ((0.02585, -0.00846, 0.06016), "+2.6 [-0.8, +6.0]"),
        ((-0.118, None, None), "-11.8"),
        ((0.0004, -0.0103, 0.0111), "+0.04 [-1.03, +1.11]"),
        ((None, None, None), "-"),
    ],
)
def test_points_are_differences_with_their_sign(
    limits: tuple[float | None, float | None, float | None], text: str
) -> None:
    assert numbers.points(*limits) == text


def test_limits_that_a_file_has_the_wrong_way_round_are_shown_as_they_stand() -> None:
    assert numbers.interval(2.0, 3.0, 1.0, numbers.scale_for("s", (2.0,))) == "2.00 [3.00, 1.00]"
