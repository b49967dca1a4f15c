"""What a report holds of the batching study: policies at request rates, replayed live and by the twin."""

from typing import Literal

from runner.contender import Contender
from runner.meters.interface import Domain
from runner.report.schema.record import AboveZero, Count, Interval, NotNegative, Positive, Record
from runner.report.schema.windows import ConditionsRecord, EnergyRecord
from runner.stats.compare import Verdict

QueueMetric = Literal["response", "cpu_s_per_image", "energy_per_image"]
QueueStatus = Literal["measured", "failed", "skipped", "overloaded"]
QueueCost = Literal["cpu_s_per_image", "energy_per_image"]


class QueueLoad(Record):
    """Requests that arrive, and the policy that makes batches of them."""

    policy: str
    arrivals: str
    request_rate_hz: AboveZero | None
    """mean arrivals per second; null for a trace and a relative load until they are about to be replayed"""
    relative_load: AboveZero | None = None
    """the rate as a share of the backend's capacity, where it was asked for so"""
    request_count: Count
    """of one window"""
    decoded: bool = False
    """whether images are decoded and transformed within the served time"""


class QueueWindow(Record):
    """One replayed trace: the statistical unit of the study. Its requests are in the journal."""

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
    """from the start of the trace to when its last batch was served"""
    request_count: Count
    served_count: Count
    """fewer where the window was given up, because a request had waited too long"""
    cpu_s: NotNegative
    """CPU time of the worker, all threads"""
    busy_cpu_s: NotNegative
    """of it within services, decoding included"""
    late_s: float
    """how long after the moment that its policy chose a batch was dispatched, on average: the loop's own error"""
    conditions: ConditionsRecord | None = None
    disturbed: str = ""
    """the recorded cause for which the whole block is to be repeated; empty for a window like any other"""
    flags: tuple[str, ...] = ()
    energy: tuple[EnergyRecord, ...] = ()
    poller_cpu_s: float = 0.0
    """CPU time that reading the meters took meanwhile, by our own process; 0 without meters"""


class Times(Record):
    """How long something took, over requests; limits of the mean are over windows."""

    mean_s: Interval
    p50_s: float | None
    """null below 20 requests (10 / (1 - p)), as are the next below 200 and 1000"""
    p95_s: float | None
    p99_s: float | None
    max_s: float


class QueueEnergy(Record):
    """Energy of served requests, split by what the machine draws at rest."""

    domains: tuple[Domain, ...]
    sources: tuple[str, ...]
    window_count: Count
    per_image_j: Interval
    active_per_image_j: Interval | None
    """above what the idle machine draws with the sessions loaded; null where that was not measured"""
    idle_per_image_j: Interval | None
    """what the idle machine would have drawn anyway, busy or not"""
    average_w: Interval
    busy_w: Interval | None
    """average over services, idle power in between; null where idle power was not measured"""


class QueueSummary(Record):
    """What the windows of a queue cell say; absolute figures hold for this run only."""

    window_count: Count
    request_count: Count
    served_count: Count
    wait: Times
    """from arrival to dispatch"""
    service: Times
    """of the batch that a request is in, without decoding"""
    response: Times
    """from arrival to the end of its batch"""
    decode_mean_s: Interval | None = None
    """of a batch, weighted by its requests; null without images"""
    batch_counts: tuple[tuple[Positive, Count], ...]
    """batch size and how many batches were of it, ascending"""
    batch_mean: float
    """requests per batch"""
    utilisation_ratio: Interval
    """busy / (busy + idle) time of the server"""
    queue_mean: Interval
    """requests that wait, averaged over time"""
    queue_max: int
    queue_lengths: tuple[float, ...]
    """mean over windows of the mean queue in equal parts of a window, from its start on"""
    images_per_s: Interval
    cpu_s_per_image: Interval
    busy_cpu_s_per_image: Interval
    """of it within services; the rest is spent while the server waits"""
    energy: QueueEnergy | None
    late_ratio: float
    """mean lateness of the loop itself / mean gap between arrivals"""
    doubt: str = ""
    """why this cell is shown and never compared; empty for one that counts"""


class QueuePrediction(Record):
    """What the twin says of a cell, from this run's own windows of batches after gaps and on arrivals of its own."""

    stable: bool
    """false where the queue would grow without bound"""
    response_mean_s: Interval
    """limits hold 95 % of replays like the live ones, calibration included"""
    response_p95_s: Interval
    service_mean_s: Interval
    batch_mean: float
    utilisation_ratio: float
    cost_per_image: Interval
    cost_metric: QueueCost
    interpolation_ratio: float
    """largest relative error of batch times that were predicted from their neighbours'"""


class QueueCell(Record):
    """model x variant x backend x policy x rate, and what became of it."""

    key: str
    model: str
    variant: str
    backend: str
    load: QueueLoad
    status: QueueStatus
    reason: str = ""
    capacity_hz: float | None = None
    """requests per second that the policy could serve at most, from service times measured before"""
    expected_service_s: tuple[float, ...] | None = None
    """what its policy was told that batches take, by size, entry 0 unused; null for policies that need not know"""
    summary: QueueSummary | None = None
    prediction: QueuePrediction | None = None
    """null where the twin cannot be calibrated"""

    @property
    def contender(self) -> Contender:
        """Whose cell it is."""
        return Contender(self.variant, self.backend)


class QueueComparison(Record):
    """A queue cell against another of the same rate, paired over blocks that replayed the same arrivals."""

    cell: str
    baseline_cell: str
    against: Literal["policy", "backend"]
    """what differs between the two: the policy, or who serves (the backend, the variant or both)"""
    metric: QueueMetric
    ratio: float
    """below 1 is less than the baseline"""
    low: float | None
    high: float | None
    pair_count: int
    verdict: Verdict
    worker_count: int
    cliffs_delta: float | None


class QueueTest(Record):
    """A rank test over the cells of one model, variant, backend and rate."""

    model: str
    variant: str
    backend: str
    arrivals: str
    request_rate_hz: float | None
    relative_load: float | None
    factor: Literal["policy", "batch size"]
    """batch size: among fixed batches only"""
    metric: QueueMetric
    test: Literal["friedman", "wilcoxon"]
    cells: tuple[str, ...]
    """all of the family for Friedman, a cell and the first one for Wilcoxon"""
    block_count: int
    statistic: float
    p: float
    p_holm: float | None
    """Holm's adjusted p over the Wilcoxon tests of the family; null for Friedman's"""


class QueueStudy(Record):
    """The part of a report that ``joulebatch queue`` fills."""

    cells: tuple[QueueCell, ...]
    windows: tuple[QueueWindow, ...] = ()
    comparisons: tuple[QueueComparison, ...] = ()
    tests: tuple[QueueTest, ...] = ()
