"""Times per row, counted in bins of one relative width, so that memory does not grow with their number."""

import numpy as np
from numpy.typing import NDArray

SUB_BITS = 8
"""Bins per octave, as a power of two. Bins are the leading bits of a float, as in Tene's HdrHistogram: no logarithm."""
BIN_RATIO = 2.0**-SUB_BITS
"""widest a bin gets, relative to its lower edge: 0.39 %"""
ERROR_RATIO = BIN_RATIO / 2
"""farthest a quantile is from the exact one, relative to it: bins answer with their middle, 0.2 % from each edge"""
LEAST_S = 2.0**-30
"""shorter times count as this one; a nanosecond, the resolution of the clock that the live queue is measured with"""
_MANTISSA_BITS = np.finfo(np.float64).nmant
_SHIFT = _MANTISSA_BITS - SUB_BITS
_OCTAVE = 1 << SUB_BITS
_COUNT = np.int32
"""of one bin of one row: two billion are more than a row is simulated in a day"""


def _bins(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return exponent and leading mantissa bits as one number; of positive floats they are in order."""
    return np.maximum(values, LEAST_S).view(np.int64) >> _SHIFT


class Histogram:
    """Counts of times per row, over as many octaves as were seen in any of them."""

    def __init__(self, rows: int) -> None:
        self._counts = np.zeros((rows, 0), _COUNT)
        self._first = 0

    def add(self, rows: NDArray[np.int64], times_s: NDArray[np.float64]) -> None:
        """Count times, in seconds, each in its row."""
        if not times_s.size:
            return
        bins = _bins(times_s)
        self._cover(int(bins.min()), int(bins.max()))
        np.add.at(self._counts.reshape(-1), rows * self._counts.shape[1] + (bins - self._first), _COUNT(1))

    def quantile_s(self, p: float) -> NDArray[np.float64]:
        """Return a quantile per row in seconds, within ``ERROR_RATIO`` of the exact one; nan where nothing was counted.

        Args:
            p: from 0 to 1.

        Source:
            Definition 7 of Hyndman and Fan, as ``runner.stats.summary.quantile`` has for measured times.
        """
        cumulated = self._counts.cumsum(axis=1, dtype=np.int64)
        total = cumulated[:, -1] if cumulated.shape[1] else np.zeros(len(cumulated), np.int64)
        rank = p * np.maximum(total - 1, 0)
        low_s, high_s = (self._middles_s(cumulated, end(rank)) for end in (np.floor, np.ceil))
        between_s: NDArray[np.float64] = low_s + (rank - np.floor(rank)) * (high_s - low_s)
        return np.where(total > 0, between_s, np.nan)

    def _middles_s(self, cumulated: NDArray[np.int64], rank: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return, per row, the middle of the bin that holds the value of this rank, counted from 0."""
        bins: NDArray[np.int64] = self._first + (cumulated <= rank[:, None]).sum(axis=1)
        low_s, high_s = (bins << _SHIFT).view(np.float64), (bins + 1 << _SHIFT).view(np.float64)
        return low_s + (high_s - low_s) / 2

    def _cover(self, low: int, high: int) -> None:
        """Make room for these bins, in whole octaves."""
        width = self._counts.shape[1]
        if width and self._first <= low and high < self._first + width:
            return
        first = low - low % _OCTAVE
        end = high + _OCTAVE - high % _OCTAVE
        if width:
            first, end = min(first, self._first), max(end, self._first + width)
        counts = np.zeros((len(self._counts), end - first), _COUNT)
        counts[:, self._first - first :][:, :width] = self._counts
        self._counts, self._first = counts, first
