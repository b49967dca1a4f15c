"""Several sessions side by side: each batch is split over them, and they run at once."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

from runner.backends.interface import Array, Arrays, Call, Io, Placement, Session


class SplitSession:
    """Sessions of one model as one: a batch of 8 on two of them is 4 and 4, one of 1 runs on the first alone.

    Args:
        sessions: from two on, opened alike.
    """

    def __init__(self, sessions: tuple[Session, ...]) -> None:
        self._sessions = sessions
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
        count = min(len(self._sessions), len(next(iter(feeds.values()))))
        parts = {name: np.array_split(array, count) for name, array in feeds.items()}
        first, *others = (
            session.bind({name: split[place] for name, split in parts.items()}, io)
            for place, session in enumerate(self._sessions[:count])
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
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    return outputs
