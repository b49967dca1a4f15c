from hypothesis import given
from hypothesis import strategies as st

from runner.stats.front import on_front

SMALL = st.integers(1, 5).map(float)  # so that ties come up


@given(st.lists(st.tuples(SMALL, SMALL), min_size=1, max_size=12))
def test_going_up_in_cost_the_front_is_where_the_gain_has_never_been_as_high(
    choices: list[tuple[float, float]],
) -> None:
    expected = {}
    highest = 0.0
    for cost in sorted({cost for cost, _ in choices}):
        best = max(gain for each, gain in choices if each == cost)
        for gain in {gain for each, gain in choices if each == cost}:
            expected[cost, gain] = gain == best > highest
        highest = max(highest, best)
    costs, gains = zip(*choices, strict=True)
    assert on_front(costs, gains) == tuple(expected[choice] for choice in choices)
