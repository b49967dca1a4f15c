"""Queues in front of one server each, many at once, from one stretch of arrivals to the next."""

from dataclasses import dataclass

import numpy as np

from runner.policies.interface import Policy
from runner.twin.batches import Batches
from runner.twin.service import Counts, Floats, Rows, Servers
from runner.twin.stretch import PAD, Grid, Stretch


@dataclass(frozen=True, slots=True)
class Dispatches:
    """What began in a stretch, and the requests that were taken."""

    batches: Batches
    """those of a row in order of time; heads are places in ``times_s``, flattened"""
    times_s: Floats
    """arrivals by row and column"""
    first: Counts
    """by row, the column of the first request that was taken; those up to ``end`` were"""
    end: Counts


class Queues:
    """All queues, each with its server, between two stretches of arrivals."""

    def __init__(self, policy: Policy, servers: Servers, rows: int) -> None:
        self._policy, self._servers = policy, servers
        self.live = np.arange(rows)
        """the rows that go on"""
        self.free_s = np.zeros(rows)
        """by row, when its last batch so far is done"""
        self._times_s = np.empty((rows, PAD))
        self._head = np.zeros(rows, np.int64)
        self._last_count = np.zeros(rows, np.int64)
        self._last_service_s = np.ones(rows)

    def serve(self, arrivals_s: Floats, *, last: bool) -> Dispatches:
        """Return the batches that begin before later arrivals could matter; all of them, after the last.

        Args:
            arrivals_s: by row and column, in seconds, ascending from those before.
            last: whether no more will come.
        """
        self._append(arrivals_s)
        rows, width = self._times_s.shape
        base = np.arange(rows) * width
        first = self._head
        grid = Grid(self._times_s, base + first, self.free_s)
        batches = Stretch(self._policy, self._servers, grid, self.live, last=last).run()
        self._head = grid.head - base
        # Of several batches of a row the last assignment stays.
        self._last_count[batches.row], self._last_service_s[batches.row] = batches.count, batches.service_s
        return Dispatches(batches, self._times_s, first, self._head)

    def waiting_s(self, rows: Rows) -> Floats:
        """Return when the requests came that wait in these rows, a line of columns each; infinite elsewhere."""
        columns = np.arange(self._times_s.shape[1])
        return np.where(columns >= self._head[rows, None], self._times_s[rows], np.inf)

    def backlog(self) -> Floats:
        """Return, for each live row, how many requests are still to be served at its last arrival so far.

        The batch in service counts with the part of its time that is left: whole batches would come and go in jumps.
        """
        live = self.live
        end = self._times_s.shape[1] - PAD
        left_s = np.maximum(self.free_s[live] - self._times_s[live, end - 1], 0)
        in_service = self._last_count[live] * np.minimum(left_s / self._last_service_s[live], 1)
        backlog: Floats = end - self._head[live] + in_service
        return backlog

    def stop(self, rows: Rows) -> None:
        """Let rows go."""
        self.live = np.setdiff1d(self.live, rows, assume_unique=True)

    def _append(self, arrivals_s: Floats) -> None:
        """Keep of the arrivals those not dispatched, in a live row, and put these behind them."""
        rows, size = arrivals_s.shape
        end = self._times_s.shape[1] - PAD
        kept = int(end - self._head[self.live].min())
        times_s = np.full((rows, kept + size + PAD), np.inf)
        times_s[:, :kept] = self._times_s[:, end - kept : end]
        times_s[:, kept : kept + size] = arrivals_s
        self._head = np.maximum(self._head - (end - kept), 0)
        self._times_s = times_s
