"""What a report holds, as written to ``report.json``: schema version 1, which is frozen (docs/reports.md).

Everything is frozen and in full precision. Units are suffixes. ``null`` means unavailable, never 0. Every summary
can be recomputed from ``windows`` and, for percentiles, from ``samples.parquet``.
"""

from runner.report.schema.cells import NOT_REACHED, OWN_DOMAIN, Cell, CellSummary, EnergySummary
from runner.report.schema.claims import (
    BackendChoice,
    BestSet,
    Comparison,
    CostMetric,
    Metric,
    SupplementaryTest,
)
from runner.report.schema.contenders import (
    UNTRUSTED_PLACEMENTS,
    BackendEntry,
    ModelEntry,
    Parity,
    Quality,
    SessionEntry,
)
from runner.report.schema.findings import Finding, FindingFigure
from runner.report.schema.provenance import Environment, Git, Gpu, MeterEntry, Provenance, Resume
from runner.report.schema.queue import (
    QueueCell,
    QueueComparison,
    QueueCost,
    QueueEnergy,
    QueueLoad,
    QueueMetric,
    QueuePrediction,
    QueueStatus,
    QueueStudy,
    QueueSummary,
    QueueTest,
    QueueWindow,
    Times,
)
from runner.report.schema.record import Interval, Limits, RatioLimits, Record
from runner.report.schema.report import SCHEMA_VERSION, Report
from runner.report.schema.unknown import known_names, unknown_of
from runner.report.schema.windows import IdleWindow, Load, Moment, Window

__all__ = [
    "NOT_REACHED",
    "OWN_DOMAIN",
    "SCHEMA_VERSION",
    "UNTRUSTED_PLACEMENTS",
    "BackendChoice",
    "BackendEntry",
    "BestSet",
    "Cell",
    "CellSummary",
    "Comparison",
    "CostMetric",
    "EnergySummary",
    "Environment",
    "Finding",
    "FindingFigure",
    "Git",
    "Gpu",
    "IdleWindow",
    "Interval",
    "Limits",
    "Load",
    "MeterEntry",
    "Metric",
    "ModelEntry",
    "Moment",
    "Parity",
    "Provenance",
    "Quality",
    "QueueCell",
    "QueueComparison",
    "QueueCost",
    "QueueEnergy",
    "QueueLoad",
    "QueueMetric",
    "QueuePrediction",
    "QueueStatus",
    "QueueStudy",
    "QueueSummary",
    "QueueTest",
    "QueueWindow",
    "RatioLimits",
    "Record",
    "Report",
    "Resume",
    "SessionEntry",
    "SupplementaryTest",
    "Times",
    "Window",
    "known_names",
    "unknown_of",
]
