"""What a report holds, as written to ``report.json``; schema version 0 until version 1 is frozen.

Everything is frozen and in full precision. Units are suffixes. ``null`` means unavailable, never 0. Every summary
can be recomputed from ``windows`` and, for percentiles, from ``samples.parquet``.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from runner.backends.interface import Device, Io
from runner.conditions import Conditions
from runner.contender import Contender
from runner.meters.interface import Domain, Energy
from runner.report.findings_schema import Finding
from runner.report.queue_schema import QueueStudy
from runner.report.record import Interval, Limits, RatioLimits, Record
from runner.stats.compare import Verdict

SCHEMA_VERSION: Final = 0
NOT_REACHED: Final = "not reached"
"""reason of a cell that is planned, until something is known of it"""

Metric = Literal["latency", "cpu_s_per_image", "energy_per_image"]
CostMetric = Literal["cpu_s_per_image", "energy_per_image"]
Moment = Literal["before", "loaded", "after"]
Quality = Literal["reference", "verified", "unverified", "lost"]
OWN_DOMAIN: Mapping[Device, Domain | None] = {"cpu": "cpu_package", "gpu": "gpu", "other": None}
"""by device that computes: the domain without which no joules are its energy; None: no meter reads it"""
UNTRUSTED_PLACEMENTS = ("partial-compute", "none")
"""of sessions whose figures are not those of the backend that was asked for"""


class Gpu(Record):
    """One GPU as NVML names it."""

    uuid: str
    name: str
    driver: str
    memory_bytes: int
    power_limit_w: float | None


class Git(Record):
    """The user's own repository in which the run was started."""

    commit: str
    dirty: bool


class Environment(Record):
    """The machine and software of a run."""

    host: str
    os: str
    kernel: str
    python: str
    cpu: str
    cores: int
    """logical processors of the machine"""
    usable_cores: float
    """what affinity and the cgroup's quota leave"""
    memory_bytes: int
    governor: str | None
    hypervisor: bool
    gpus: tuple[Gpu, ...]
    versions: dict[str, str]
    git: Git | None


class Parity(Record):
    """Whether a session, or a variant's file, computes the reference outputs."""

    status: Literal["passed", "failed", "unavailable"]
    reason: str = ""
    reference: str = ""
    """whose outputs they are, where no exporter left any: "outputs of cpu" says that backends agree, and no more"""
    max_error_ratio: float | None = None
    """largest absolute difference as a share of the reference's range"""
    tolerance_ratio: float | None = None
    top1_agreement_ratio: float | None = None


class ModelEntry(Record):
    """A model of the run."""

    name: str
    variant: str
    file: str
    sha256: str
    size_bytes: int
    opset: int | None
    fixed_batch: int | None
    """the only batch size of a model without a dynamic batch"""
    weights: str
    """one line; says random loudly; "as in the file" without a manifest"""
    weights_kind: Literal["pretrained", "local", "random", "unknown"]
    year: int | None
    paper: str | None
    published_accuracy: dict[str, float]
    parameter_count: int | None
    multiply_adds: int | None
    quality: Quality = "reference"
    """of a variant: unverified where nothing can tell (random weights), lost where its outputs are too far off"""
    parity: Parity | None = None
    """of a variant's file with the reference outputs, when it was made; null for the reference"""


class BackendEntry(Record):
    """A backend of the run."""

    label: str
    """unique within the run: the spec as written, or its LABEL="""
    spec: str
    name: str
    device: Device
    options: dict[str, str]
    """every option with the value in force"""
    interpreter: str | None = None
    """path of the Python that runs it, where that is not our own"""


class SessionEntry(Record):
    """A model opened under a backend, or why it was not."""

    model: str
    variant: str
    backend: str
    status: Literal["opened", "failed"]
    reason: str = ""
    placement: Literal["full", "partial-shape-only", "partial-compute", "none"] | None = None
    nodes_by_provider: dict[str, int] = Field(default_factory=dict)
    heavy_on_cpu: tuple[str, ...] = ()
    facts: dict[str, str] = Field(default_factory=dict)
    open_s: float | None = None
    parity: Parity | None = None

    @property
    def contender(self) -> Contender:
        """Whose session it is."""
        return Contender(self.variant, self.backend)


class Load(Record):
    """How inferences are asked for."""

    batch_size: int
    """of a mixed load the sum of its sizes"""
    pace_hz: float | None
    """images per second; None is without a schedule"""
    gap_s: float = 0.0
    """idle time before each inference of a load without a schedule; 0 is back to back"""
    mixed: tuple[int, ...] = ()
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
    block: int
    paired: bool
    """true for windows of a finished block that no other repeats; figures are made of these where a cell has any"""
    repeated_by: int | None = None
    """the block that stands in for this window's, which was finished and disturbed"""
    worker: int = 0
    """which process of the backend took it: 0 is the first, each fresh one counts on"""
    started_s: float
    """monotonic clock of this machine"""
    wall_s: float
    inference_count: int
    latency_mean_s: float
    """of the window's inferences; from the scheduled start for paced loads"""
    cpu_s: float
    """CPU time of the worker, all threads"""
    conditions: Conditions | None = None
    """what else happened meanwhile"""
    disturbed: str = ""
    """the recorded cause for which the whole block is to be repeated; empty for a window like any other"""
    outlier: bool = False
    """beyond 3.5 MAD of its cell; flagged, and never a reason to leave it out"""
    flags: tuple[str, ...] = ()
    energy: tuple[Annotated[Energy, Field(discriminator="status")], ...] = ()
    poller_cpu_s: float = 0.0
    """CPU time that reading the meters took meanwhile, by our own process; 0 without meters"""


