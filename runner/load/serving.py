"""Batches of any size from one buffer of inputs, as a queue forms them."""

from collections import OrderedDict
from collections.abc import Callable

from runner.backends.interface import Arrays, Call, Session

KEPT_CALLS = 32
"""Ours: sizes that stay bound. A queue in equilibrium forms few; each may hold its outputs, which can be large."""


class BatchServer:
    """Runs the first so many samples of a buffer under a session; a size is bound when it first comes.

    Args:
        session: of any backend; with ``io="host"`` it reads its inputs anew in every run.
        feeds: contiguous arrays by input name, batch first, of the largest batch.
    """

    def __init__(self, session: Session, feeds: Arrays) -> None:
        self._session, self.feeds = session, feeds
        self._calls: OrderedDict[int, Call] = OrderedDict()

    def call(self, count: int) -> Callable[[], object]:
        """Return what runs a batch of so many."""
        call = self._calls.get(count)
        if call is None:
            if len(self._calls) == KEPT_CALLS:
                self._calls.popitem(last=False)
            first = {name: array[:count] for name, array in self.feeds.items()}
            call = self._calls[count] = self._session.bind(first, "host")
        self._calls.move_to_end(count)
        return call.run

    def serve(self, count: int) -> None:
        """Run a batch of so many."""
        self.call(count)()
