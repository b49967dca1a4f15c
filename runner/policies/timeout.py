"""``timeout:B@T``: wait until the batch is full, but no request longer than T."""

from dataclasses import dataclass

import numpy as np

from runner.policies.interface import NEVER_S, Counts, Flags, PolicyKind, Times
from runner.units import duration_text


@dataclass(frozen=True, slots=True)
class Timeout:
    """Dispatches full batches, or all that wait once the oldest has waited long enough.

    Source: Triton Inference Server's dynamic batcher, ``max_queue_delay_microseconds`` with one preferred batch size.
    """

    largest_batch: int
    delay_s: float

    @property
    def spec(self) -> str:
        """As the user writes it."""
        return f"timeout:{self.largest_batch}@{duration_text(self.delay_s)}"

    def next_dispatch(
        self, now_s: Times, oldest_arrival_s: Times, waiting: Counts, closed: Flags
    ) -> tuple[Counts, Times]:
        """Return the batch size, or all once the delay is over."""
        del closed
        end_s = np.add(oldest_arrival_s, self.delay_s)
        ready = np.logical_or(np.greater_equal(waiting, self.largest_batch), np.greater_equal(now_s, end_s))
        count = np.where(ready, np.minimum(waiting, self.largest_batch), 0)
        return count[()], np.where(np.greater(waiting, 0), end_s, NEVER_S)[()]


KIND = PolicyKind(
    name="timeout",
    form="timeout:B@T",
    summary="wait until B requests are there, or the oldest waited for T",
    takes_delay=True,
    make=lambda size, delay_s, _service_s: Timeout(size, delay_s),
)
