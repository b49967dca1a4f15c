"""Several sessions side by side: each batch is split over them, and they run at once."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise

import numpy as np

from runner.backends.batch import BatchAxes
from runner.backends.interface import Array, Arrays, Call, Io, Placement, Session
from runner.errors import UsageError


class SplitSession:
    """Sessions of one model as one: a batch of 8 on two of them is 4 and 4, one of 1 runs on the first alone.

    Args:
        sessions: from two on, opened alike.
        axes: where the batch is in each input.

    Raises:
        UsageError: it is not in front of every input that has one: outputs do not say where theirs is.
    """

    def __init__(self, sessions: tuple[Session, ...], axes: BatchAxes) -> None:
        elsewhere = {name: axis for name, axis in axes.axes.items() if axis}
        if elsewhere:
            raise UsageError(
                "Cannot split batches over instances",
                expected="the batch in front of every input",
                got=", ".join(f"that of {name!r} in dimension {axis}" for name, axis in elsewhere.items()),
                fix="Drop instances",
            )
        self._sessions, self._axes = sessions, axes
        # The calling thread runs the first part itself.
        self._pool = ThreadPoolExecutor(len(sessions) - 1, thread_name_prefix="instance")

    @property
    def placement(self) -> Placement:
        """What ran where in the first: they are alike."""
        return self._sessions[0].placement

    @property
    def facts(self) -> Mapping[str, str]:
        """Settings in force in each, and how many there are."""
        return {**self._sessions[0].facts, "instances": str(len(self._sessions))}

    def bind(self, feeds: Arrays, io: Io) -> Call:
        """Return the call that runs this batch, its samples split as evenly as they go."""
        size = self._axes.size(feeds)
        count = min(len(self._sessions), size)
        edges = [-(-size * place // count) for place in range(count + 1)]
        first, *others = (
            session.bind(self._axes.part(feeds, begin, end), io)
            for session, (begin, end) in zip(self._sessions, pairwise(edges), strict=False)
        )
        return Call(self._at_once(first.run, [call.run for call in others]), _joined((first, *others)))

    def _at_once(
        self, first: Callable[[], object], others: list[Callable[[], object]]
    ) -> Callable[[], object]:
        if not others:
            return first

        def run() -> None:
            begun = [self._pool.submit(other) for other in others]
            try:
                first()
            finally:
                wait(begun)  # none of them may run on into what is measured next
            for each in begun:
                each.result()

        return run


def _joined(calls: tuple[Call, ...]) -> Callable[[], dict[str, Array]]:
    def outputs() -> dict[str, Array]:
        parts = [call.outputs() for call in calls]
        return {name: _join(name, [np.atleast_1d(part[name]) for part in parts]) for name in parts[0]}

    return outputs


def _join(name: str, parts: list[Array]) -> Array:
    if len({part.shape[1:] for part in parts}) > 1:
        raise UsageError(
            "Cannot join what instances computed",
            expected=f"the batch in front of output {name!r}",
            got=f"parts of {' and '.join(str(part.shape) for part in parts)}",
            fix="Drop instances",
        )
    return np.concatenate(parts)
