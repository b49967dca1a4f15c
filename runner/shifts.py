"""Which blocks one set of workers takes, and the fresh ones that take over."""

from runner.bench import Roster


class Shifts:
    """Replaces the workers of a model between its blocks, because a process's memory layout is part of its speed.

    Every set takes the same number of blocks, so that each is worth the same: few, because fresh workers are cheap
    beside blocks and more sets are better evidence than more blocks of one. Repeats count as any block does.
    """

    def __init__(self, roster: Roster, number: int) -> None:
        self._roster, self._blocks_each = roster, roster.bench.profile.blocks_each
        self._began_at = number
        """the first block of the present workers; those of a resumed run are fresh"""

    @property
    def cost_s(self) -> float:
        """What fresh workers add to each block, on average."""
        return self._roster.fresh_s / self._blocks_each

    def due(self, number: int) -> bool:
        """Return whether fresh workers take the block of this number."""
        return number - self._began_at >= self._blocks_each

    def change(self, number: int) -> None:
        """Put a fresh worker in the place of each, before this block; a backend that does not open again is out."""
        roster, budget = self._roster, self._roster.bench.budget
        began_s, self._began_at = budget.now_s(), number
        roster.bench.progress.say("starting fresh workers")
        labels = dict.fromkeys(cell.backend for cell in roster.ready.values())
        lost = roster.crew.refresh(*labels)
        for label, error in lost.items():
            roster.fail(roster.cells_of(label), error)
        if not lost:  # a time limit that one of them ran into says nothing of the others
            roster.fresh_s = budget.now_s() - began_s
