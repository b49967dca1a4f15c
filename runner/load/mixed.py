"""Batch sizes one after another in one session: what a change of shape costs."""

from collections.abc import Callable, Sequence


def in_turn(runs: Sequence[Callable[[], object]]) -> Callable[[], object]:
    """Return what makes each of these calls once, in their order, which counts as one inference.

    A single one is returned as it is, so that nothing is added to what is timed.
    """
    if len(runs) == 1:
        return runs[0]
    calls = tuple(runs)

    def run() -> None:
        for call in calls:
            call()

    return run
