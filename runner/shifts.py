"""Which blocks one set of workers takes, and the fresh ones that take over."""

from math import ceil

from runner.bench import Roster

_BLOCKS_PER_FRESH = 4
"""Time for blocks / time for fresh workers. Processes differ by 1 to 3 %, windows of 0.1 s by 5 to 14 %: with those the
variance of a ratio is least, for one total time, when each set takes about sqrt(fresh / block) x 5 blocks."""


class Shifts:
    """Replaces the workers of a model between its blocks, because a process's memory layout is part of its speed.

    The profile's fewest blocks are spread evenly over its sets of workers. A run that goes on beyond them lets each
    set take more where blocks are short, so that starting fresh ones takes no more than a fifth of the time.
    Repeats count as any block does.
    """

    def __init__(self, roster: Roster, number: int) -> None:
        self._roster, self._profile = roster, roster.bench.profile
        self._fewest = max(self._profile.min_blocks, self._profile.replays)
        self._began_at = number
        """the first block of the present workers; those of a resumed run are fresh"""

    def cost_s(self, block_s: float) -> float:
        """Return what fresh workers add to each further block, on average.

        Args:
            block_s: what a block takes.
        """
        return self._roster.fresh_s / self._blocks_each(self._fewest, block_s)

    def due(self, number: int, block_s: float) -> bool:
        """Return whether fresh workers take the block of this number, which takes so long."""
        return number - self._began_at >= self._blocks_each(number, block_s)

    def _blocks_each(self, number: int, block_s: float) -> float:
        fewest = self._profile.blocks_each
        if number < self._fewest or block_s <= 0:
            return fewest
        return max(fewest, ceil(_BLOCKS_PER_FRESH * self._roster.fresh_s / block_s))

    def change(self, number: int) -> None:
        """Put a fresh worker in the place of each, before this block; a contender that does not open again is out."""
        roster, budget = self._roster, self._roster.bench.budget
        began_s, self._began_at = budget.now_s(), number
        roster.bench.progress.say("starting fresh workers")
        gone = dict.fromkeys(cell.contender for cell in roster.ready.values())
        lost = roster.crew.refresh(*gone)
        for contender, error in lost.items():
            roster.fail(roster.cells_of(contender), error)
        if not lost:  # a time limit that one of them ran into says nothing of the others
            roster.fresh_s = budget.now_s() - began_s
