"""Block after block: every ready cell once in random order, until the model is known well enough or time is up."""

from collections.abc import Mapping, Sequence
from math import inf

from runner.bench import Roster
from runner.durations import LONGEST_SHARED_WINDOW, MIN_INFERENCES, WINDOW_S, share_windows, visit_s
from runner.profiles import PROFILES
from runner.report.lines import BlockLine, CellLine
from runner.shifts import Shifts
from runner.stats.effort import blocks_needed
from runner.stats.estimate import LEAST_WORKERS
from runner.stats.intervals import UNKNOWN, RatioInterval, ratio_interval
from runner.visits import take_window

_WINDOW_PARTS = (1, 2, 4, inf)
"""Parts of the meters' shortest window that are tried when the budget is too small for whole ones."""
_FORECAST_BLOCK = 3
"""after which a report says whether its target can be reached: the fewest that have an interval worth the name"""


def run_blocks(roster: Roster, kept_s: float = 0.0) -> None:
    """Visit all cells until the profile is content or the budget ends, and repeat the blocks that were disturbed.

    Args:
        roster: of the model.
        kept_s: time of the budget that something else needs afterwards.
    """
    blocks = _Blocks(roster, kept_s)
    while blocks.fits():
        if blocks.wanted():
            if blocks.number == _FORECAST_BLOCK:
                blocks.forecast()
            blocks.run()
        elif (old := blocks.next_to_repeat()) is not None:
            blocks.run(repeats=old)
        else:
            break
    blocks.say_what_is_missing()
    blocks.close_late_cells()


def run_another_block(roster: Roster) -> None:
    """Visit all cells once more, by whatever workers there are."""
    if roster.ready:
        _Blocks(roster).run()


class _Blocks:
    """The blocks of one model; what they taught so far is in ``roster.so_far``, so that a resumed run goes on alike."""

    def __init__(self, roster: Roster, kept_s: float = 0.0) -> None:
        self._roster, self._bench, self._so_far = roster, roster.bench, roster.so_far
        self._counts = _window_counts(roster)
        self._last_s = 0.0
        self._shifts = Shifts(roster, self.number)
        self._kept_s = kept_s + roster.bench.profile.replays * _block_s(roster, self._counts)
        """for a queue, and the blocks that go with its own"""

    @property
    def number(self) -> int:
        """Of the next block."""
        return self._so_far.blocks

    def wanted(self) -> bool:
        """Return whether the profile asks for another block that is no repeat."""
        profile = self._bench.profile
        if not self._roster.ready or self._so_far.original_count >= profile.max_blocks:
            return False
        widest = self._widest(leave_out=self._left_to_repeat())
        # What is left out may be all that a set of workers took, and fewer sets say less of processes.
        few = widest is not None and widest.worker_count < min(profile.workers, LEAST_WORKERS)
        return self._so_far.original_count < profile.min_blocks or few or self._misses(widest)

    def fits(self) -> bool:
        """Return whether the budget holds another block as long as the last one, and fresh workers if these are due."""
        budget = self._bench.budget
        left_s = (
            budget.for_needs_s
            if self._so_far.original_count < self._bench.profile.min_blocks
            else budget.for_more_s - self._kept_s
        )
        block_s = self._next_block_s
        fresh_s = self._roster.fresh_s if self._shifts.due(self.number, block_s) else 0.0
        return bool(self._roster.ready) and fresh_s + block_s <= left_s

    @property
    def _next_block_s(self) -> float:
        """What the next block is predicted to take."""
        return max(self._last_s, _block_s(self._roster, self._counts))

    def run(self, repeats: int | None = None) -> None:
        """Visit every ready cell once, in random order; by fresh workers once the present ones took their blocks."""
        bench, plan, number = self._bench, self._roster.plan, self.number
        if self._shifts.due(number, self._next_block_s):
            self._shifts.change(number)
        began_s = bench.budget.now_s()
        self._cool_down()
        windows = []
        for cell in plan.block(number, bench.terms.seed):
            if cell.key in self._roster.ready:
                bench.progress.visit(cell, number)
                if window := take_window(self._roster, cell, number, self._counts[cell.key]):
                    windows.append(window)
        line = BlockLine(model=plan.name, block=number, repeats=repeats)
        bench.journal.write(line)
        self._so_far.finish_block(line, windows)
        self._last_s = bench.budget.now_s() - began_s

    def next_to_repeat(self) -> int | None:
        """Return the disturbed block to be repeated next, or None when none is or enough were."""
        return next(iter(self._left_to_repeat()), None)

    def _left_to_repeat(self) -> list[int]:
        """Return the disturbed blocks that are still to be repeated; none once a queue's own blocks have begun."""
        if self._so_far.original_count > self._bench.profile.max_blocks:
            return []
        return self._so_far.to_repeat

    def forecast(self) -> None:
        """Say whether the target can be reached in the budget."""
        bench, widest = self._bench, self._widest()
        if widest is None or not self._misses(widest) or widest.half_width_ratio == inf:
            return
        needed, block_s = blocks_needed(widest, bench.target_ci_ratio), self._next_block_s
        need_s = max(0, needed - self.number) * (block_s + self._shifts.cost_s(block_s))
        reach = "needs" if need_s <= bench.budget.for_more_s else "would need"
        limits = "" if need_s <= bench.budget.for_more_s else ", more than the time budget holds"
        if needed > bench.profile.max_blocks:
            limits += f", more than the profile's {bench.profile.max_blocks:.0f}"
        self._roster.note(
            f"after {self.number} blocks: the target of ±{bench.target_ci_ratio * 100:.2g} % {reach} about {needed} "
            f"blocks, {need_s:.0f} s more{limits}"
        )

    def _misses(self, widest: RatioInterval | None) -> bool:
        """Return whether a ratio is known less well than asked for."""
        return widest is not None and widest.half_width_ratio > self._bench.target_ci_ratio

    def close_late_cells(self) -> None:
        """Call a paced cell overloaded when most of its windows ran past their schedule."""
        for key, cell in list(self._roster.ready.items()):
            windows, late = len(self._so_far.means_s.get(key, ())), self._so_far.late.get(key, 0)
            if late * 2 > windows:
                reason = f"{cell.load.pace_hz:g} images/s asked for; {late} of {windows} windows ran late"
                self._roster.close(cell, "overloaded", reason)

    def say_what_is_missing(self) -> None:
        """Journal what the budget cost: cells without a window, blocks, precision."""
        roster, profile, blocks = self._roster, self._bench.profile, self._so_far.original_count
        if blocks == 0:
            for cell in list(roster.ready.values()):
                roster.close(
                    cell,
                    "skipped",
                    "budget: no block fitted",
                    predicted_inference_s=roster.inference_s[cell.key],
                )
        elif blocks < profile.min_blocks and roster.ready:
            roster.note(f"{blocks} blocks of {profile.min_blocks} fitted the time budget")
        elif (widest := self._widest()) is not None and self._misses(widest):
            self._say_precision(widest)

    def _say_precision(self, widest: RatioInterval) -> None:
        width, target = widest.half_width_ratio, self._bench.target_ci_ratio
        if width == inf or self._bench.profile.replays:  # a queue's batches have no target
            return
        needed = blocks_needed(widest, target)
        advice = (
            f"about {needed} blocks instead of {self._so_far.original_count} would reach it"
            " (a larger --profile or --time-budget)"
            if needed <= PROFILES["publication"].max_blocks
            else "this machine is too unsteady for it now"
        )
        known = f"±{width * 100:.2g} %" if width < 1 else f"a factor of {1 + width:.2g}"
        self._roster.note(
            f"ratios to the baseline are known to {known} at worst, the target is ±{target * 100:.2g} %; {advice}"
        )

    def _cool_down(self) -> None:
        waited_s = self._bench.cool_down.wait()
        if self._bench.cool_down.hit_cap:
            self._roster.note(
                f"block {self.number + 1} began hot: {waited_s:.0f} s did not cool the CPU down"
            )

    def _widest(self, leave_out: Sequence[int] = ()) -> RatioInterval | None:
        """Return the ratio to the baseline that is known least, over the blocks that count; None without any."""
        so_far, baseline = self._so_far, self._roster.baseline
        keys = {(cell.contender, cell.load, cell.io): key for key, cell in self._roster.ready.items()}
        ratios = []
        for (contender, load, io), key in keys.items():
            base_key = keys.get((baseline, load, io)) if baseline else None
            if contender == baseline or base_key is None:
                continue
            own, base = so_far.means_s.get(key, {}), so_far.means_s.get(base_key, {})
            blocks = sorted((own.keys() & base.keys()) - so_far.repeated - set(leave_out))
            if not blocks:
                return UNKNOWN
            takers = ([so_far.takers[each][block] for block in blocks] for each in (key, base_key))
            workers = min(takers, key=lambda numbers: len(set(numbers)))
            ratios.append(ratio_interval([own[b] for b in blocks], [base[b] for b in blocks], workers))
        return max(ratios, key=lambda ratio: ratio.half_width_ratio, default=None)


