"""The views ``windows`` and ``inferences``: what was measured, one by one."""

from collections.abc import Iterable, Iterator

from runner.conditions import Conditions
from runner.meters.interface import DOMAINS, Energy
from runner.render.views.runs import REPORT_ID
from runner.report.schema import Report
from runner.report.views import Column, View

_CONDITIONS = (
    Column("foreign_cpu_s", "DOUBLE", "CPU time of everything but the worker", "s"),
    Column("steal_s", "DOUBLE", "CPU time that the hypervisor gave to others", "s"),
    Column("pressure_s", "DOUBLE", "time in which some task waited for a CPU", "s"),
    Column("throttled_s", "DOUBLE", "time in which the cgroup's CPU quota was spent", "s"),
    Column("involuntary_switches", "BIGINT", "of the worker"),
    Column("major_faults", "BIGINT", "of the worker"),
)
_AFTER = (
    Column("temperature_celsius", "DOUBLE", "of the hottest CPU sensor, after it", "°C"),
    Column("clock_hz", "DOUBLE", "mean over the usable cores, after it", "Hz"),
)
EVIDENCE_COLUMNS = (
    *(
        column
        for domain in DOMAINS
        for column in (
            Column(f"{domain}_j", "DOUBLE", "energy of the window; null where unavailable", "J"),
            Column(f"{domain}_status", "VARCHAR", "of that: measured, estimated or unavailable"),
        )
    ),
    *_CONDITIONS,
    *_AFTER,
)
"""what windows of either kind have"""


def evidence(energy: Iterable[Energy], conditions: Conditions | None) -> dict[str, object]:
    """Return the columns above for one window."""
    row: dict[str, object] = {}
    read = {each.domain: each for each in energy}
    for domain in DOMAINS:
        found = read.get(domain)
        row[f"{domain}_j"] = None if found is None or found.status == "unavailable" else found.energy_j
        row[f"{domain}_status"] = found.status if found else "unavailable"
    row |= {column.name: getattr(conditions, column.name, None) for column in _CONDITIONS}
    after = conditions.after if conditions else None
    return row | {column.name: getattr(after, column.name, None) for column in _AFTER}


_WINDOW = (
    Column("window", "BIGINT", "its place in the report, as in inferences"),
    Column("cell", "VARCHAR", "key of its cell"),
    Column("block", "BIGINT", "the pass over all cells that it belongs to; windows of one are paired"),
    Column("paired", "BOOLEAN", "whether figures are made of it where its cell has any such"),
    Column("repeated_by", "BIGINT", "the block that stands in for its disturbed one"),
    Column("worker", "BIGINT", "which process of the backend took it, from 0"),
    Column("started_s", "DOUBLE", "monotonic clock of the machine", "s"),
    Column("wall_s", "DOUBLE", "how long it took", "s"),
    Column("inference_count", "BIGINT", "whole inferences in it"),
    Column("latency_mean_s", "DOUBLE", "mean latency of these", "s"),
    Column("cpu_s", "DOUBLE", "CPU time of the worker, all threads", "s"),
    Column("outlier", "BOOLEAN", "beyond 3.5 MAD of its cell; it stays in"),
    Column("disturbed", "VARCHAR", "the known cause for which its block was repeated; else empty"),
    Column("flags", "VARCHAR[]", "what else is known of it"),
    Column("poller_cpu_s", "DOUBLE", "CPU time that reading the meters took", "s"),
)


def _windows(report: Report) -> Iterator[dict[str, object]]:
    for place, window in enumerate(report.windows):
        row: dict[str, object] = {"window": place}
        row |= {column.name: getattr(window, column.name) for column in _WINDOW[1:]}
        yield row | evidence(window.energy, window.conditions)


WINDOWS = View("windows", "a window", (REPORT_ID, *_WINDOW, *EVIDENCE_COLUMNS), _windows)

INFERENCES = View(
    "inferences",
    "an inference of a complete report; interrupted runs have no samples yet",
    (
        REPORT_ID,
        Column("cell", "VARCHAR", "key of its cell"),
        Column("block", "INTEGER", "that its window belongs to"),
        Column("window", "INTEGER", "place of its window in the report"),
        Column("inference", "INTEGER", "its place in the window"),
        Column("latency_s", "DOUBLE", "from the scheduled start for paced loads", "s"),
        Column("paired", "BOOLEAN", "whether its window is"),
    ),
    rows=None,
)
