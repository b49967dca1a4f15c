"""One-sided limits of paired ratios."""

import numpy as np
import pytest

from runner.stats.intervals import RatioInterval, ratio_interval
from runner.stats.onesided import one_sided


def test_at_half_of_five_percent_they_are_those_of_the_interval() -> None:
    rng = np.random.default_rng(0)
    workers = [place // 4 for place in range(20)]
    interval = ratio_interval(rng.lognormal(0.1, 0.1, 20), rng.lognormal(0, 0.1, 20), workers)
    bounds = one_sided(interval, 0.025)
    assert bounds
    assert (bounds.low, bounds.high) == pytest.approx((interval.low, interval.high))


def test_the_rarer_an_error_the_wider() -> None:
    interval = RatioInterval(1.2, 1.1, 1.31, 10, 5)
    wide, narrow = one_sided(interval, 0.001), one_sided(interval, 0.05)
    assert wide
    assert narrow
    assert wide.low < narrow.low < 1.2 < narrow.high < wide.high


def test_one_pair_of_processes_proves_no_percent() -> None:
    interval = RatioInterval(1.005, 1.004, 1.006, 100, 1)
    bounds = one_sided(interval, 0.05)
    assert bounds
    assert bounds.low < 1


def test_two_pairs_of_windows_say_nothing() -> None:
    assert one_sided(RatioInterval(1.2, 1.1, 1.31, 2, 1), 0.05) is None
    assert one_sided(RatioInterval(1.2, None, None, 1, 1), 0.05) is None
