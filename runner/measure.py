"""One model: open it under every backend, prepare its cells, then block after block until it is known well enough."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf, sqrt
from statistics import fmean

from runner.backends.spec import BackendSpec
from runner.budget import Budget
from runner.cpu import machine_busy_s
from runner.crew import BackendLostError, Crew, Terms
from runner.errors import JoulebatchError
from runner.meters.recorder import MeterSet
from runner.plan import (
    MIN_INFERENCES,
    WINDOW_S,
    ModelPlan,
    Profile,
    period_s,
    predict_inference_s,
    share_windows,
    smallest_run_s,
    visit_s,
)
from runner.progress import Progress
from runner.protocol import Measure, Measurement, Opened, Prepare
from runner.report.journal import BlockLine, CellLine, Journal, NoteLine, SessionLine, WindowLine
from runner.report.schema import Cell, Parity, SessionEntry, Window
from runner.stats.intervals import ratio_interval
from runner.workers import CellFailedError, WorkerLostError

_UNTRUSTED_PLACEMENTS = ("none", "partial-compute")
LATE_FLAG = "late"
"""the last inference of a paced window ran past its schedule"""
UNSETTLED_FLAG = "another worker was still busy"


@dataclass(frozen=True, slots=True)
class Bench:
    """What every model of a run is measured with."""

    specs: Sequence[BackendSpec]
    baseline: str
    profile: Profile
    target_ci_ratio: float
    allow_fallback: bool
    terms: Terms
    seed: int
    journal: Journal
    meters: MeterSet
    budget: Budget
    progress: Progress


def measure_model(plan: ModelPlan, bench: Bench) -> None:
    """Measure one model and journal what was learned.

    Raises:
        InterruptedRunError: a signal came; everything up to the last window is journaled.
        FileError: the journal cannot be written.
    """
    bench.budget.begin_model()
    with Crew(plan.file, bench.specs, bench.terms) as crew:
        measuring = ModelMeasuring(plan, bench, crew)
        measuring.open_sessions()
        measuring.prepare_cells()
        measuring.run_blocks()


class ModelMeasuring:
    """The state of one model while it is measured: which cells are still in, and what they are known to take."""

    def __init__(self, plan: ModelPlan, bench: Bench, crew: Crew) -> None:
        self._plan, self._bench, self._crew = plan, bench, crew
        self._live: dict[str, Cell] = {cell.key: cell for cell in plan.cells}
        self._ready: dict[str, Cell] = {}
        self._inference_s: dict[str, float] = {}
        self._means_s: dict[str, dict[int, float]] = {cell.key: {} for cell in plan.cells}
        self._late: dict[str, int] = {cell.key: 0 for cell in plan.cells}

    def open_sessions(self) -> None:
        """Open the model everywhere; a backend that cannot, or that fell back, costs its own cells."""
        self._bench.progress.say(f"{self._plan.file.name}: opening")
        for label, opened in self._crew.open_all().items():
            entry = self._session_entry(label, opened)
            self._bench.journal.write(SessionLine(entry=entry))
            if entry.status == "failed":
                self._lose_backend(label, entry.reason)

    def prepare_cells(self) -> None:
        """Run every shape once, ascending, and warm it up, as far as the budget allows."""
        prepared: dict[tuple[str, int, str], Cell] = {}
        for cell in self._plan.cells:
            if cell.key not in self._live or self._does_not_fit(cell):
                continue
            self._bench.progress.say(
                f"{cell.model}: warming up {cell.backend} at batch {cell.load.batch_size}"
            )
            shape = (cell.backend, cell.load.batch_size, cell.io)
            if shape not in prepared and (fresh := self._prepare(cell)):
                prepared[shape] = fresh
            if shape in prepared:
                self._admit(cell, prepared[shape])

    def run_blocks(self) -> None:
        """Visit all cells in random order, again and again, until the profile is content or the budget ends."""
        profile, budget = self._bench.profile, self._bench.budget
        counts = self._window_counts()
        number = 0
        while self._ready and number < profile.max_blocks:
            left_s = budget.for_needs_s if number < profile.min_blocks else budget.for_more_s
            if self._blocks_s(counts, 1) > left_s:
                break
            for cell in self._plan.block(number, self._bench.seed):
                if cell.key in self._ready:
                    self._visit(cell, number, counts[cell.key])
            self._bench.journal.write(
                BlockLine(model=self._plan.file.name, variant=self._plan.file.variant, block=number)
            )
            number += 1
            if number >= profile.min_blocks and self._half_width_ratio() <= self._bench.target_ci_ratio:
                break
        self._conclude(number)

    def _session_entry(self, label: str, opened: Opened | JoulebatchError) -> SessionEntry:
        file = self._plan.file
        names = {"model": file.name, "variant": file.variant, "backend": label}
        if isinstance(opened, JoulebatchError):
            return SessionEntry(**names, status="failed", reason=str(opened))
        placement = opened.placement
        fell_back = placement["label"] in _UNTRUSTED_PLACEMENTS and not self._bench.allow_fallback
        where = ", ".join(
            f"{count} nodes on {name}" for name, count in placement["nodes_by_provider"].items()
        )
        return SessionEntry(
            **names,
            status="failed" if fell_back else "opened",
            reason=f"placement {placement['label']} ({where}); --allow-fallback measures it all the same"
            if fell_back
            else "",
            placement=placement["label"],
            nodes_by_provider=placement["nodes_by_provider"],
            heavy_on_cpu=placement["heavy_on_cpu"],
            facts=dict(opened.facts),
            open_s=opened.open_s,
            parity=Parity(**opened.parity)
            if opened.parity
            else Parity(
                status="unavailable", reason="the file has no reference outputs; export it with joulebatch"
            ),
        )

    def _does_not_fit(self, cell: Cell) -> bool:
        """Skip a cell whose smallest run is predicted not to fit beside those already admitted."""
        predicted_s = self._predict_s(cell)
        admitted_s = sum(
            self._bench.profile.min_blocks * visit_s(each, self._inference_s[key], 1)
            for key, each in self._ready.items()
        )
        need_s = admitted_s + smallest_run_s((cell,), {cell.key: predicted_s}, self._bench.profile)
        left_s = self._bench.budget.for_needs_s
        if need_s <= left_s:
            return False
        reason = f"budget: needs {need_s:.0f} s with what comes before it, {max(0.0, left_s):.0f} s are left"
        self._close(cell, "skipped", reason, predicted_inference_s=predicted_s)
        return True

    def _predict_s(self, cell: Cell) -> float:
        """Return a cell's inference time, scaled from the largest batch of its backend that was run."""
        known = [
            (each.load.batch_size, self._inference_s[key])
            for key, each in self._ready.items()
            if (each.backend, each.io) == (cell.backend, cell.io)
        ]
        if not known:
            return predict_inference_s(self._plan.file, cell.load.batch_size)
        batch_size, seconds = max(known)
        return seconds * max(1.0, cell.load.batch_size / batch_size)

    def _prepare(self, cell: Cell) -> Cell | None:
        rule = self._bench.profile.warm_up
        request = Prepare(cell.load.batch_size, cell.io, rule.inferences, rule.cap_s, rule.steady)
        try:
            done = self._crew.prepare(cell.backend, request, self._predict_s(cell))
        except (CellFailedError, WorkerLostError, BackendLostError) as error:
            self._fail(cell, error)
            return None
        self._inference_s[cell.key] = done.inference_s
        if done.capped:
            self._note(
                f"{cell.key}: no steady state within {rule.cap_s:g} s of warm-up; rerun on a quieter machine"
            )
        return cell.model_copy(
            update={
                "first_inference_s": done.first_inference_s,
                "warm_up_inferences": done.warm_up_inferences,
            }
        )

    def _admit(self, cell: Cell, prepared: Cell) -> None:
        """Take a cell whose shape is bound and warm into the blocks, unless its pace is above its capacity."""
        inference_s = self._inference_s[prepared.key]
        self._inference_s[cell.key] = inference_s
        if (period := period_s(cell.load)) is not None and inference_s > period:
            capacity_hz = cell.load.batch_size / inference_s
            self._close(
                cell, "overloaded", f"{cell.load.pace_hz:g} images/s asked for, capacity {capacity_hz:.3g}"
            )
            return
        back_to_back = cell.load.pace_hz is None
        facts = ("first_inference_s", "warm_up_inferences") if back_to_back else ()
        self._ready[cell.key] = cell.model_copy(update={name: getattr(prepared, name) for name in facts})

    def _window_counts(self) -> Mapping[str, int]:
        """Return the inferences of each cell's windows: as asked for, or the next smaller that the budget holds."""
        cells = tuple(self._ready.values())
        target_s = max(WINDOW_S, self._bench.meters.minimum_window_s)
        sizes = [
            (target_s, MIN_INFERENCES),
            *((max(WINDOW_S, target_s / part), 1) for part in (1, 2, 4, inf)),
        ]
        for window_s, floor in dict.fromkeys(sizes):
            counts = share_windows(cells, self._inference_s, window_s, floor)
            if self._blocks_s(counts, self._bench.profile.min_blocks) <= self._bench.budget.for_needs_s:
                break
        if (window_s, floor) != sizes[0]:
            shorter = f" of at least {window_s:g} s instead of {target_s:g} s" if window_s < target_s else ""
            self._note(
                f"{self._plan.file.name}: windows{shorter} of at least {floor} inferences instead of {MIN_INFERENCES}, "
                "so that all cells fit the time budget"
            )
        for key, count in counts.items():
            self._ready[key] = self._ready[key].model_copy(update={"inferences_per_window": count})
            self._bench.journal.write(CellLine(entry=self._ready[key]))
        return counts

    def _blocks_s(self, counts: Mapping[str, int], blocks: int) -> float:
        return blocks * sum(
            visit_s(cell, self._inference_s[key], counts[key]) for key, cell in self._ready.items()
        )

    def _visit(self, cell: Cell, block: int, count: int) -> None:
        """Measure one window and journal it."""
        bench = self._bench
        bench.progress.visit(cell, block)
        settled = self._crew.settle(cell.backend)
        request = Measure(cell.load.batch_size, cell.io, count, period_s(cell.load))
        predicted_s = visit_s(cell, self._inference_s[cell.key], count)
        busy_before_s = machine_busy_s()
        spent_before_s = self._crew.cpu_s(cell.backend)
        try:
            bench.meters.begin()
            measured = self._crew.measure(cell.backend, request, predicted_s)
        except (CellFailedError, WorkerLostError, BackendLostError) as error:
            bench.meters.cancel()
            self._fail(cell, error)
            return
        energy = bench.meters.end(measured.started_s, measured.ended_s)
        foreign_s = _foreign_s(
            busy_before_s, machine_busy_s(), spent_before_s, self._crew.cpu_s(cell.backend)
        )
        flags = (*(() if settled else (UNSETTLED_FLAG,)), *((LATE_FLAG,) if measured.late_s > 0 else ()))
        self._means_s[cell.key][block] = fmean(measured.latencies_s)
        self._late[cell.key] += measured.late_s > 0
        window = _window(cell, block, measured).model_copy(
            update={"foreign_cpu_s": foreign_s, "flags": flags, "energy": energy}
        )
        bench.journal.write(WindowLine(entry=window, latencies_s=measured.latencies_s))

    def _half_width_ratio(self) -> float:
        """Return the widest half-width of a ratio to the baseline, as the target asks for it; 0 without any."""
        cells = {(cell.backend, cell.load, cell.io): self._means_s[key] for key, cell in self._ready.items()}
        widths = [0.0]
        for (backend, load, io), own in cells.items():
            base = cells.get((self._bench.baseline, load, io))
            if backend == self._bench.baseline or base is None:
                continue
            blocks = sorted(own.keys() & base.keys())
            ratio = ratio_interval([own[b] for b in blocks], [base[b] for b in blocks])
            widths.append(
                inf if ratio.low is None or ratio.high is None else sqrt(ratio.high / ratio.low) - 1
            )
        return max(widths)

    def _conclude(self, blocks: int) -> None:
        """Say what the budget cost, and which cells could not hold their pace."""
        for key, cell in list(self._ready.items()):
            windows = len(self._means_s[key])
            if windows == 0:
                self._close(cell, "skipped", "budget: no block fitted")
            elif self._late[key] * 2 > windows:
                reason = f"{cell.load.pace_hz:g} images/s asked for; {self._late[key]} of {windows} windows ran late"
                self._close(cell, "overloaded", reason)
        profile, target = self._bench.profile, self._bench.target_ci_ratio
        if self._ready and 0 < blocks < profile.min_blocks:
            self._note(
                f"{self._plan.file.name}: {blocks} blocks of {profile.min_blocks} fitted the time budget"
            )
        width = self._half_width_ratio()
        if blocks >= profile.min_blocks and target < width < inf:
            # The half-width falls with the square root of the number of blocks.
            more = blocks * (width / target) ** 2
            self._note(
                f"{self._plan.file.name}: ratios to the baseline are known to ±{width:.1%}, the target is ±{target:.1%}; "
                f"about {more:.0f} blocks instead of {blocks} would reach it (a larger --time-budget, or --profile standard)"
            )

    def _lose_backend(self, label: str, reason: str) -> None:
        for cell in [cell for cell in self._live.values() if cell.backend == label]:
            self._close(cell, "failed", reason)

    def _fail(self, cell: Cell, error: JoulebatchError) -> None:
        """Take a shape out: the cell that failed, and the other loads of the same batch."""
        if isinstance(error, BackendLostError):
            self._lose_backend(cell.backend, str(error))
            return
        shape = (cell.backend, cell.load.batch_size, cell.io)
        for each in [c for c in self._live.values() if (c.backend, c.load.batch_size, c.io) == shape]:
            self._close(each, "failed", str(error))

    def _close(self, cell: Cell, status: str, reason: str, **facts: float) -> None:
        """Journal what became of a cell that is not visited any more."""
        cell = self._ready.pop(cell.key, cell)
        self._live.pop(cell.key, None)
        self._bench.journal.write(
            CellLine(entry=cell.model_copy(update={"status": status, "reason": reason, **facts}))
        )

    def _note(self, text: str) -> None:
        self._bench.journal.write(NoteLine(text=text))


def _window(cell: Cell, block: int, measured: Measurement) -> Window:
    return Window(
        cell=cell.key,
        block=block,
        paired=False,
        started_s=measured.started_s,
        wall_s=measured.ended_s - measured.started_s,
        inference_count=len(measured.latencies_s),
        latency_mean_s=fmean(measured.latencies_s),
        cpu_s=measured.cpu_s,
        foreign_cpu_s=None,
    )


def _foreign_s(
    busy_before_s: float | None,
    busy_after_s: float | None,
    own_before_s: float | None,
    own_after_s: float | None,
) -> float | None:
    """Return the CPU time that was not the worker's around a window, or None where the system does not tell."""
    if busy_before_s is None or busy_after_s is None or own_before_s is None or own_after_s is None:
        return None
    return max(0.0, busy_after_s - busy_before_s - (own_after_s - own_before_s))
