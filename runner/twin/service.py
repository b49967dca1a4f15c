"""What a simulated server takes for its batches: the seam between the simulation and its calibration."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


class Servers(Protocol):
    """One server per row. They may remember, so that successive batches of a row depend on each other."""

    def draw(self, rows: Rows, counts: Counts, idle_s: Floats) -> tuple[Floats, Floats]:
        """Return what the next batch of each of these rows takes; all arrays have one element per row given.

        Args:
            rows: which rows, each at most once, in any order; a cursor into measured windows may be kept for each.
            counts: the size of each batch, from 1 to the policy's largest.
            idle_s: how long each server was idle just before, in seconds; 0 back to back.

        Returns:
            Service time in seconds, above 0, and active cost in the unit of the calibration (CPU-s or J).
        """


class Service(Protocol):
    """How long batches take and what they cost. It keeps no state: any number of simulations may start from one."""

    def start(self, rows: int, rng: np.random.Generator) -> Servers:
        """Return fresh servers that take all their randomness from this generator.

        Args:
            rows: how many servers; they are numbered from 0.
            rng: theirs alone.
        """
