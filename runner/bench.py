"""What a run measures with, and the cells of one model that are still in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from runner.backends.spec import BackendSpec
from runner.budget import Budget
from runner.clock import InterruptibleClock
from runner.conditions import Observer
from runner.config import RunConfig
from runner.contender import Contender
from runner.errors import JoulebatchError
from runner.idle import IdleProbe, idle_duration_s
from runner.interruption import Interruption
from runner.machine.cooling import CoolDown
from runner.machine.memory import MemoryForecast
from runner.machine.sensors import CpuSensors
from runner.meters.recorder import MeterSet
from runner.plan import ModelPlan
from runner.profiles import Profile, profile_of
from runner.progress import Progress
from runner.report.journal import Journal
from runner.report.lines import CellLine, NoteLine
from runner.report.schema import Cell, SessionEntry
from runner.selection import Selection
from runner.so_far import ModelSoFar, SoFar
from runner.workers.crew import BackendLostError, Crew, Terms

Bound = tuple[Contender, tuple[int, ...], str]
"""what a worker binds and warms up once for all loads: contender, batch sizes of one inference, and io"""


@dataclass(frozen=True, slots=True)
class Bench:
    """What every model of a run is measured with."""

    specs: Sequence[BackendSpec]
    baseline: str
    profile: Profile
    target_ci_ratio: float
    allow_fallback: bool
    allow_other_outputs: bool
    """whether variants are each held against their own outputs"""
    images: tuple[str, ...]
    """that the queue decodes; empty for inputs that are ready"""
    terms: Terms
    journal: Journal
    meters: MeterSet
    budget: Budget
    observer: Observer
    cool_down: CoolDown
    idle: IdleProbe
    progress: Progress


@dataclass(frozen=True, slots=True)
class Gear:
    """What a run has open."""

    journal: Journal
    meters: MeterSet
    observer: Observer
    interruption: Interruption
    progress: Progress


def equip(config: RunConfig, selection: Selection, gear: Gear, so_far: SoFar) -> Bench:
    """Return the bench of a run that is about to begin, or to go on with what is left of its time."""
    clock, profile = InterruptibleClock(gear.interruption.wait), profile_of(config)
    left_s = None
    if config.time_budget_s is not None:
        last_s = idle_duration_s("after", profile.name, gear.meters) if gear.meters.measures else 0.0
        left_s = max(0.0, config.time_budget_s - so_far.measured_s - last_s)
    budget = Budget(
        left_s, [plan.predicted_s for plan in selection.plan if not so_far.models[plan.name].done]
    )
    return Bench(
        specs=selection.specs,
        baseline=selection.baseline,
        profile=profile,
        target_ci_ratio=config.target_ci_ratio,
        allow_fallback=config.allow_fallback,
        allow_other_outputs=config.allow_other_outputs,
        images=tuple(map(str, selection.images)),
        terms=Terms(gear.interruption, config.seed, lambda: budget.left_s),
        journal=gear.journal,
        meters=gear.meters,
        budget=budget,
        observer=gear.observer,
        cool_down=CoolDown(CpuSensors().temperature_celsius, clock),
        idle=IdleProbe(gear.meters, clock),
        progress=gear.progress,
    )


class Roster:
    """The cells of one model: which are still in, which are ready, and what an inference of them takes."""

    def __init__(self, plan: ModelPlan, bench: Bench, crew: Crew, so_far: ModelSoFar) -> None:
        self.plan, self.bench, self.crew = plan, bench, crew
        self.so_far = so_far
        """what earlier stretches of this run learned, and this one learns"""
        self.memory = MemoryForecast()
        self.baseline = next((each for each in plan.contenders if each.backend == bench.baseline), None)
        """with which all others are compared: the baseline backend with the first variant that it runs"""
        self.live: dict[str, Cell] = {cell.key: cell for cell in plan.cells if not so_far.is_closed(cell)}
        """not failed, skipped or overloaded"""
        self.ready: dict[str, Cell] = {}
        """bound, warm, and visited in every block"""
        self.inference_s: dict[str, float] = {}
        """by cell: as seen at the end of the warm-up"""
        self.sessions: dict[Contender, SessionEntry] = {}
        """those that opened"""
        self.fresh_s = 0.0
        """what fresh workers in the place of all take: predicted, and then as the last ones took"""

    def close(
        self, cell: Cell, status: Literal["failed", "skipped", "overloaded"], reason: str, **facts: float
    ) -> None:
        """Journal what became of a cell that is not visited any more."""
        latest = self.ready.pop(cell.key, cell)
        self.live.pop(cell.key, None)
        update: dict[str, Any] = {"status": status, "reason": reason, **facts}
        self.bench.journal.write(CellLine(entry=latest.model_copy(update=update)))

    def fail(self, cells: Sequence[Cell], error: JoulebatchError) -> None:
        """Take out the cells that an error cost, or all of a contender that is lost."""
        if isinstance(error, BackendLostError):
            cells = self.cells_of(cells[0].contender)
        for cell in cells:
            self.close(cell, "failed", str(error).removesuffix("."))

    def cells_of(self, contender: Contender) -> tuple[Cell, ...]:
        """Return the cells of a contender that are still in."""
        return tuple(cell for cell in self.live.values() if cell.contender == contender)

    def note(self, text: str) -> None:
        """Journal what a reader of the report must know of this model."""
        self.bench.journal.write(NoteLine(text=f"{self.plan.name}: {text}"))


def bound_of(cell: Cell) -> Bound:
    """Return what the cell runs that was bound and warmed up once."""
    return (cell.contender, cell.load.sizes, cell.io)
