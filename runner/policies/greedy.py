"""``greedy:MAX``: take what is there."""

from dataclasses import dataclass

import numpy as np

from runner.policies.interface import NEVER_S, Counts, Flags, PolicyKind, Times


@dataclass(frozen=True, slots=True)
class Greedy:
    """Dispatches whatever waits, up to a limit."""

    largest_batch: int

    @property
    def spec(self) -> str:
        """As the user writes it."""
        return f"greedy:{self.largest_batch}"

    def next_dispatch(
        self, now_s: Times, oldest_arrival_s: Times, waiting: Counts, closed: Flags
    ) -> tuple[Counts, Times]:
        """Return all that wait, or the limit."""
        del now_s, oldest_arrival_s, closed
        return np.minimum(waiting, self.largest_batch), NEVER_S


KIND = PolicyKind(
    name="greedy",
    form="greedy:MAX",
    summary="take what waits, at most MAX",
    takes_delay=False,
    make=lambda size, _delay_s, _service_s: Greedy(size),
)
