"""``deadline:B@T``: wait as long as the oldest request can still be answered within T."""

from dataclasses import dataclass, field

import numpy as np

from runner.policies.interface import NEVER_S, Counts, Flags, PolicyKind, ServiceTimes, Times
from runner.units import duration_text


@dataclass(frozen=True, slots=True, eq=False)
class Deadline:
    """Dispatches full batches, or all that wait once one more could not be served before the oldest one's time is up.

    Looking one request ahead is what keeps the promise: without it, each arrival just before the last moment makes the
    service longer than what is left. A request can still be late when the server was busy, when several come at
    once, or when a service takes longer than expected; then all that wait are taken, because none gains by waiting.
    """

    largest_batch: int
    limit_s: float
    service_s: ServiceTimes = field(repr=False)
    """expected, by batch size up to the largest; no larger batch is faster"""

    @property
    def spec(self) -> str:
        """As the user writes it."""
        return f"deadline:{self.largest_batch}@{duration_text(self.limit_s)}"

    def next_dispatch(
        self, now_s: Times, oldest_arrival_s: Times, waiting: Counts, closed: Flags
    ) -> tuple[Counts, Times]:
        """Return the batch size, or all once there is no time for one more."""
        del closed
        one_more = np.minimum(np.add(waiting, 1), self.largest_batch)
        latest_s = np.add(oldest_arrival_s, self.limit_s) - self.service_s[one_more]
        ready = np.logical_or(
            np.greater_equal(waiting, self.largest_batch), np.greater_equal(now_s, latest_s)
        )
        count = np.where(ready, np.minimum(waiting, self.largest_batch), 0)
        return count[()], np.where(np.greater(waiting, 0), latest_s, NEVER_S)[()]


def _make(size: int, limit_s: float, service_s: ServiceTimes | None) -> Deadline:
    assert service_s is not None
    assert service_s.size > size
    # Measured times scatter: a larger batch that looks faster would let the last moment come before it was announced.
    ascending_s = service_s[: size + 1].copy()
    np.maximum.accumulate(ascending_s[1:], out=ascending_s[1:])
    return Deadline(size, limit_s, ascending_s)


KIND = PolicyKind(
    name="deadline",
    form="deadline:B@T",
    summary="wait as long as the oldest request can still be answered within T of its arrival",
    takes_delay=True,
    make=_make,
    needs_service_times=True,
)
