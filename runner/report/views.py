"""What a view of ``reports query`` is: a name, its columns with units and meaning, and the rows of one report."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from runner.report.schema import Report

Rows = Callable[[Report], Iterable[Mapping[str, object]]]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a view."""

    name: str
    type: str
    """as DuckDB writes it"""
    meaning: str
    unit: str = ""
    """empty for what has none"""


@dataclass(frozen=True, slots=True)
class View:
    """A table of all reports together."""

    name: str
    row: str
    """what a row is"""
    columns: tuple[Column, ...]
    rows: Rows | None
    """of one report, by column; None: read from every report's samples, and from these only where a query asks"""


def figure(name: str, unit: str, meaning: str) -> tuple[Column, ...]:
    """Return the columns of a figure and its 95 % limits; the limits are named in front, so that the unit ends."""
    return (
        Column(name, "DOUBLE", meaning, unit),
        Column(f"low_{name}", "DOUBLE", "lower 95 % limit of it", unit),
        Column(f"high_{name}", "DOUBLE", "upper 95 % limit of it", unit),
    )
