"""``fixed:B``: wait until the batch is full."""

from dataclasses import dataclass

import numpy as np

from runner.policies.interface import NEVER_S, Counts, Flags, PolicyKind, Times


@dataclass(frozen=True, slots=True)
class Fixed:
    """Dispatches full batches, and what is left once no more will come."""

    largest_batch: int

    @property
    def spec(self) -> str:
        """As the user writes it."""
        return f"fixed:{self.largest_batch}"

    def next_dispatch(
        self, now_s: Times, oldest_arrival_s: Times, waiting: Counts, closed: Flags
    ) -> tuple[Counts, Times]:
        """Return the batch size, or all where no more will come."""
        del now_s, oldest_arrival_s
        ready = np.logical_or(np.greater_equal(waiting, self.largest_batch), closed)
        return np.where(ready, np.minimum(waiting, self.largest_batch), 0)[()], NEVER_S


KIND = PolicyKind(
    name="fixed",
    form="fixed:B",
    summary="wait until B requests are there",
    takes_delay=False,
    make=lambda size, _delay_s, _service_s: Fixed(size),
)
