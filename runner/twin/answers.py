"""What the twin answers, as plain values: predictions and recommendations."""

from dataclasses import dataclass, field
from typing import Literal

from runner.contender import Contender
from runner.meters.interface import Domain
from runner.report.schema import CostMetric
from runner.twin.service import Floats
from runner.variants import REFERENCE_VARIANT

Kept = Literal["yes", "perhaps", "no"]
"""whether a latency limit is kept: with the whole 95 % interval, by the estimate alone, or not"""

Infeasible = Literal["", "rate", "latency"]
"""nothing; the rate is above every capacity; or the best response percentile is above the limit"""

NaiveName = Literal["batch 1", "largest batch"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A predicted figure with its 95 % limits: what the calibration leaves open, and the chance of a run so long."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one policy on one backend is predicted to do."""

    backend: str
    policy: str
    arrivals: str
    rate_hz: float | None
    """None where a trace says when requests arrive"""
    requests: int
    """of each simulated queue, those left out included"""
    warm_up: int
    """requests left out at the start of each"""
    rows: int
    percentile_ratio: float
    """0.95 for p95"""
    stable: bool
    """whether no queue was found to grow without bound; the figures of one that grows are of no use"""
    response_s: Estimate
    response_p50_s: Estimate
    response_p95_s: Estimate
    response_p99_s: Estimate
    response_percentile_s: Estimate
    """at ``percentile_ratio``"""
    wait_s: Estimate
    """mean, from a request's arrival to when its batch begins"""
    service_s: Estimate
    """mean over requests, of the batch each is in"""
    cost_per_image: Estimate
    """CPU-s or J, gross, idle gaps included"""
    images_per_batch: Estimate
    utilisation_ratio: Estimate
    idle_gap_s: float
    """mean idle time before a batch"""
    batch_ratios: tuple[float, ...]
    """by batch size from 0 on, its share of all batches"""
    cost_by_row: Floats = field(repr=False, compare=False)
    """cost per image in every row: rows of predictions with one seed and calibrations of one run are paired"""
    variant: str = REFERENCE_VARIANT

    @property
    def contender(self) -> Contender:
        """Who serves."""
        return Contender(self.variant, self.backend)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    arrivals: str
    rate_hz: float | None
    """None where a trace says when requests arrive"""
    limit_s: float | None
    """of the response percentile; None where just predictions are asked for"""
    percentile_ratio: float
    seed: int


@dataclass(frozen=True, slots=True)
class Rated:
    """A prediction beside the winner."""

    prediction: Prediction
    kept: Kept
    cost_ratio: Estimate | None
    """its cost / the winner's, paired by row; None where there is no winner, or its queue grows"""
    tied: bool
    """whether its cost cannot be told from the winner's"""


@dataclass(frozen=True, slots=True)
class Naive:
    """A choice that needs no thought."""

    name: NaiveName
    rated: Rated


@dataclass(frozen=True, slots=True)
class Side:
    """Who is best on one side of a rate, and with what."""

    backend: str
    policy: str
    variant: str = REFERENCE_VARIANT

    @property
    def contender(self) -> Contender:
        """Who serves."""
        return Contender(self.variant, self.backend)


@dataclass(frozen=True, slots=True)
class Takeover:
    """A request rate at which another contender gets the least cost within the limit; None is nobody."""

    rate_hz: Estimate
    """within its limits the two cannot be told apart"""
    below: Side | None
    above: Side | None


@dataclass(frozen=True, slots=True)
class Fitness:
    """A contender that takes part, and how well it is known."""

    backend: str
    capacity_hz: float
    """images/s back to back, at the best measured or interpolated batch size"""
    sizes: tuple[int, ...]
    longest_gap_s: float
    error_ratio: float
    """bound of the error of interpolation between batch sizes"""
    blocks: int
    workers: int
    variant: str = REFERENCE_VARIANT

    @property
    def contender(self) -> Contender:
        """Who takes part."""
        return Contender(self.variant, self.backend)


@dataclass(frozen=True, slots=True)
class Excluded:
    """A contender that takes no part, and why."""

    backend: str
    reason: str
    variant: str = REFERENCE_VARIANT

    @property
    def contender(self) -> Contender:
        """Who takes no part."""
        return Contender(self.variant, self.backend)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Which policy to run on which backend; without a winner just predictions, or nothing that keeps the limit."""

    report_id: str
    model: str
    variant: str | None
    """the only one in question; None where several are"""
    question: Question
    metric: CostMetric
    domains: tuple[Domain, ...]
    capacity_hz: float
    """requests per second above which the queue of every policy that was looked at grows"""
    fit: tuple[Fitness, ...]
    excluded: tuple[Excluded, ...]
    rated: tuple[Rated, ...]
    """everything that was predicted, by cost"""
    winner: Rated | None
    runner_up: Rated | None
    """the cheapest that keeps the limit and is not tied with the winner"""
    naive: tuple[Naive, ...]
    front: tuple[Rated, ...]
    """no other is both faster and cheaper; from the fastest on"""
    takeovers: tuple[Takeover, ...]
    """ascending rates"""
    throughout: Side | None
    """who is best at all rates; None where that changes, or cannot be told"""
    searched_hz: tuple[float, float] | None
    """the rates that takeovers were looked for in"""
    infeasible: Infeasible
    """what is in the way of the limit; empty where something keeps it, or none was given"""