def block_s(roster: Roster) -> float:
    """Return what another block is predicted to take."""
    return _block_s(roster, _window_counts(roster))


def _window_counts(roster: Roster) -> Mapping[str, int]:
    """Return the inferences of each cell's windows: as asked for, or the next smaller that the budget holds."""
    bench, cells = roster.bench, tuple(roster.ready.values())
    if cells and all(cell.inferences_per_window for cell in cells):  # a resumed run's are fixed
        return {cell.key: cell.inferences_per_window or 0 for cell in cells}
    target_s = max(WINDOW_S, bench.meters.minimum_window_s)
    asked = (target_s, MIN_INFERENCES, LONGEST_SHARED_WINDOW)
    shorter = ((max(WINDOW_S, target_s / part), 1, LONGEST_SHARED_WINDOW) for part in _WINDOW_PARTS)
    left_s = bench.budget.for_needs_s - (bench.profile.workers - 1) * roster.fresh_s
    for size in dict.fromkeys((asked, *shorter, (WINDOW_S, 1, 1.0))):
        counts = share_windows(cells, roster.inference_s, *size)
        if bench.profile.min_blocks * _block_s(roster, counts) <= left_s:
            break
    if cells and size != asked:
        of = f" {size[0]:g} s instead of {target_s:g} s and" if size[0] < target_s else ""
        roster.note(
            f"windows of{of} {size[1]} instead of {MIN_INFERENCES} inferences, to fit the time budget"
        )
    for key, count in counts.items():
        roster.ready[key] = roster.ready[key].model_copy(update={"inferences_per_window": count})
        bench.journal.write(CellLine(entry=roster.ready[key]))
    return counts


def _block_s(roster: Roster, counts: Mapping[str, int]) -> float:
    """Return what a block is predicted to take."""
    return sum(visit_s(cell, roster.inference_s[key], counts[key]) for key, cell in roster.ready.items())
