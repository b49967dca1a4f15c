"""Sums, counts and histograms over what was dispatched, by row: their size is that of the rows."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from runner.twin.batches import Batches
from runner.twin.figures import QueueFigures
from runner.twin.histogram import Histogram
from runner.twin.queues import Dispatches
from runner.twin.service import Counts, Floats, Rows


class Tally:
    """What is known of each row, without the batches that hold one of its first ``warm_up`` requests.

    Time counts from when the last of those batches is done, so that busy and idle time are those of what is counted.
    """

    def __init__(self, rows: int, largest_batch: int, warm_up: int) -> None:
        self._rows, self._warm_up = rows, warm_up
        self.served = np.zeros(rows, np.int64)
        """with those left out"""
        self.counted = np.zeros(rows, np.int64)
        self.begin_s = np.zeros(rows)
        """from when on time counts"""
        self.batch_counts = np.zeros((rows, largest_batch + 1), np.int64)
        self.busy_s, self.idle_s, self.cost = np.zeros(rows), np.zeros(rows), np.zeros(rows)
        self.wait_s, self.service_s = np.zeros(rows), np.zeros(rows)
        """sums over requests"""
        self.queued_s = np.zeros(rows)
        """the queue's length integrated over the time that counts"""
        self.longest_s = np.zeros(rows)
        """response"""
        self.responses = Histogram(rows)

    def add(self, begun: Dispatches) -> None:
        """Count what began in a stretch."""
        served = begun.end - begun.first
        if self._warm_up and (self.served < self._warm_up).any():
            begun = self._leave_out(begun)
        batches = begun.batches
        self.served += served
        self.counted += begun.end - begun.first
        self.busy_s += self._by_row(batches, batches.service_s)
        self.idle_s += self._by_row(batches, batches.idle_s)
        self.cost += self._by_row(batches, batches.cost)
        self.service_s += self._by_row(batches, batches.service_s * batches.count)
        sizes = self.batch_counts.shape[1]
        found = np.bincount(batches.row * sizes + batches.count, minlength=self.batch_counts.size)
        self.batch_counts += found.reshape(self.batch_counts.shape)
        if batches.row.size:
            self._add_requests(begun)

    def add_waiting(self, rows: Rows, arrivals_s: Floats, end_s: Floats) -> None:
        """Count how long requests waited that nobody will serve.

        Args:
            rows: theirs.
            arrivals_s: a line of columns for each of these rows; infinite where none waits.
            end_s: by row given, when it ended.
        """
        since_s = np.maximum(arrivals_s, self.begin_s[rows, None])
        self.queued_s[rows] += np.maximum(end_s[:, None] - since_s, 0).sum(axis=1)

    def figures(self, arrived: Counts, stable: NDArray[np.bool_], end_s: Floats) -> QueueFigures:
        """Return the figures.

        Args:
            arrived: by row, requests that came.
            stable: by row, whether its queue was not found to grow without bound.
            end_s: by row, when its last batch was done.
        """
        return QueueFigures(
            arrived=arrived,
            served=self.served,
            waiting=arrived - self.served,
            stable=stable,
            counted=self.counted,
            dispatches=self.batch_counts.sum(axis=1),
            batch_counts=self.batch_counts,
            mean_wait_s=_ratio(self.wait_s, self.counted),
            mean_service_s=_ratio(self.service_s, self.counted),
            mean_response_s=_ratio(self.wait_s + self.service_s, self.counted),
            max_response_s=np.where(self.counted > 0, self.longest_s, np.nan),
            responses=self.responses,
            busy_s=self.busy_s,
            idle_s=self.idle_s,
            utilisation_ratio=_ratio(self.busy_s, self.busy_s + self.idle_s),
            mean_queue=_ratio(self.queued_s, self.busy_s + self.idle_s),
            cost=self.cost,
            end_s=end_s,
        )

    def _by_row(self, batches: Batches, values: Floats) -> Floats:
        return np.bincount(batches.row, values, minlength=self._rows).astype(np.float64, copy=False)

    def _leave_out(self, begun: Dispatches) -> Dispatches:
        """Return what is left when warm-up is over, and move the begin of those rows where it was not."""
        batches, width = begun.batches, begun.times_s.shape[1]
        number = batches.head - batches.row * width - begun.first[batches.row] + self.served[batches.row]
        early = number < self._warm_up
        left_out = batches.only(early)
        np.maximum.at(self.begin_s, left_out.row, left_out.start_s + left_out.service_s)
        requests = np.bincount(left_out.row, left_out.count, minlength=self._rows).astype(np.int64)
        return replace(begun, batches=batches.only(~early), first=begun.first + requests)

    def _add_requests(self, begun: Dispatches) -> None:
        """Count the wait and the response of every request, in order of rows."""
        batches, grid = begun.batches, begun.times_s
        # Heads are places in the grid: numbers put there and read again are in order of rows and times.
        placed, number = np.zeros(grid.size, np.bool_), np.empty(grid.size, np.int64)
        placed[batches.head] = True
        number[batches.head] = np.arange(batches.head.size)
        order = number[placed]
        count = batches.count[order]
        start_s = np.repeat(batches.start_s[order], count)
        service_s = np.repeat(batches.service_s[order], count)
        columns = np.arange(grid.shape[1])
        arrival_s = grid[(columns >= begun.first[:, None]) & (columns < begun.end[:, None])]
        wait_s = start_s - arrival_s
        response_s = wait_s + service_s
        served = begun.end - begun.first
        rows = np.flatnonzero(served)
        ends = served[rows].cumsum()
        begins = ends - served[rows]
        self.wait_s[rows] += np.add.reduceat(wait_s, begins)
        self.longest_s[rows] = np.maximum(self.longest_s[rows], np.maximum.reduceat(response_s, begins))
        by_request = np.repeat(rows, served[rows])
        counted_s = wait_s if not self._warm_up else start_s - np.maximum(arrival_s, self.begin_s[by_request])
        self.queued_s[rows] += np.add.reduceat(counted_s, begins)
        self.responses.add(by_request, response_s)


def _ratio(part: Floats, whole: Floats | Counts) -> Floats:
    """Return the quotients, nan for those of nothing."""
    quotients = np.full(len(part), np.nan)
    np.divide(part, whole, out=quotients, where=np.greater(whole, 0))
    return quotients
