"""What happened to the requests of one replayed trace."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Replay:
    """One trace as it was served; all times in seconds from its start on."""

    arrivals_s: Floats
    """of every request, ascending"""
    dispatched_s: Floats
    """of every batch, as are the next three"""
    ready_s: Floats
    """when its service began; that of dispatch where nothing was decoded"""
    finished_s: Floats
    counts: NDArray[np.int64]
    """requests of each batch, the oldest first"""

    @property
    def served(self) -> int:
        """How many requests were served; the others came too late or were given up."""
        return int(self.counts.sum())

    @property
    def span_s(self) -> float:
        """From the start to when the last batch was served."""
        return float(self.finished_s[-1])


@dataclass(frozen=True, slots=True)
class RequestTimes:
    """By served request, in order of arrival."""

    wait_s: Floats
    """from arrival to dispatch"""
    decode_s: Floats
    """of the batch that it is in, as is the next"""
    service_s: Floats
    response_s: Floats
    """from arrival to the end of its batch"""


def request_times(replay: Replay) -> RequestTimes:
    """Return what each served request took."""
    arrivals_s = replay.arrivals_s[: replay.served]
    dispatched_s, ready_s, finished_s = (
        np.repeat(times_s, replay.counts)
        for times_s in (replay.dispatched_s, replay.ready_s, replay.finished_s)
    )
    return RequestTimes(
        wait_s=dispatched_s - arrivals_s,
        decode_s=ready_s - dispatched_s,
        service_s=finished_s - ready_s,
        response_s=finished_s - arrivals_s,
    )


def busy_s(replay: Replay) -> float:
    """Return how long the server decoded or served."""
    return float((replay.finished_s - replay.dispatched_s).sum())


def mean_queue(replay: Replay) -> float:
    """Return how many requests waited, averaged over the time of the trace; those in service do not wait."""
    return float(request_times(replay).wait_s.sum()) / replay.span_s


def longest_queue(replay: Replay) -> int:
    """Return the most requests that waited at one time."""
    # Just before each dispatch the queue is as long as it gets.
    came = np.searchsorted(replay.arrivals_s, replay.dispatched_s, side="right")
    taken = replay.counts.cumsum() - replay.counts
    return int((came - taken).max(initial=0))


def queue_lengths(replay: Replay, parts: int) -> tuple[float, ...]:
    """Return the mean queue in so many equal parts of the trace's time, from its start on."""
    edges_s = np.linspace(0.0, replay.span_s, parts + 1)
    arrivals_s = replay.arrivals_s[: replay.served]
    dispatched_s = np.repeat(replay.dispatched_s, replay.counts)
    # Time that all requests together had waited until each edge.
    waited_s = np.array(
        [np.clip(np.minimum(dispatched_s, edge_s) - arrivals_s, 0, None).sum() for edge_s in edges_s]
    )
    return tuple((np.diff(waited_s) / np.diff(edges_s)).tolist())


def batch_counts(replays: Sequence[Replay]) -> tuple[tuple[int, int], ...]:
    """Return batch sizes, ascending, each with how many batches were of it."""
    sizes, found = np.unique(np.concatenate([replay.counts for replay in replays]), return_counts=True)
    return tuple(zip(sizes.tolist(), found.tolist(), strict=True))
