"""What a simulation found, by row."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from runner.twin.histogram import Histogram
from runner.twin.service import Counts, Floats


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """Figures of every row; arrays have an element per row.

    ``arrived``, ``served`` and ``waiting`` are of the whole row and ``arrived = served + waiting``. All other figures
    are of the counted batches, those without any of the requests left out for warm-up, and of the time from when the
    last batch left out was done to when the last batch of all was.
    """

    arrived: Counts
    """requests that came before the row ended; all, but where it was stopped"""
    served: Counts
    waiting: Counts
    """requests that nobody serves: the row was stopped, or the policy never takes them"""
    stable: NDArray[np.bool_]
    """whether the queue was not found to grow without bound; a row that was found to was stopped there.
    Never found within the first ``STRETCH * MOST_CHANGES / 2`` requests, 2048"""
    counted: Counts
    """requests that the figures below are of"""
    dispatches: Counts
    batch_counts: NDArray[np.int64]
    """by row and size, how many batches were of that size; size 0 never is"""
    mean_wait_s: Floats
    """from a request's arrival to when its batch begins; this and all means over requests are nan where none counted"""
    mean_service_s: Floats
    """of the batch it is in"""
    mean_response_s: Floats
    max_response_s: Floats
    responses: Histogram = field(repr=False)
    """all of them, for any quantile"""
    busy_s: Floats
    """the server's time"""
    idle_s: Floats
    utilisation_ratio: Floats
    """busy time / (busy + idle time)"""
    mean_queue: Floats
    """requests that wait, averaged over time; those in service do not count"""
    cost: Floats
    """active cost of all batches, in the unit of the service: CPU-s or J"""
    end_s: Floats
    """when the last batch was done"""

    def response_quantile_s(self, p: float) -> Floats:
        """Return a quantile of the response by row, in seconds, within ``histogram.ERROR_RATIO`` of the exact one.

        Args:
            p: from 0 to 1; 0.95 for p95.
        """
        return np.minimum(self.responses.quantile_s(p), self.max_response_s)
