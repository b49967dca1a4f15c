"""What was measured: timed stretches under a load, and of the machine at rest."""

from typing import Annotated, Literal

from pydantic import Field

from runner.conditions import Conditions
from runner.meters.interface import Energy
from runner.report.schema.record import AboveZero, Count, NotNegative, Positive, Record
from runner.report.schema.unknown import WITH_UNKNOWN

Moment = Literal["before", "loaded", "after"]
EnergyRecord = Annotated[Energy, Field(discriminator="status"), WITH_UNKNOWN]
ConditionsRecord = Annotated[Conditions, WITH_UNKNOWN]


class Load(Record):
    """How inferences are asked for."""

    batch_size: Positive
    """of a mixed load the sum of its sizes"""
    pace_hz: AboveZero | None
    """images per second; None is without a schedule"""
    gap_s: NotNegative = 0.0
    """idle time before each inference of a load without a schedule; 0 is back to back"""
    mixed: tuple[Positive, ...] = ()
    """the batch sizes of one pass, in their order; a pass counts as one inference. Empty for one batch size"""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Batch sizes of one inference, in their order."""
        return self.mixed or (self.batch_size,)

    @property
    def has_gaps(self) -> bool:
        """Whether time may lie between two inferences."""
        return self.pace_hz is not None or self.gap_s > 0

    @property
    def is_back_to_back(self) -> bool:
        """Whether inferences of one batch size follow each other with nothing between them."""
        return not self.has_gaps and not self.mixed


class Window(Record):
    """A timed stretch of whole inferences or pacing periods: the statistical unit."""

    cell: str
    block: Count
    paired: bool
    """true for windows of a finished block that no other repeats; figures are made of these where a cell has any"""
    repeated_by: int | None = None
    """the block that stands in for this window's, which was finished and disturbed"""
    worker: Count = 0
    """which process of the backend took it: 0 is the first, each fresh one counts on"""
    started_s: float
    """monotonic clock of this machine"""
    wall_s: AboveZero
    inference_count: Positive
    latency_mean_s: AboveZero
    """of the window's inferences; from the scheduled start for paced loads"""
    cpu_s: NotNegative
    """CPU time of the worker, all threads"""
    conditions: ConditionsRecord | None = None
    """what else happened meanwhile"""
    disturbed: str = ""
    """the recorded cause for which the whole block is to be repeated; empty for a window like any other"""
    outlier: bool = False
    """beyond 3.5 MAD of its cell; flagged, and never a reason to leave it out"""
    flags: tuple[str, ...] = ()
    energy: tuple[EnergyRecord, ...] = ()
    poller_cpu_s: float = 0.0
    """CPU time that reading the meters took meanwhile, by our own process; 0 without meters"""


class IdleWindow(Record):
    """The machine at rest."""

    moment: Moment
    """before the first worker, with the sessions of one model open, after the last worker"""
    model: str | None
    """whose sessions were open"""
    variant: str | None = None
    """the only one of that model, in reports that kept variants apart"""
    started_s: float
    wall_s: AboveZero
    foreign_cpu_s: NotNegative | None
    """CPU time of everything on the machine: how idle it was"""
    energy: tuple[EnergyRecord, ...]
