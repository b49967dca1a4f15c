"""A batching policy, as the live queue and the twin ask it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Times = float | NDArray[np.float64]
Counts = int | NDArray[np.int64]
Flags = bool | NDArray[np.bool_]
ServiceTimes = NDArray[np.float64]
"""expected service time of a batch in seconds, by its size; entry 0 is not used"""
NEVER_S = float("inf")
"""only an arrival, or the last one, changes anything"""


class Policy(Protocol):
    """How waiting requests become batches. It keeps no state, so that one object serves any number of queues."""

    @property
    def spec(self) -> str:
        """As the user writes it: ``fixed:16``."""

    @property
    def largest_batch(self) -> int:
        """The most requests of one batch."""

    def next_dispatch(
        self, now_s: Times, oldest_arrival_s: Times, waiting: Counts, closed: Flags
    ) -> tuple[Counts, Times]:
        """Return how many requests the idle server takes now, the oldest first; or 0, and until when to wait.

        It is asked when the server falls idle, at each arrival while it is, when the wait is over, and when no more
        arrivals will come. All arguments may be arrays of one shape, a queue each; then the count is one too, and
        the time is one or a number that holds for all.

        Args:
            now_s: the time.
            oldest_arrival_s: when the request that waits longest came; any number where none waits.
            waiting: how many wait.
            closed: whether no more will come.

        Returns:
            The count, at most ``waiting`` and ``largest_batch``; and when to ask again where it is 0 and none comes.
        """


@dataclass(frozen=True, slots=True)
class PolicyKind:
    """A kind of policy: what its spec looks like, and what makes one."""

    name: str
    """before the colon"""
    form: str
    """as help shows it"""
    summary: str
    takes_delay: bool
    """whether a duration follows the batch size"""
    make: Callable[[int, float, ServiceTimes | None], Policy]
    """of the batch size, the duration and expected service times"""
    needs_service_times: bool = False
