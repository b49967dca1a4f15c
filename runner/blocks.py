"""Block after block: every ready cell once in random order, until the model is known well enough or time is up."""

from collections.abc import Mapping
from math import inf, sqrt
from statistics import fmean

from runner.bench import Roster
from runner.crew import BackendLostError
from runner.plan import (
    LONGEST_SHARED_WINDOW,
    MIN_INFERENCES,
    PROFILES,
    WINDOW_S,
    period_s,
    share_windows,
    visit_s,
)
from runner.protocol import Measure
from runner.report.journal import BlockLine, CellLine, WindowLine
from runner.report.schema import Cell, Window
from runner.stats.intervals import ratio_interval
from runner.workers import CellFailedError, WorkerLostError

LATE_FLAG = "late"
"""the last inference of a paced window ran past its schedule"""
UNSETTLED_FLAG = "another worker was still busy"

_WINDOW_PARTS = (1, 2, 4, inf)
"""Parts of the meters' shortest window that are tried when the budget is too small for whole ones."""

_REACHABLE_BLOCKS = PROFILES["publication"].max_blocks


def run_blocks(roster: Roster) -> None:
    """Visit all cells, again and again, until the profile is content or the budget ends."""
    bench, plan = roster.bench, roster.plan
    profile, budget = bench.profile, bench.budget
    counts = _window_counts(roster)
    visits = _Visits(roster)
    block, last_block_s = 0, 0.0
    while roster.ready and block < profile.max_blocks:
        left_s = budget.for_needs_s if block < profile.min_blocks else budget.for_more_s
        if max(last_block_s, _block_s(roster, counts)) > left_s:
            break
        began_s = budget.now_s()
        for cell in plan.block(block, bench.terms.seed):
            if cell.key in roster.ready:
                bench.progress.visit(cell, block)
                visits.visit(cell, block, counts[cell.key])
        bench.journal.write(BlockLine(model=plan.file.name, variant=plan.file.variant, block=block))
        last_block_s = budget.now_s() - began_s
        block += 1
        if block >= profile.min_blocks and visits.half_width_ratio() <= bench.target_ci_ratio:
            break
    visits.close_late_cells()
    _say_what_is_missing(roster, block, visits.half_width_ratio())


def _window_counts(roster: Roster) -> Mapping[str, int]:
    """Return the inferences of each cell's windows: as asked for, or the next smaller that the budget holds."""
    bench, cells = roster.bench, tuple(roster.ready.values())
    target_s = max(WINDOW_S, bench.meters.minimum_window_s)
    asked = (target_s, MIN_INFERENCES, LONGEST_SHARED_WINDOW)
    shorter = ((max(WINDOW_S, target_s / part), 1, LONGEST_SHARED_WINDOW) for part in _WINDOW_PARTS)
    for size in dict.fromkeys((asked, *shorter, (WINDOW_S, 1, 1.0))):
        counts = share_windows(cells, roster.inference_s, *size)
        if bench.profile.min_blocks * _block_s(roster, counts) <= bench.budget.for_needs_s:
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
    return sum(visit_s(cell, roster.inference_s[key], counts[key]) for key, cell in roster.ready.items())


def _say_what_is_missing(roster: Roster, blocks: int, width: float) -> None:
    """Journal what the budget cost: cells without a window, blocks, precision."""
    profile, target = roster.bench.profile, roster.bench.target_ci_ratio
    if blocks == 0:
        for cell in list(roster.ready.values()):
            roster.close(
                cell, "skipped", "budget: no block fitted", predicted_inference_s=roster.inference_s[cell.key]
            )
    elif blocks < profile.min_blocks and roster.ready:
        roster.note(f"{blocks} blocks of {profile.min_blocks} fitted the time budget")
    elif target < width < inf:
        # The half-width falls with the square root of the number of blocks.
        needed = blocks * (width / target) ** 2
        advice = (
            f"about {needed:.0f} blocks instead of {blocks} would reach it (a larger --profile or --time-budget)"
            if needed <= _REACHABLE_BLOCKS
            else "this machine is too unsteady for it now"
        )
        known = f"±{width * 100:.2g} %" if width < 1 else f"a factor of {1 + width:.2g}"
        roster.note(
            f"ratios to the baseline are known to {known} at worst, the target is ±{target * 100:.2g} %; {advice}"
        )


class _Visits:
    """Takes the windows of one model, and remembers of each what stopping needs."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._means_s: dict[str, dict[int, float]] = {key: {} for key in roster.ready}
        self._late: dict[str, int] = dict.fromkeys(roster.ready, 0)

    def visit(self, cell: Cell, block: int, count: int) -> None:
        """Measure one window and journal it; a cell that fails is taken out."""
        bench, crew = self._roster.bench, self._roster.crew
        settled = crew.settle(cell.backend)
        request = Measure(cell.load.batch_size, cell.io, count, period_s(cell.load))
        predicted_s = visit_s(cell, self._roster.inference_s[cell.key], count)
        bench.meters.begin()
        try:
            measured = crew.measure(cell.backend, request, predicted_s)
        except (CellFailedError, WorkerLostError, BackendLostError) as error:
            bench.meters.cancel()
            self._roster.fail((cell,), error)
            return
        late = measured.late_s > 0
        window = Window(
            cell=cell.key,
            block=block,
            paired=False,
            started_s=measured.started_s,
            wall_s=measured.ended_s - measured.started_s,
            inference_count=len(measured.latencies_s),
            latency_mean_s=fmean(measured.latencies_s),
            cpu_s=measured.cpu_s,
            flags=(*(() if settled else (UNSETTLED_FLAG,)), *((LATE_FLAG,) if late else ())),
            energy=bench.meters.end(measured.started_s, measured.ended_s),
        )
        bench.journal.write(WindowLine(entry=window, latencies_s=measured.latencies_s))
        self._means_s[cell.key][block] = window.latency_mean_s
        self._late[cell.key] += late

    def half_width_ratio(self) -> float:
        """Return the widest half-width of a ratio to the baseline, as the target asks for it; 0 without any."""
        cells = {(c.backend, c.load, c.io): self._means_s[key] for key, c in self._roster.ready.items()}
        baseline, widths = self._roster.bench.baseline, [0.0]
        for (backend, load, io), own in cells.items():
            base = cells.get((baseline, load, io))
            if backend == baseline or base is None:
                continue
            blocks = sorted(own.keys() & base.keys())
            if not blocks:
                return inf
            ratio = ratio_interval([own[b] for b in blocks], [base[b] for b in blocks])
            widths.append(
                inf if ratio.low is None or ratio.high is None else sqrt(ratio.high / ratio.low) - 1
            )
        return max(widths)

    def close_late_cells(self) -> None:
        """Call a paced cell overloaded when most of its windows ran past their schedule."""
        for key, cell in list(self._roster.ready.items()):
            windows, late = len(self._means_s[key]), self._late[key]
            if late * 2 > windows:
                reason = f"{cell.load.pace_hz:g} images/s asked for; {late} of {windows} windows ran late"
                self._roster.close(cell, "overloaded", reason)
