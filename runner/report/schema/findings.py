"""What a report says of its own figures: a line each, with evidence and remedy."""

from typing import Literal

from runner.report.schema.record import Record


class FindingFigure(Record):
    """A number that a finding stands on, in full precision."""

    label: str
    """what it is, in words"""
    value: float
    unit: Literal["s", "ratio", "share", "count"]
    """ratio: how many times the other; share: a part of the whole; count: a whole number"""
    low: float | None = None
    """95 % limits, where it has some"""
    high: float | None = None


class Finding(Record):
    """Something in the figures that has a likely cause and a remedy."""

    kind: str
    """of the rule that found it, as ``first-run``"""
    title: str
    """what was found"""
    model: str | None = None
    """that it holds for; null for all of the run"""
    variant: str | None = None
    backend: str | None = None
    cells: tuple[str, ...] = ()
    """keys of the cells that it was seen in; the figures are those of the first"""
    figures: tuple[FindingFigure, ...] = ()
    detail: str = ""
    """evidence that is no number, as the names of operators"""
    remedy: str
    """what to do about it"""
