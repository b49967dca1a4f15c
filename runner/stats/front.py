"""Which of several choices no other one beats in one respect without losing in the other."""

from runner.stats.summary import Numbers


def on_front(costs: Numbers, gains: Numbers) -> tuple[bool, ...]:
    """Return, for each choice, whether no other has at least its gain at no more than its cost (its Pareto front).

    Of several alike none beats another.

    Args:
        costs: of each choice; less is better.
        gains: of each choice; more is better.
    """
    choices = list(zip(costs, gains, strict=True))
    return tuple(not any(_beats(other, own) for other in choices) for own in choices)


def _beats(other: tuple[float, float], own: tuple[float, float]) -> bool:
    return other != own and other[0] <= own[0] and other[1] >= own[1]
