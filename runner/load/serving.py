"""Batches of any size from one buffer of inputs, as a queue forms them."""

from collections import OrderedDict
from collections.abc import Callable

from runner.backends.batch import BatchAxes
from runner.backends.interface import Arrays, Call, Session

KEPT_CALLS = 32
"""Ours: sizes that stay bound. A queue in equilibrium forms few; each may hold its outputs, which can be large."""

_IN_FRONT = BatchAxes()


class BatchServer:
    """Runs the first so many samples of a buffer under a session; a size is bound when it first comes.

    Args:
        session: of any backend; with ``io="host"`` it reads its inputs anew in every run.
        feeds: contiguous arrays by input name, of the largest batch.
        axes: where the batch is in each of them.
    """

    def __init__(self, session: Session, feeds: Arrays, axes: BatchAxes = _IN_FRONT) -> None:
        self._session, self.feeds, self._axes = session, feeds, axes
        self._calls: OrderedDict[int, Call] = OrderedDict()

    @property
    def size(self) -> int:
        """The largest batch."""
        return self._axes.size(self.feeds)

    def call(self, count: int) -> Callable[[], object]:
        """Return what runs a batch of so many."""
        call = self._calls.get(count)
        if call is None:
            if len(self._calls) == KEPT_CALLS:
                self._calls.popitem(last=False)
            first = self._axes.part(self.feeds, 0, count)
            call = self._calls[count] = self._session.bind(first, "host")
        self._calls.move_to_end(count)
        return call.run

    def serve(self, count: int) -> None:
        """Run a batch of so many."""
        self.call(count)()
