"""What a run says of its cells beside each other."""

from typing import Literal

from runner.backends.interface import Io
from runner.report.schema.record import Count, RatioLimits, Record
from runner.report.schema.windows import Load
from runner.stats.compare import Verdict

Metric = Literal["latency", "cpu_s_per_image", "energy_per_image"]
CostMetric = Literal["cpu_s_per_image", "energy_per_image"]


class Comparison(Record):
    """A contender against the baseline at the same model, load and io, paired over blocks."""

    cell: str
    baseline_cell: str
    metric: Metric
    ratio: float
    """below 1 is less than the baseline"""
    low: float | None
    high: float | None
    pair_count: Count
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
    block_count: Count
    statistic: float
    p: float
    p_holm: float | None
    """Holm's adjusted p over the Wilcoxon tests of the family; null for Friedman's"""
