"""What a run measures with, and the cells of one model that are still in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from runner.backends.spec import BackendSpec
from runner.budget import Budget
from runner.conditions import Observer
from runner.cooling import CoolDown
from runner.crew import BackendLostError, Crew, Terms
from runner.errors import JoulebatchError
from runner.idle import IdleProbe
from runner.memory import MemoryForecast
from runner.meters.recorder import MeterSet
from runner.plan import ModelPlan, Profile
from runner.progress import Progress
from runner.report.journal import CellLine, Journal, NoteLine
from runner.report.schema import Cell, SessionEntry
from runner.so_far import ModelSoFar


@dataclass(frozen=True, slots=True)
class Bench:
    """What every model of a run is measured with."""

    specs: Sequence[BackendSpec]
    baseline: str
    profile: Profile
    target_ci_ratio: float
    allow_fallback: bool
    terms: Terms
    journal: Journal
    meters: MeterSet
    budget: Budget
    observer: Observer
    cool_down: CoolDown
    idle: IdleProbe
    progress: Progress


class Roster:
    """The cells of one model: which are still in, which are ready, and what an inference of them takes."""

    def __init__(self, plan: ModelPlan, bench: Bench, crew: Crew, so_far: ModelSoFar) -> None:
        self.plan, self.bench, self.crew = plan, bench, crew
        self.so_far = so_far
        """what earlier stretches of this run learned, and this one learns"""
        self.memory = MemoryForecast()
        self.live: dict[str, Cell] = {cell.key: cell for cell in plan.cells if not so_far.is_closed(cell)}
        """not failed, skipped or overloaded"""
        self.ready: dict[str, Cell] = {}
        """bound, warm, and visited in every block"""
        self.inference_s: dict[str, float] = {}
        """by cell: as seen at the end of the warm-up"""
        self.sessions: dict[str, SessionEntry] = {}
        """by backend: those that opened"""

    def close(
        self, cell: Cell, status: Literal["failed", "skipped", "overloaded"], reason: str, **facts: float
    ) -> None:
        """Journal what became of a cell that is not visited any more."""
        latest = self.ready.pop(cell.key, cell)
        self.live.pop(cell.key, None)
        update: dict[str, Any] = {"status": status, "reason": reason, **facts}
        self.bench.journal.write(CellLine(entry=latest.model_copy(update=update)))

    def fail(self, cells: Sequence[Cell], error: JoulebatchError) -> None:
        """Take out the cells that an error cost, or all of a backend that is lost."""
        if isinstance(error, BackendLostError):
            cells = self.cells_of(cells[0].backend)
        for cell in cells:
            self.close(cell, "failed", str(error).removesuffix("."))

    def cells_of(self, label: str) -> tuple[Cell, ...]:
        """Return the cells of a backend that are still in."""
        return tuple(cell for cell in self.live.values() if cell.backend == label)

    def note(self, text: str) -> None:
        """Journal what a reader of the report must know of this model."""
        self.bench.journal.write(NoteLine(text=f"{self.plan.file.name}: {text}"))


def shape_of(cell: Cell) -> tuple[str, int, str]:
    """Return what a worker binds once for all loads: backend, batch size and io."""
    return (cell.backend, cell.load.batch_size, cell.io)
