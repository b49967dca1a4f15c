"""Which queues grow without bound."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from runner.twin.service import Floats, Rows

FALSE_ALARM = 1e-5
"""Chance that one look takes a queue for growing whose server just keeps up. A thousand rows are looked at some dozen
times each; and below 95 % of capacity a queue falls back so often that chance plays no part."""
LEAST_BATCHES = 2
"""One batch in service and one that forms are no backlog, however regularly they come and go."""
MOST_CHANGES = 32
"""Changes that a backlog's scatter is taken from, and half as many at least. More of them would find a growing queue
sooner, fewer know more of what comes in bursts; Student's t is 6.1 with 16 of them and 5.0 with 32."""


class Growth:
    """The rule: a backlog is beyond what a server that just keeps up would have by chance.

    At exactly the capacity a backlog is a random walk reflected at zero: after m equal stretches it is beyond
    t s sqrt(m) as often as Student's t says, s being the standard deviation of its changes. Below capacity it keeps
    falling back and stays far below that; above, it grows as m and passes it in the end, the sooner the more there is
    too much. Stretches get longer with the run, so that changes become independent however long bursts are; but where
    a few bursts are all there is, they look like growth.

    Source:
        Asmussen, Applied Probability and Queues, 2nd ed. (2003), chapter X: the queue as a reflected random walk.
        Law and Carson, A Sequential Procedure for Determining the Length of a Steady-State Simulation, Operations
        Research 27 (1979): stretches that double.
    """

    def __init__(self, rows: int, largest_batch: int) -> None:
        self._least = LEAST_BATCHES * largest_batch
        self._looks, self._apart, self._changes = 0, 1, 0
        self._seen = np.zeros((MOST_CHANGES + 1, rows))
        """backlogs so many looks apart, from the start on, when there was none"""

    def look(self, rows: Rows, backlog: Floats) -> NDArray[np.bool_]:
        """Return, for each of these rows, whether its queue grows without bound.

        Args:
            rows: the same as last time, or fewer.
            backlog: requests to be served, by row given, always after as many arrivals.
        """
        self._looks += 1
        if self._looks % self._apart:
            return np.zeros(rows.size, np.bool_)
        self._changes = changes = self._changes + 1
        self._seen[changes, rows] = backlog
        if changes < MOST_CHANGES // 2:
            return np.zeros(rows.size, np.bool_)
        scatter = np.diff(self._seen[: changes + 1, rows], axis=0).std(axis=0, ddof=1)
        limit = float(stdtrit(changes - 1, 1 - FALSE_ALARM))
        if changes == MOST_CHANGES:
            self._changes, self._apart = MOST_CHANGES // 2, 2 * self._apart
            self._seen[: self._changes + 1] = self._seen[::2].copy()
        by_chance: Floats = limit * scatter * np.sqrt(changes)
        return np.greater(backlog, np.maximum(by_chance, self._least))
