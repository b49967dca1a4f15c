"""Which batches each policy formed, and how long its queue was over time, in characters."""

from collections.abc import Sequence

from runner.render import numbers
from runner.render.layout import Column, Table
from runner.render.names import rate_text
from runner.report.schema import QueueCell

_COLUMNS = (
    Column("backend", "left"),
    Column("policy", "left"),
    Column("requests\n/s"),
    Column("batches formed: size x count", "left"),
    Column("queue over time, largest", "left"),
    Column("loop\nlate by"),
)
_SIZES_SHOWN = 6
_BARS = " ▁▂▃▄▅▆▇█"


def batches_table(cells: Sequence[QueueCell]) -> Table:
    """Return a row for every cell that was replayed."""
    rows = tuple(
        (
            str(cell.contender),
            cell.load.policy,
            rate_text(cell.load),
            _histogram(cell.summary.batch_counts),
            _bars(cell.summary.queue_lengths),
            f"{numbers.percent(cell.summary.late_ratio)} of a gap",
        )
        for cell in cells
        if cell.summary
    )
    return Table(_COLUMNS, rows)


def _histogram(counts: Sequence[tuple[int, int]]) -> str:
    """Return the most frequent sizes, ascending, and how many others there were."""
    common = sorted(sorted(counts, key=lambda each: -each[1])[:_SIZES_SHOWN])
    more = len(counts) - len(common)
    listed = ", ".join(f"{size} x {count}" for size, count in common)
    return listed + (f" and {more} other sizes" if more else "")


def _bars(values: Sequence[float]) -> str:
    """Return a bar for each value, relative to the largest, which is named."""
    largest = max(values, default=0.0)
    steps = len(_BARS) - 1
    bars = "".join(_BARS[round(value / largest * steps) if largest else 0] for value in values)
    return f"{bars} {numbers.digits(largest)}"
