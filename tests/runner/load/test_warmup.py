from itertools import chain, count, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.load.warmup import STRETCH_S, VISIT_S, WarmUpRule, warm_up, warm_visit

QUICK = WarmUpRule(2, 1.0, steady=False)


class Simulated:
    """A network whose inferences take what was written down, on a clock that only they move."""

    def __init__(self, *durations_s: float, then_s: float | None = None) -> None:
        rest = () if then_s is None else repeat(then_s)
        self.durations_s = chain(durations_s, rest)
        self.now_s, self.runs = 100.0, 0

    def run(self) -> None:
        self.now_s += next(self.durations_s)
        self.runs += 1

    def clock(self) -> float:
        return self.now_s


def _steady(cap_s: float) -> WarmUpRule:
    return WarmUpRule(2, cap_s, steady=True)


def test_a_quick_warm_up_is_two_inferences() -> None:
    network = Simulated(0.4, 0.2, 0.2)
    done = warm_up(network.run, QUICK, network.clock)
    assert network.runs == done.inferences == 2
    assert done.inference_s == pytest.approx(0.2)
    assert not done.unsteady


def test_a_quick_warm_up_of_a_slow_network_is_one_inference() -> None:
    network = Simulated(1.5, 1.5)
    done = warm_up(network.run, QUICK, network.clock)
    assert (network.runs, done.inferences) == (1, 1)
    assert done.inference_s == pytest.approx(1.5)


def test_a_steady_network_is_warm_after_five_stretches() -> None:
    network = Simulated(then_s=0.1)
    done = warm_up(network.run, _steady(10), network.clock)
    assert not done.unsteady
    assert done.inferences == network.runs
    assert done.inference_s == pytest.approx(0.1)
    assert network.now_s - 100 == pytest.approx(5 * STRETCH_S, abs=5 * 0.1)


def test_a_stretch_of_a_slow_network_is_two_inferences() -> None:
    network = Simulated(then_s=3.0)
    done = warm_up(network.run, _steady(60), network.clock)
    assert (done.inferences, done.unsteady) == (10, False)


@pytest.mark.parametrize(("rule", "inference_s"), [(QUICK, 0.1), (_steady(10), 0.0625), (_steady(60), 3.0)])
def test_the_least_a_warm_up_takes_is_what_a_calm_network_takes(rule: WarmUpRule, inference_s: float) -> None:
    network = Simulated(then_s=inference_s)
    warm_up(network.run, rule, network.clock)
    assert network.now_s - 100 == pytest.approx(rule.least_s(inference_s))


def test_the_least_a_warm_up_takes_is_no_more_than_its_cap() -> None:
    assert QUICK.least_s(3.0) == QUICK.cap_s
    assert _steady(10).least_s(3.0) == 10


def test_a_network_that_is_slow_at_first_is_waited_for() -> None:
    network = Simulated(*(0.5,) * 4, then_s=0.1)
    done = warm_up(network.run, _steady(10), network.clock)
    assert not done.unsteady
    assert done.inference_s == pytest.approx(0.1)  # the prediction is that of the last stretch
    assert done.inferences > 4 + 4 * STRETCH_S / 0.1


def test_a_network_that_never_settles_is_capped_and_says_so() -> None:
    network = Simulated()
    network.durations_s = chain(0.1 * 1.05**step for step in count())
    done = warm_up(network.run, _steady(10), network.clock)
    assert done.unsteady
    assert done.inferences == network.runs
    assert network.now_s - 100 >= 10


def test_even_a_cap_of_nothing_runs_one_stretch() -> None:
    network = Simulated(then_s=5.0)
    done = warm_up(network.run, _steady(0.001), network.clock)
    assert (done.inferences, done.unsteady) == (2, False)


def test_a_cap_too_short_to_see_a_steady_state_does_not_blame_the_machine() -> None:
    """Three stretches of batches that take seconds cannot tell whether the machine is steady."""
    network = Simulated()
    network.durations_s = chain(2.0 * 1.05**step for step in count())
    done = warm_up(network.run, _steady(10), network.clock)
    assert (done.inferences, done.unsteady) == (6, False)


@pytest.mark.parametrize(("inference_s", "expected"), [(VISIT_S / 2.5, 3), (VISIT_S / 2, 2), (0.3, 1)])
def test_a_visit_begins_with_one_inference_or_20_ms(inference_s: float, expected: int) -> None:
    network = Simulated(then_s=inference_s)
    warm_visit(network.run, network.clock)
    assert network.runs == expected


@given(st.lists(st.floats(0.001, 2), min_size=1, max_size=30))
def test_a_visit_runs_at_least_once_and_stops_as_soon_as_the_time_is_over(durations_s: list[float]) -> None:
    network = Simulated(*durations_s, then_s=1.0)
    ends_s: list[float] = []

    def run() -> None:
        network.run()
        ends_s.append(network.now_s)

    warm_visit(run, network.clock)
    assert ends_s
    assert all(end_s < 100 + VISIT_S for end_s in ends_s[:-1])
    assert ends_s[-1] >= 100 + VISIT_S


@pytest.mark.parametrize("rule", [QUICK, _steady(10)])
def test_what_the_network_raises_ends_the_warm_up(rule: WarmUpRule) -> None:
    with pytest.raises(ZeroDivisionError):
        warm_up(lambda: 1 // 0, rule)


def test_a_machine_that_slept_before_the_first_inference_still_runs_one() -> None:
    network = Simulated(then_s=0.1)
    readings_s = chain([0.0], count(1000.0))
    assert warm_up(network.run, QUICK, lambda: next(readings_s)).inferences == network.runs == 1
