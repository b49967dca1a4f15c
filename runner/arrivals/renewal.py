"""Arrivals whose gaps are independent draws of one distribution."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from runner.arrivals.interface import Rates, positive_rates

DrawGaps = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]
"""of a generator and a shape: gaps from 0 on in mean gaps, so their mean is 1; the array is the caller's"""


@dataclass(frozen=True, slots=True)
class Renewal:
    """Arrivals of a renewal process that starts with an arrival, which does not count.

    Times are summed in mean gaps and divided by the rate once, so that the rounding of a period never adds up: constant
    arrivals are at k / rate exactly, and one seed gives the same pattern at every rate, stretched.
    """

    takes_rate: ClassVar[bool] = True
    available: ClassVar[None] = None

    spec: str
    draw_gaps: DrawGaps = field(repr=False, compare=False)
    """equal specs draw equal gaps"""

    def times_s(self, rate_hz: Rates, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return the first arrival times in seconds."""
        return next(self.chunks(rate_hz, 1, count, rng)).ravel()

    def chunks(
        self, rate_hz: Rates, rows: int, size: int, rng: np.random.Generator
    ) -> Iterator[NDArray[np.float64]]:
        """Return arrival times in seconds, chunk by chunk without end."""
        rates_hz = np.broadcast_to(positive_rates(rate_hz, self.spec), rows)[:, np.newaxis]
        return self._endless(rates_hz, size, rng)

    def _endless(
        self, rates_hz: NDArray[np.float64], size: int, rng: np.random.Generator
    ) -> Iterator[NDArray[np.float64]]:
        elapsed = np.zeros(rates_hz.shape)
        while True:
            times = self.draw_gaps(rng, (rates_hz.size, size))
            np.cumsum(times, axis=1, out=times)
            times += elapsed
            elapsed = times[:, -1:].copy()
            times /= rates_hz
            yield times
