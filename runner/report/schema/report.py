"""A report as a whole, which is what ``report.json`` holds."""

from typing import Final, Literal

from runner.contender import Contender
from runner.report.schema.cells import Cell
from runner.report.schema.claims import BackendChoice, BestSet, Comparison, SupplementaryTest
from runner.report.schema.contenders import BackendEntry, ModelEntry, Quality, SessionEntry
from runner.report.schema.findings import Finding
from runner.report.schema.provenance import Environment, MeterEntry, Provenance, Resume
from runner.report.schema.queue import QueueStudy
from runner.report.schema.record import NotNegative, Record, Timestamp
from runner.report.schema.windows import IdleWindow, Window

SCHEMA_VERSION: Final = 1


class Report(Record):
    """Everything one run produced."""

    schema_version: Literal[1] = SCHEMA_VERSION
    report_id: str
    name: str | None
    status: Literal["running", "interrupted", "complete"]
    started_at: Timestamp
    ended_at: Timestamp | None
    measured_s: NotNegative
    """wall time from start to the last window"""
    joulebatch: str
    provenance: Provenance
    environment: Environment
    meters: tuple[MeterEntry, ...]
    models: tuple[ModelEntry, ...]
    backends: tuple[BackendEntry, ...]
    sessions: tuple[SessionEntry, ...]
    cells: tuple[Cell, ...]
    windows: tuple[Window, ...]
    comparisons: tuple[Comparison, ...]
    best_sets: tuple[BestSet, ...]
    choices: tuple[BackendChoice, ...]
    tests: tuple[SupplementaryTest, ...] = ()
    """publication profile only; they decide nothing"""
    queue: QueueStudy | None = None
    """of ``joulebatch queue``"""
    idle: tuple[IdleWindow, ...] = ()
    resumes: tuple[Resume, ...] = ()
    minimum_detectable_ratio: float | None
    """the median over cells of the smallest ratio to the baseline that this run could have told from 1 (as 1.04)"""
    notes: tuple[str, ...]
    """what a reader must know: budgets, fallbacks, random weights"""
    findings: tuple[Finding, ...] = ()
    """what the figures give away, with remedies"""

    @property
    def baseline_label(self) -> str:
        """The label of the baseline backend, which may have been asked for by its spec."""
        asked = self.provenance.baseline
        return next((each.label for each in self.backends if asked in {each.label, each.spec}), asked)

    @property
    def baselines(self) -> dict[str, Contender]:
        """By model, with whom its others are compared: the baseline backend with the first variant that it runs."""
        label = self.baseline_label
        # From the last on, so that the first stays.
        return {cell.model: cell.contender for cell in reversed(self.cells) if cell.backend == label}

    @property
    def barred(self) -> dict[tuple[str, str], Quality]:
        """By model and variant, the quality with which it never wins; those that may are absent."""
        return {
            (entry.name, entry.variant): entry.quality
            for entry in self.models
            if entry.quality == "lost"
            or (entry.quality == "unverified" and not self.provenance.allow_unverified)
        }

    def variants_of(self, model: str) -> tuple["ModelEntry", ...]:
        """The files of a model, in the order of the run."""
        return tuple(entry for entry in self.models if entry.name == model)

    @property
    def model_names(self) -> tuple[str, ...]:
        """The models, in the order of the run."""
        return tuple(dict.fromkeys(entry.name for entry in self.models))
