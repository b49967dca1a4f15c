from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.budget import Budget

needs = st.lists(st.floats(0.1, 1000), min_size=1, max_size=6)


def test_a_model_of_which_nothing_is_measured_needs_nothing() -> None:
    budget = Budget(100, [10, 0])
    budget.begin_model()
    budget.begin_model()
    assert budget.for_needs_s == pytest.approx(100, abs=1)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@given(needs)
def test_without_a_budget_nothing_is_limited(predicted_s: list[float]) -> None:
    budget = Budget(None, predicted_s)
    for _ in predicted_s:
        budget.begin_model()
        assert budget.for_needs_s == budget.for_more_s == inf


@given(needs, st.floats(1, 5000))
def test_models_that_use_up_their_shares_use_up_the_budget(predicted_s: list[float], total_s: float) -> None:
    clock = Clock()
    budget = Budget(total_s, predicted_s, clock)
    shares_s = []
    for _ in predicted_s:
        budget.begin_model()
        shares_s.append(budget.for_more_s)
        clock.now_s += shares_s[-1]
        assert budget.for_more_s == pytest.approx(0, abs=1e-6)
    assert clock.now_s == pytest.approx(1000 + total_s)
    if total_s >= sum(predicted_s):
        assert shares_s == pytest.approx([own_s * total_s / sum(predicted_s) for own_s in predicted_s])
    else:
        largest_s = max(shares_s)
        for own_s, share_s in zip(predicted_s, shares_s, strict=True):
            # Nobody is left without its need while another has more than it.
            assert share_s == pytest.approx(min(own_s, largest_s), rel=1e-6, abs=1e-6)


def test_small_models_are_measured_whole_where_not_all_fit() -> None:
    clock = Clock()
    budget, shares_s = Budget(100, [80, 10, 200, 20], clock), []
    for _ in range(4):
        budget.begin_model()
        shares_s.append(budget.for_needs_s)
        clock.now_s += shares_s[-1]
    assert shares_s == pytest.approx([35, 10, 35, 20])


@given(needs, st.floats(1, 5000))
def test_what_a_model_needs_leaves_later_models_theirs(predicted_s: list[float], total_s: float) -> None:
    clock = Clock()
    budget = Budget(total_s, predicted_s, clock)
    for number, own_s in enumerate(predicted_s, start=1):
        left_s = 1000 + total_s - clock.now_s
        budget.begin_model()
        assert budget.for_needs_s >= budget.for_more_s
        later_s = sum(predicted_s[number:])
        if left_s >= own_s + later_s:
            # Enough for all: this one gets its need, and the rest keep theirs.
            assert budget.for_needs_s >= own_s - 1e-6
            assert left_s - budget.for_needs_s >= min(later_s, left_s * later_s / (own_s + later_s)) - 1e-6
        assert budget.for_needs_s <= left_s + 1e-6
        clock.now_s += min(own_s, max(0.0, budget.for_needs_s))


def test_time_that_a_model_saved_goes_to_those_after_it() -> None:
    clock = Clock()
    budget = Budget(100, [10, 10], clock)
    budget.begin_model()
    assert budget.for_more_s == pytest.approx(50)
    assert budget.for_needs_s == pytest.approx(90)
    clock.now_s += 20
    budget.begin_model()
    assert budget.for_more_s == budget.for_needs_s == pytest.approx(80)


def test_a_budget_that_is_spent_leaves_nothing() -> None:
    clock = Clock()
    budget = Budget(10, [5, 5], clock)
    budget.begin_model()
    clock.now_s += 60
    budget.begin_model()
    assert budget.for_needs_s <= 0
    assert budget.for_more_s <= 0
