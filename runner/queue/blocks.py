"""The queue of one model: every policy at every rate, block by block on the same arrivals."""

import random

from runner.bench import Roster
from runner.blocks import block_s, run_another_block
from runner.queue.admission import Admitted, admit, close
from runner.queue.arrivals import arrivals_s
from runner.queue.visits import take_queue_window
from runner.report.lines import QueueBlockLine
from runner.shifts import Shifts


def run_queue(roster: Roster) -> None:
    """Replay all cells as often as the profile says, and repeat the blocks that were disturbed.

    Before each block, batches are measured once more: what they take wanders with the machine.
    """
    if not roster.plan.queue:
        return
    blocks = _QueueBlocks(roster)
    while (repeats := blocks.next_to_repeat()) is not None or blocks.wanted:
        if not blocks.fits():
            blocks.say_what_is_missing()
            break
        blocks.run(None if blocks.wanted else repeats)


class _QueueBlocks:
    """What was replayed so far is in ``roster.so_far.queue``, so that a resumed run goes on alike."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._so_far = roster.so_far.queue
        self._windows = roster.bench.profile.replays
        windows, profile = max(1, self._windows - self._so_far.original_count), roster.bench.profile
        around_s = windows * block_s(roster) + (profile.workers - 1) * roster.fresh_s
        self._cells = admit(roster, windows, roster.bench.budget.for_needs_s, around_s)
        self._shifts = Shifts(roster, self._so_far.blocks)

    @property
    def _calibrations(self) -> int:
        """How many blocks of batches go with those of the queue."""
        so_far = self._roster.so_far
        return so_far.original_count - self._roster.bench.profile.min_blocks

    @property
    def wanted(self) -> bool:
        """Whether a block is missing that repeats no other."""
        return bool(self._cells) and self._so_far.original_count < self._windows

    def next_to_repeat(self) -> int | None:
        """Return the disturbed block to be repeated next, or None when none is or enough were."""
        return next(iter(self._so_far.to_repeat), None) if self._cells else None

    def fits(self) -> bool:
        """Return whether the budget holds another block, and fresh workers if these are due."""
        fresh_s = self._roster.fresh_s if self._shifts.due(self._so_far.blocks, self._block_s) else 0.0
        return fresh_s + self._block_s <= self._roster.bench.budget.for_needs_s

    @property
    def _block_s(self) -> float:
        return block_s(self._roster) + sum(each.window_s for each in self._cells.values())

    def run(self, repeats: int | None) -> None:
        """Replay one pattern of arrivals in every cell, in random order."""
        bench, plan, number = self._roster.bench, self._roster.plan, self._so_far.blocks
        if self._shifts.due(number, self._block_s):
            self._shifts.change(number)
        if self._calibrations <= number:  # a resumed run has it already
            run_another_block(self._roster)
        self._close_lost()
        windows = []
        order = random.Random(f"{bench.terms.seed}/{plan.name}/queue/{number}")  # noqa: S311 - an order, no secret
        for key in order.sample(sorted(self._cells), len(self._cells)):
            bench.progress.say(f"block {number + 1}, {key}")
            window = take_queue_window(
                self._roster, self._cells[key], number, self._arrivals_s(self._cells[key], number)
            )
            if window:
                windows.append(window)
            if self._so_far.cells.get(key) and self._so_far.cells[key].status in {"failed", "overloaded"}:
                del self._cells[key]
        line = QueueBlockLine(model=plan.name, block=number, repeats=repeats)
        bench.journal.write(line)
        self._so_far.count_block(line, windows)

    def _close_lost(self) -> None:
        """Close the cells of contenders that did not open again."""
        there = {cell.contender for cell in self._roster.ready.values()}
        for key, each in list(self._cells.items()):
            if each.cell.contender not in there:
                close(
                    self._roster,
                    each.cell,
                    "failed",
                    f"{each.cell.contender} was lost when it was started anew",
                )
                del self._cells[key]

    def say_what_is_missing(self) -> None:
        """Journal what the budget cost."""
        if self._so_far.original_count == 0:
            for each in self._cells.values():
                close(self._roster, each.cell, "skipped", "budget: no block fitted")
        elif self.wanted:
            self._roster.note(
                f"{self._so_far.original_count} queue blocks of {self._windows} fitted the time budget"
            )

    def _arrivals_s(self, admitted: Admitted, block: int) -> tuple[float, ...]:
        load, seed = admitted.cell.load, self._roster.bench.terms.seed
        return arrivals_s(load.arrivals, admitted.rate_hz, load.request_count, seed, block)
