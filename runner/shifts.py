"""Which blocks one set of workers takes, and the fresh ones that take over."""

from math import ceil, sqrt

from runner.bench import Roster

_SCATTER_RATIO = 3.0
"""How much more a pair of windows scatters than a pair of processes. On 2 shared cores ratios of windows scattered by
3 to 8 %, and those of ten fresh pairs of ShuffleNet's processes by 1.3 %, 40 s each (``benchmarks/aa.py --pairs``)."""


class Shifts:
    """Replaces the workers of a model between its blocks, because a process's memory layout is part of its speed.

    The fewest blocks are spread over as many sets of workers as the profile asks for. After that a set takes as many
    blocks as make the ratios known best for the time: the more, the longer fresh workers take.

    Source:
        Cochran, Sampling Techniques, 3rd ed. (1977), section 10.6: the best number of units within each cluster is
        sqrt(cost of a cluster / cost of a unit) times the ratio of their standard deviations.
    """

    def __init__(self, roster: Roster, number: int) -> None:
        self._roster, self._profile = roster, roster.bench.profile
        self._began_at = number
        """the first block of the present workers; those of a resumed run are fresh"""

    def due(self, number: int, block_s: float) -> bool:
        """Return whether fresh workers take this block.

        Args:
            number: of the block.
            block_s: what the last one took.
        """
        return self._profile.workers > 1 and number - self._began_at >= self._blocks_each(number, block_s)

    def change(self, number: int) -> None:
        """Put a fresh worker in the place of each, before this block; a backend that does not open again is out."""
        roster, budget = self._roster, self._roster.bench.budget
        began_s, self._began_at = budget.now_s(), number
        labels = dict.fromkeys(cell.backend for cell in roster.ready.values())
        roster.bench.progress.say("starting fresh workers")
        for label, error in roster.crew.refresh(*labels).items():
            roster.fail(roster.cells_of(label), error)
        roster.fresh_s = budget.now_s() - began_s

    def _blocks_each(self, number: int, block_s: float) -> int:
        if number < self._profile.min_blocks:
            return ceil(self._profile.min_blocks / self._profile.workers)
        return max(1, round(_SCATTER_RATIO * sqrt(self._roster.fresh_s / block_s)))
