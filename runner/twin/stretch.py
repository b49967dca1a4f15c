"""Many queues through one stretch of known arrivals: who is dispatched when."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from runner.errors import JoulebatchError
from runner.policies.interface import Policy
from runner.twin.batches import Batches
from runner.twin.service import Counts, Floats, Rows, Servers

SEARCHED = 8
"""arrivals looked at together to count those that came during a service"""
AHEAD = 16
"""steps ahead, its present one included, that a policy which waits is asked about together"""
PAD = max(SEARCHED, AHEAD) + 1
"""infinite times that end each row of a grid, so that looking ahead stays within the row"""
_SEARCHED = np.arange(SEARCHED)[:, None]
_AHEAD = np.arange(AHEAD)[:, None]
_LAST_S = float(np.finfo(np.float64).max)
"""no arrival is later, and the infinite times after a row's arrivals are"""
_ALL = slice(None)

_T = TypeVar("_T", np.int64, np.float64)

Pick = slice | Rows


@dataclass(frozen=True, slots=True)
class Grid:
    """The known arrivals of all rows, and how far each row has come; places in it are indices into it flattened."""

    times_s: Floats
    """by row and column, each row ascending and ended by ``PAD`` infinite ones"""
    head: Counts
    """by row, the place of the oldest request that waits or is to come"""
    free_s: Floats
    """by row, when its server is idle"""


class Stretch:
    """Rows on their way through a grid; each leaves when only arrivals beyond the grid tell what it does next.

    Args:
        grid: what is known; how far the rows have come is updated in it.
        live: the rows that go.
        last: whether no arrivals come beyond the grid.
    """

    def __init__(self, policy: Policy, servers: Servers, grid: Grid, live: Rows, *, last: bool) -> None:
        self._policy, self._servers, self._grid, self._last = policy, servers, grid, last
        self._times_s = grid.times_s.reshape(-1)
        width = grid.times_s.shape[1]
        self._rows, self._free_s = live, grid.free_s[live]
        self._head = grid.head[live]
        self._end = live * width + (width - PAD)
        self._now_s = np.maximum(self._free_s, self._times_s[self._head])
        arrived = np.count_nonzero(grid.times_s[live] <= self._now_s[:, None], axis=1)
        self._known = live * width + arrived
        """the place of the first arrival after now"""

    def run(self) -> Batches:
        """Return what begins."""
        log = [Batches.none()]
        while self._keep_going():
            waiting, closed = self._known - self._head, self._known == self._end
            oldest_s = self._times_s.take(self._head)
            answer, _ = self._policy.next_dispatch(self._now_s, oldest_s, waiting, closed)
            count = np.asarray(answer)
            ready = count > 0
            if ready.all():
                log.append(self._dispatch(_ALL, count))
            elif ready.any():
                taken, others = np.flatnonzero(ready), np.flatnonzero(~ready)
                log.append(self._dispatch(taken, count[taken]))
                self._wait(others)
            else:
                self._wait(_ALL)
        return Batches.join(log)

    def _keep_going(self) -> bool:
        """Let rows go that are done or need later arrivals; return whether any is left."""
        over = np.isinf(self._now_s) if self._last else self._known == self._end
        if over.any():
            gone = self._rows[over]
            self._grid.head[gone], self._grid.free_s[gone] = self._head[over], self._free_s[over]
            keep = ~over
            self._rows, self._end = self._rows[keep], self._end[keep]
            self._head, self._known = self._head[keep], self._known[keep]
            self._now_s, self._free_s = self._now_s[keep], self._free_s[keep]
        return self._rows.size > 0

    def _dispatch(self, pick: Pick, count: Counts) -> Batches:
        """Start a batch in each of these rows, and go on to when its next decision is due."""
        rows, head, start_s = self._rows[pick], self._head[pick], self._now_s[pick]
        idle_s = start_s - self._free_s[pick]
        service_s, cost = self._servers.draw(rows, count, idle_s)
        free_s, after = start_s + service_s, head + count
        now_s = np.maximum(free_s, self._times_s.take(after))
        known = self._reach(self._known[pick], now_s)
        self._free_s, self._head = _put(self._free_s, pick, free_s), _put(self._head, pick, after)
        self._now_s, self._known = _put(self._now_s, pick, now_s), _put(self._known, pick, known)
        return Batches(rows, head, count, start_s, idle_s, service_s, cost)

    def _wait(self, pick: Pick) -> None:
        """Go on to when the policy may answer otherwise: its wait is over, or an arrival lets it take a batch."""
        known, now_s = self._known[pick], self._now_s[pick]
        places = known + _AHEAD
        next_s = self._times_s.take(places)
        asked_s = np.concatenate((now_s[None], next_s[:-1]))
        oldest_s = np.broadcast_to(self._times_s.take(self._head[pick]), places.shape)
        count, until_s = self._policy.next_dispatch(
            asked_s, oldest_s, places - self._head[pick], places == self._end[pick]
        )
        ready = np.greater(count, 0)
        expires = ~ready & np.less_equal(until_s, next_s)
        # Among simultaneous arrivals this may be too early a step: then the row is asked again with all of them.
        stop = ready | expires
        stop[-1] = True
        step = stop.argmax(axis=0)
        at = (step, np.arange(step.size))
        later_s = np.where(expires[at], np.broadcast_to(until_s, places.shape)[at], asked_s[at])
        if not np.all(later_s > now_s):
            raise JoulebatchError(
                f"Cannot simulate {self._policy.spec}",
                expected="a wait that ends later",
                got="one that is over",
            )
        known = self._reach(known + step, later_s)
        self._now_s, self._known = _put(self._now_s, pick, later_s), _put(self._known, pick, known)

    def _reach(self, known: Counts, now_s: Floats) -> Counts:
        """Return the places of the first arrivals after now, from places that are not later."""
        until_s = np.minimum(now_s, _LAST_S)
        came = self._times_s.take(known + _SEARCHED) <= until_s
        found = came.view(np.int8).sum(axis=0, dtype=np.int8)
        known = known + found
        more = np.flatnonzero(found == SEARCHED)
        while more.size:
            came = self._times_s.take(known[more] + _SEARCHED) <= until_s[more]
            found = came.view(np.int8).sum(axis=0, dtype=np.int8)
            known[more] += found
            more = more[found == SEARCHED]
        return known


def _put(array: NDArray[_T], pick: Pick, values: NDArray[_T]) -> NDArray[_T]:
    """Return an array with new values at some places; the values themselves where that is everywhere."""
    if isinstance(pick, slice):
        return values
    array[pick] = values
    return array
