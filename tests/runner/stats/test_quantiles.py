from math import exp

from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit

from runner.stats.quantiles import TABLE_STEPS, log_t_table


def _interpolated(freedom: float) -> float:
    """Return the quantile as the page of an archive does: a cubic through the four nearest."""
    table, at = log_t_table(), TABLE_STEPS / freedom
    first = min(max(int(at) - 1, 0), TABLE_STEPS - 3)
    places = range(first, first + 4)
    total = 0.0
    for own in places:
        weight = 1.0
        for other in places:
            weight *= 1 if own == other else (at - other) / (own - other)
        total += weight * table[own]
    return exp(total)


@given(st.floats(1, 1e7))
def test_between_its_entries_the_table_is_right_to_eight_digits(freedom: float) -> None:
    right = float(stdtrit(freedom, 0.975))
    assert abs(_interpolated(freedom) / right - 1) < 1e-8
