"""The cells of a run and what their windows say."""

from collections.abc import Mapping
from typing import Final, Literal

from runner.backends.interface import Device, Io
from runner.contender import Contender
from runner.meters.interface import Domain
from runner.report.schema.record import Count, Interval, Limits, Positive, Record
from runner.report.schema.windows import Load

NOT_REACHED: Final = "not reached"
"""reason of a cell that is planned, until something is known of it"""
OWN_DOMAIN: Mapping[Device, Domain | None] = {"cpu": "cpu_package", "gpu": "gpu", "other": None}
"""by device that computes: the domain without which no joules are its energy; None: no meter reads it"""


class EnergySummary(Record):
    """Energy per image over one set of domains."""

    domains: tuple[Domain, ...]
    sources: tuple[str, ...]
    status: Literal["measured", "estimated"]
    window_count: Count
    """those in which all these domains were read; the others are left out"""
    per_image_j: Interval
    """for estimates the limits are the error band and no confidence interval"""
    net_per_image_j: Interval | None = None
    """without what the idle machine draws in that time; null where idle power was not measured"""
    net_reliable: bool = False
    """false where idle power before and after the run differ by more than 5 %"""
    sampled_ratio: float | None = None
    """mean over windows of sampled power's energy / the counter's, where a GPU gave both"""
    bound_ratio: float | None = None
    """largest over windows of the error that the meters' update periods allow / the energy; null for estimates"""


class CellSummary(Record):
    """What the paired and unpaired windows of a cell say; absolute figures hold for this run only."""

    window_count: Count
    inference_count: Count
    latency_s: Interval
    latency_p50_s: float | None
    """null below 20 inferences (10 / (1 - p))"""
    latency_p90_s: float | None
    """null below 100 inferences"""
    latency_p50_limits_s: Limits | None = None
    """by bootstrap over windows; null below 30 of them, as are the next"""
    latency_p90_limits_s: Limits | None = None
    images_per_s: Interval
    cpu_s_per_image: Interval
    cpu_occupancy: bool
    """true back to back: threads x latency, which never ranks"""
    cpu_per_wall_ratio: float
    energy: EnergySummary | None
    variation_ratio: float | None = None
    """standard deviation / mean of its windows' mean latencies; null below two"""
    outlier_count: Count = 0
    unstable: str = ""
    """why these windows scatter or drift more than a figure should, with what to do; empty for a steady cell"""


class Cell(Record):
    """model x variant x backend x load x io, and what became of it."""

    key: str
    model: str
    variant: str
    backend: str
    load: Load
    io: Io
    status: Literal["measured", "failed", "skipped", "overloaded"]
    reason: str = ""
    predicted_inference_s: float | None = None
    """from smaller batches, for a cell that was skipped"""
    first_inference_s: float | None = None
    """the first run of this shape: algorithm search and arena growth"""
    warm_up_inferences: Count = 0
    inferences_per_window: Positive | None = None
    peak_memory_bytes: Count | None = None
    """of the worker's process once this cell had run; batches run in ascending order"""
    predicted_memory_bytes: Count | None = None
    """what this cell would have needed, when it was skipped for memory"""
    summary: CellSummary | None = None

    @property
    def contender(self) -> Contender:
        """Whose cell it is."""
        return Contender(self.variant, self.backend)
