"""One session for each batch size, so that the graph is optimised for shapes that are known."""

from collections.abc import Callable, Mapping

from runner.backends.batch import BatchAxes
from runner.backends.interface import Arrays, Call, Io, Placement, Session


class StaticSession:
    """Opens a session when a batch size first comes, and keeps it.

    Args:
        open_for: opens the model for one batch size.
        axes: where the batch is in each input.
    """

    def __init__(self, open_for: Callable[[int], Session], axes: BatchAxes) -> None:
        self._open_for, self._axes = open_for, axes
        self._sessions: dict[int, Session] = {1: open_for(1)}

    @property
    def placement(self) -> Placement:
        """What runs where at batch size 1: other sizes have the same graph."""
        return self._sessions[1].placement

    @property
    def facts(self) -> Mapping[str, str]:
        """Settings in force."""
        return self._sessions[1].facts

    def bind(self, feeds: Arrays, io: Io) -> Call:
        """Return the call that runs this batch in the session of its size."""
        size = self._axes.size(feeds)
        if size not in self._sessions:
            self._sessions[size] = self._open_for(size)
        return self._sessions[size].bind(feeds, io)