class EnergySummary(Record):
    """Energy per image over one set of domains."""

    domains: tuple[Domain, ...]
    sources: tuple[str, ...]
    status: Literal["measured", "estimated"]
    window_count: int
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

    window_count: int
    inference_count: int
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
    outlier_count: int = 0
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
    warm_up_inferences: int = 0
    inferences_per_window: int | None = None
    peak_memory_bytes: int | None = None
    """of the worker's process once this cell had run; batches run in ascending order"""
    predicted_memory_bytes: int | None = None
    """what this cell would have needed, when it was skipped for memory"""
    summary: CellSummary | None = None

    @property
    def contender(self) -> Contender:
        """Whose cell it is."""
        return Contender(self.variant, self.backend)


class Comparison(Record):
    """A contender against the baseline at the same model, load and io, paired over blocks."""

    cell: str
    baseline_cell: str
    metric: Metric
    ratio: float
    """below 1 is less than the baseline"""
    low: float | None
    high: float | None
    pair_count: int
    verdict: Verdict
    worker_count: int = 1
    """fresh pairs of workers behind the pairs of windows: from 3 on they are what the interval counts"""
    with_disturbed: RatioLimits | None = None
    """the same with the disturbed blocks that were repeated; null where there was none"""
    cliffs_delta: float | None = None
    """P(window above the baseline's) - P(below), from -1 to 1"""


class BestSet(Record):
    """The cells of one model and load that no simultaneous interval separates from the best."""

    model: str
    variant: str | None
    """of all candidates; null where several competed"""
    load: Load
    metric: Metric
    best: str
    """cell with the lowest mean"""
    members: tuple[str, ...]
    """cells, the best included; only the best when ``apparent``"""
    apparent: bool
    """quick profile: the lowest figure, without the claim of a set"""


class BackendChoice(Record):
    """For one model and backend: the cell of most images per second and the one of least cost per image."""

    model: str
    variant: str | None
    """the only one that was planned; null where there were several"""
    backend: str
    most_images: str | None
    """cell"""
    least_cost: str | None
    """cell"""
    cost_metric: CostMetric | None
    cost_candidates: int
    """how many cells could be compared for cost; 1 means there was no choice"""


class SupplementaryTest(Record):
    """A rank test beside the intervals, within the family of one model, load, io and metric."""

    model: str
    variant: str | None
    """of the whole family; null where it has several"""
    load: Load
    io: Io
    metric: Metric
    test: Literal["friedman", "wilcoxon"]
    cells: tuple[str, ...]
    """all of the family for Friedman, a cell and the baseline's for Wilcoxon"""
    block_count: int
    statistic: float
    p: float
    p_holm: float | None
    """Holm's adjusted p over the Wilcoxon tests of the family; null for Friedman's"""


class IdleWindow(Record):
    """The machine at rest."""

    moment: Moment
    """before the first worker, with the sessions of one model open, after the last worker"""
    model: str | None
    """whose sessions were open"""
    variant: str | None = None
    """the only one of that model, in reports that kept variants apart"""
    started_s: float
    wall_s: float
    foreign_cpu_s: float | None
    """CPU time of everything on the machine: how idle it was"""
    energy: tuple[Annotated[Energy, Field(discriminator="status")], ...]


class Resume(Record):
    """The run went on after it had been interrupted or killed."""

    at: str
    """ISO 8601 with zone"""
    argv: tuple[str, ...]
    dropped_bytes: int
    """of a torn last line"""
    measured_s: float
    """wall time of the run up to its interruption"""


class MeterEntry(Record):
    """A domain of energy on this machine: read, or why not."""

    domain: Domain
    status: Literal["measured", "estimated", "unavailable"]
    source: str = ""
    devices: tuple[str, ...] = ()
    reason: str = ""
    remedy: str = ""
    tick_s: float | None = None
    """time between two changes of the counter, measured at the start"""
    tick_j: float | None = None
    """the smallest change seen then"""


class Provenance(Record):
    """How the run was asked for."""

    argv: tuple[str, ...]
    seed: int
    profile: Literal["quick", "standard", "publication"]
    time_budget_s: float | None
    target_ci_ratio: float
    baseline: str
    allow_unverified: bool = False
    """whether variants of unverified quality may win"""
    config: dict[str, object]
    """the whole validated configuration"""
    files: dict[str, str] = Field(default_factory=dict)
    """sha256 of what was served beside the models, by what the command line calls it: a trace, a folder of images"""


class Report(Record):
    """Everything one run produced."""

    schema_version: Literal[0] = SCHEMA_VERSION
    report_id: str
    name: str | None
    status: Literal["running", "interrupted", "complete"]
    started_at: str
    """ISO 8601 with zone"""
    ended_at: str | None
    measured_s: float
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
