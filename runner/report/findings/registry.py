"""Every kind of finding, in the order in which reports show them."""

from collections.abc import Callable, Iterator

from runner.report.evidence import Evidence
from runner.report.findings import (
    copies,
    crossover,
    denormals,
    fallback,
    first_run,
    mixed_shapes,
    spinning,
    tf32,
    threads,
    wheels,
)
from runner.report.schema import Finding, Report

Rule = Callable[[Report, Evidence], Iterator[Finding]]
"""yields what it finds in a report that holds its other figures; never looks at other findings"""

RULES: tuple[Rule, ...] = (
    wheels.find,
    fallback.find,
    tf32.find,
    threads.find,
    first_run.find,
    mixed_shapes.find,
    copies.find,
    crossover.find,
    spinning.find,
    denormals.find,
)
"""what makes figures doubtful first, then what costs time, then what costs energy"""


def find(report: Report, evidence: Evidence) -> tuple[Finding, ...]:
    """Return the findings of a report that holds its other figures."""
    return tuple(finding for rule in RULES for finding in rule(report, evidence))
