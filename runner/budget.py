"""The time budget: shared over models by what they are predicted to need, what one saves going to the next."""

from collections.abc import Callable, Sequence
from math import inf
from time import monotonic


class Budget:
    """Says until when the current model may run.

    Args:
        total_s: for all models together; None is no limit.
        predicted_s: the smallest run of each model, in order.
    """

    def __init__(
        self, total_s: float | None, predicted_s: Sequence[float], clock: Callable[[], float] = monotonic
    ) -> None:
        self._clock = clock
        self._end_s = inf if total_s is None else clock() + total_s
        self._predicted_s = list(predicted_s)
        self._share_end_s = self._need_end_s = inf

    def begin_model(self) -> None:
        """Turn to the next model.

        Where all needs still open fit, its share is its part of them, and what it *needs* may go further, up to what
        leaves the later models their own smallest runs. Where they do not fit, needs below an equal share are met
        whole, and the other models get equal shares.
        """
        now_s = self._clock()
        left_s = max(0.0, self._end_s - now_s)
        self._share_end_s = now_s + _share_s(left_s, self._predicted_s)
        self._predicted_s.pop(0)
        later_s = sum(self._predicted_s)
        self._need_end_s = max(self._share_end_s, self._end_s - later_s)

    def now_s(self) -> float:
        """Return the time of the clock that the budget is kept by."""
        return self._clock()

    @property
    def left_s(self) -> float:
        """What is left for all models together."""
        return self._end_s - self._clock()

    @property
    def for_needs_s(self) -> float:
        """What is left for the blocks that the profile demands."""
        return self._need_end_s - self._clock()

    @property
    def for_more_s(self) -> float:
        """What is left for blocks beyond those."""
        return self._share_end_s - self._clock()


def _share_s(left_s: float, needs_s: Sequence[float]) -> float:
    """Return what the first of these may take: in proportion where all fit, else by max-min fairness.

    Source: Bertsekas and Gallager, Data Networks (1992), section 6.5.2.
    """
    total_s = sum(needs_s)
    if left_s >= total_s:
        return left_s * needs_s[0] / total_s if total_s else left_s
    ascending = sorted(needs_s)
    equal_s = max((left_s - sum(ascending[:met])) / (len(ascending) - met) for met in range(len(ascending)))
    return min(needs_s[0], equal_s)
