from math import ulp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.units import duration_text, parse_duration_s, parse_percent_ratio


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("200ms", 0.2), ("30s", 30), ("5m", 300), ("1.5 S", 1.5), (" 90s ", 90), ("0.5M", 30)],
)
def test_a_duration_is_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration_s(text, "--time-budget") == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "s", "5h", "-5s", "0s", "0.0ms", "5s5s", "1e3s", "five s", "nan s", "9" * 400 + "s"]
)
def test_what_is_no_positive_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"expected a positive number with ms, s or m, got .*for example 200ms"
    ):
        parse_duration_s(text, "--time-budget")


@given(st.integers(1, 10**9))
def test_milliseconds_are_the_same_number_as_their_seconds(number: int) -> None:
    assert parse_duration_s(f"{number}ms", "--time-budget") == number / 1000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.05, "50ms"),
        (0.009, "9ms"),
        (0.0005, "0.5ms"),
        (1e-9, "0.000001ms"),
        (1 - ulp(0.5), "999.9999999999999ms"),
        (1.0, "1s"),
        (1, "1s"),
        (1.5, "1.5s"),
        (1.2345678, "1.2345678s"),
        (100.0, "100s"),
        (1e6, "1000000s"),
        (1234567.5, "1234567.5s"),
        (1e22, "10000000000000000000000s"),
        (np.float64(0.2), "200ms"),
    ],
)
def test_a_duration_is_written_to_its_last_digit_and_without_an_exponent(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False))
def test_a_duration_is_read_as_it_was_written(seconds: float) -> None:
    assert parse_duration_s(duration_text(seconds), "--time-budget") == seconds


@pytest.mark.parametrize(("text", "ratio"), [("2%", 0.02), ("0.5 %", 0.005), (" 99.9%", 0.999)])
def test_a_percentage_is_a_ratio(text: str, ratio: float) -> None:
    assert parse_percent_ratio(text, "--target-ci") == pytest.approx(ratio)


@pytest.mark.parametrize("text", ["", "2", "0.02", "0%", "100%", "-2%", "%", "two%", "2%%"])
def test_what_is_no_percentage_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"above 0 and below 100 with a percent sign, got .*for example 2%"):
        parse_percent_ratio(text, "--target-ci")


@given(st.integers(1, 10**6), st.sampled_from(["ms", "s", "m"]))
def test_a_thousand_milliseconds_are_a_second(number: int, unit: str) -> None:
    assert parse_duration_s(f"{number}s", "--time-budget") == pytest.approx(
        parse_duration_s(f"{number * 1000}ms", "--time-budget")
    )
    assert parse_duration_s(f"{number}m", "--time-budget") == pytest.approx(
        60 * parse_duration_s(f"{number}s", "--time-budget")
    )
    assert parse_duration_s(f"{number}{unit}", "--time-budget") > 0
