"""Every ratio to the baseline with what stands behind it, and the rank tests of the publication profile."""

from collections.abc import Iterable

from runner.render import numbers
from runner.render.layout import Column, Table
from runner.render.names import load_text
from runner.render.numbers import NOTHING
from runner.report.schema import Cell, Comparison, QueueComparison, Report, SupplementaryTest

METRICS = {"latency": "latency", "cpu_s_per_image": "CPU per image", "energy_per_image": "energy per image"}

_COMPARISON_COLUMNS = (
    Column("backend", "left"),
    Column("load", "left"),
    Column("io", "left"),
    Column("metric", "left"),
    Column("ratio to\nbaseline", "left"),
    Column("pairs"),
    Column("workers"),
    Column("verdict", "left"),
    Column("with disturbed\nblocks", "left"),
    Column("Cliff's\ndelta"),
)
_TEST_COLUMNS = (
    Column("test", "left"),
    Column("backends", "left"),
    Column("load", "left"),
    Column("io", "left"),
    Column("metric", "left"),
    Column("blocks"),
    Column("statistic"),
    Column("p"),
    Column("p, Holm"),
)


def comparison_table(report: Report, cells: Iterable[Cell]) -> Table:
    """Return a row per comparison of these cells; the rank effect only beside rank tests."""
    by_key = {cell.key: cell for cell in cells}
    ranks = bool(report.tests)
    rows = (
        _comparison_row(by_key[entry.cell], entry, ranks=ranks)
        for entry in report.comparisons
        if entry.cell in by_key
    )
    return Table(_COMPARISON_COLUMNS, tuple(rows))


def test_table(report: Report, cells: Iterable[Cell]) -> Table:
    """Return a row per rank test of these cells."""
    by_key = {cell.key: cell for cell in cells}
    rows = (_test_row(by_key, entry) for entry in report.tests if set(entry.cells) <= by_key.keys())
    return Table(_TEST_COLUMNS, tuple(rows))


def verdict_text(comparison: Comparison | QueueComparison) -> str:
    """Return what may be claimed, in words."""
    if comparison.verdict != "too few workers":
        return comparison.verdict
    count = comparison.worker_count
    return f"within what {'one process' if count == 1 else f'{count} processes'} each may explain"


def _comparison_row(cell: Cell, entry: Comparison, *, ranks: bool) -> tuple[str, ...]:
    other = entry.with_disturbed
    return (
        str(cell.contender),
        load_text(cell.load),
        cell.io,
        METRICS[entry.metric],
        numbers.ratio(entry.ratio, entry.low, entry.high),
        str(entry.pair_count),
        str(entry.worker_count),
        verdict_text(entry),
        numbers.ratio(other.ratio, other.low, other.high) if other else NOTHING,
        NOTHING if entry.cliffs_delta is None or not ranks else f"{entry.cliffs_delta:+.2f}",
    )


def _test_row(cells: dict[str, Cell], entry: SupplementaryTest) -> tuple[str, ...]:
    compared = [str(cells[key].contender) for key in entry.cells]
    return (
        {"friedman": "Friedman", "wilcoxon": "Wilcoxon"}[entry.test],
        " and ".join(compared) if entry.test == "wilcoxon" else f"all {len(compared)}",
        load_text(entry.load),
        entry.io,
        METRICS[entry.metric],
        str(entry.block_count),
        numbers.digits(entry.statistic),
        numbers.probability(entry.p),
        numbers.probability(entry.p_holm),
    )
