"""Servers that take what measured windows took, in their order, block by block."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from runner.stats.estimate import LEAST_WORKERS, NORMAL_95
from runner.stats.intervals import LAYOUT_SD
from runner.twin.service import Counts, Floats, Rows
from runner.twin.surface import Surface

_ROUNDING = 1e-9
"""of a place in a window, in inferences: above what sums of a thousand fractions lose, far below one"""


@dataclass(frozen=True, slots=True)
class Windows:
    """What was measured around the means, by source (batch size and gap) and block, flattened in this order."""

    blocks: tuple[int, ...]
    """numbers of the run's blocks; what was measured in one of them shares the machine's mood"""
    workers: tuple[int, ...]
    """by block, which process took it"""
    relative: Floats
    """all latencies, window after window, as a share of the mean of their source"""
    first: Counts
    """the place of a window's first latency"""
    length: Counts
    cost_off: Floats
    """by window: mean cost beyond what its latencies explain, as a share of the mean cost of its source"""

    @property
    def evidence(self) -> int:
        """How many independent pieces of evidence there are: processes from three on, else blocks."""
        workers = len(set(self.workers))
        return workers if workers >= LEAST_WORKERS else len(self.blocks)


class Resampled:
    """One server per row, each a cursor into the windows of a block.

    It reads a window's latencies in the order in which they were measured, and at its end goes to its next block. Where
    the next batch is of another source, it goes on there at the same share of that window. Every row knows only
    blocks that were drawn for it with replacement, as many as there are: so rows differ by what the calibration does
    not know as well as by chance. What lasts longer than a window shows in these differences and not within a row.
    A row's randomness is all drawn at the start and is its own: it does not depend on what other rows do, nor its
    blocks on what it is asked, so that policies can be compared row by row.

    Source:
        Carlstein, The Use of Subseries Values for Estimating the Variance of a General Statistic from a Stationary
        Sequence, Annals of Statistics 14 (1986): whole blocks that do not overlap.
        Barton, Nelson and Xie, Quantifying Input Uncertainty via Simulation Confidence Intervals, INFORMS Journal on
        Computing 26 (2014): bootstrap samples of inputs, a simulation of each.
    """

    def __init__(
        self,
        surface: Surface,
        windows: Windows,
        scale: Floats,
        picks: NDArray[np.int64],
        begin: Floats,
    ) -> None:
        self._surface, self._windows = surface, windows
        self._scale, self._sizes = scale.reshape(-1), scale.shape[1]
        self._picks, self._slots = picks.reshape(-1), picks.shape[1]
        self._slot = np.zeros(len(picks), np.int64)
        self._block = picks[:, 0].copy()
        self._read = begin.copy()
        """by row, the share of its window that is read"""

    def draw(self, rows: Rows, counts: Counts, idle_s: Floats) -> tuple[Floats, Floats]:
        """Return service times in seconds, and costs with those of the idle gaps before."""
        places = self._surface.places(counts, idle_s)
        latency_s, cost, power = self._surface.means(places, idle_s)
        window = self._surface.sources.reshape(-1).take(places) * len(self._windows.blocks)
        window += self._block.take(rows)
        length = self._windows.length.take(window)
        inference = self._windows.first.take(window) + self._next(rows, length)
        scale = self._scale.take(rows * self._sizes + counts)
        latency_s *= scale
        service_s = latency_s * self._windows.relative.take(inference, mode="clip")
        cost *= scale + self._windows.cost_off.take(window)
        cost += power * (service_s - latency_s)
        return service_s, cost

    def _next(self, rows: Rows, length: Counts) -> Counts:
        """Return places in windows of these lengths; rows that come to the end of theirs go to their next block."""
        at = self._read.take(rows) * length + _ROUNDING
        place = at.astype(np.int64)
        ended = np.flatnonzero(place + 1 >= length)
        self._read[rows] = (at + 1.0) / length
        if ended.size:
            over = rows[ended]
            slot = (self._slot[over] + 1) % self._slots
            self._slot[over], self._read[over] = slot, 0.0
            self._block[over] = self._picks.take(over * self._slots + slot)
        return place


def start(  # noqa: PLR0913, PLR0917 - what a server is made of
    surface: Surface, windows: Windows, error_ratio: float, name: str, rows: int, rng: np.random.Generator
) -> Resampled:
    """Return fresh servers.

    Equal generators give equal blocks to the rows of every backend that was measured in the same blocks, so that what
    the machine did to all of them cancels where two are compared. What is each backend's own does not cancel: the
    errors of interpolation, and the memory layout of its process where there were too few of them to show it.

    Args:
        surface: means.
        windows: what was measured around them.
        error_ratio: bound of the error of interpolation between batch sizes.
        name: of the backend.
        rows: how many servers.
        rng: all randomness.
    """
    seed = int(rng.integers(1 << 32))
    picks = _pick_blocks(windows, rows, np.random.default_rng(seed))
    own = np.random.default_rng((seed, crc32(name.encode())))
    scale = _layout(windows, rows, own) * _interpolation(surface, error_ratio, rows, own)
    return Resampled(surface, windows, scale, picks, rng.random(rows))


def _pick_blocks(windows: Windows, rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return places of blocks by row: with replacement from all, or from processes drawn first, from three on.

    A process is drawn as often as it has blocks, and then any of these: so all blocks count alike.
    """
    count = len(windows.blocks)
    names, process = np.unique(windows.workers, return_inverse=True)
    if names.size < LEAST_WORKERS:
        return rng.integers(count, size=(rows, count))
    drawn = process[rng.integers(count, size=(rows, names.size))]
    chosen = drawn[:, np.arange(count) % names.size]
    sizes = np.bincount(process)
    firsts = sizes.cumsum() - sizes
    within = (rng.random((rows, count)) * sizes[chosen]).astype(np.int64)
    picks: NDArray[np.int64] = np.argsort(process, kind="stable")[firsts[chosen] + within]
    return picks


def _layout(windows: Windows, rows: int, rng: np.random.Generator) -> Floats:
    """Return a factor by row: how another process might differ from the few that were measured."""
    workers = len(set(windows.workers))
    spread = LAYOUT_SD / workers**0.5 if workers < LEAST_WORKERS else 0.0
    return np.exp(spread * rng.standard_normal((rows, 1)))


def _interpolation(surface: Surface, error_ratio: float, rows: int, rng: np.random.Generator) -> Floats:
    """Return a factor by row and batch size: 1 where measured, and up to the error's spread halfway between.

    The bound counts as a 95 % limit. Between two points the error of a straight line is that of a parabola.
    """
    sizes = np.array(surface.sizes)
    counts = np.arange(sizes[-1] + 1)
    segment = np.clip(sizes.searchsorted(counts, side="right") - 1, 0, max(sizes.size - 2, 0))
    if sizes.size == 1:
        return np.ones((rows, counts.size))
    share = np.maximum(counts - sizes[segment], 0) / (sizes[segment + 1] - sizes[segment])
    bulge = 4 * share * (1 - share) * error_ratio / NORMAL_95
    scale: Floats = np.exp(rng.standard_normal((rows, sizes.size - 1))[:, segment] * bulge)
    return scale
