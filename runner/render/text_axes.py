"""Axes of plots made of characters: round ticks, and which row or column a value falls on."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_WIDE = 8.0
"""largest / smallest value from which an axis is logarithmic: on a linear one the smallest would lie on the ground"""
_REACH = 2.0
"""how far beyond the outermost values limits stretch an axis; what lies further out is cut, and marked as cut"""
_LARGEST, _SMALLEST = 1e300, 1e-300
"""beyond these, sums and quotients of floats leave their range"""
_ROUND = (1.0, 2.0, 5.0, 10.0)
_ROWS_PER_TICK, _ROWS_PER_LOG_TICK = 3, 1.5


@dataclass(frozen=True, slots=True)
class Limited:
    """A value with its limits, where it has any."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Axis:
    """A stretch of numbers, in values or in their logarithms."""

    low: float
    high: float
    is_log: bool
    ticks: tuple[float, ...] = ()

    def share(self, value: float) -> float:
        """Return where a value lies: 0 at the low end, 1 at the high one."""
        if self.is_log:
            return (math.log2(value) - self.low) / (self.high - self.low) if value > 0 else -math.inf
        return (value - self.low) / (self.high - self.low)


def is_drawable(value: float) -> bool:
    """Return whether a value can stand on an axis."""
    return math.isfinite(value) and abs(value) <= _LARGEST


def value_axis(figures: Iterable[Limited], rows: int) -> Axis:
    """Return the axis of what was measured: logarithmic where figures lie far apart, else from zero on.

    Args:
        figures: at least one, each of them drawable.
        rows: how many characters it is high.
    """
    known = list(figures)
    values = [each.value for each in known]
    limits = [x for each in known for x in (each.low, each.high) if x is not None and is_drawable(x)]
    smallest, largest = min(values), max(values)
    if smallest > _SMALLEST and largest / smallest >= _WIDE:
        return _log_axis(
            max(smallest / _REACH, min((*limits, smallest))),
            min(largest * _REACH, max((*limits, largest))),
            rows,
        )
    smallest, largest = min(smallest, 0.0), max(largest, 0.0)
    room = (largest - smallest) * (_REACH - 1)
    largest = min(largest + room, max((*limits, largest)))
    if smallest < 0:
        smallest = max(smallest - room, min((*limits, smallest)))
    return _linear_axis(smallest, largest, rows)


def _linear_axis(smallest: float, largest: float, rows: int) -> Axis:
    if largest - smallest < _SMALLEST:
        smallest, largest = 0.0, 1.0
    step = _round_up((largest - smallest) * _ROWS_PER_TICK / rows)
    first, last = math.floor(smallest / step), math.ceil(largest / step)
    return Axis(
        first * step, last * step, is_log=False, ticks=tuple(i * step for i in range(first, last + 1))
    )


def _log_axis(smallest: float, largest: float, rows: int) -> Axis:
    first, last = math.floor(math.log10(smallest)), math.ceil(math.log10(largest))
    ladder = [base * 10.0**power for power in range(first, last + 1) for base in _ROUND[:3]]
    low = max(tick for tick in ladder if tick <= smallest * (1 + 1e-9))
    high = min((tick for tick in ladder if tick >= largest * (1 - 1e-9)), default=10.0**last)
    ticks = [tick for tick in ladder if low <= tick <= high]
    if len(ticks) * _ROWS_PER_LOG_TICK > rows:
        every = math.ceil((last - first + 1) * _ROWS_PER_TICK / rows)
        ticks = [10.0**power for power in range(first, last + 1, every) if low <= 10.0**power <= high]
    return Axis(math.log2(low), math.log2(high), is_log=True, ticks=tuple(ticks))


def _round_up(step: float) -> float:
    base = 10.0 ** math.floor(math.log10(step))
    return next((each * base for each in _ROUND if each * base >= step), 10 * base)


def place_axis(places: Sequence[float], *, is_log: bool) -> Axis:
    """Return the axis of what was chosen, as batch sizes: from the first place to the last, which are its ticks."""
    ticks = tuple(sorted(set(places)))
    is_log = is_log and ticks[0] > 0
    low, high = (math.log2(ticks[0]), math.log2(ticks[-1])) if is_log else (ticks[0], ticks[-1])
    return Axis(low - 1, high + 1, is_log, ticks) if low == high else Axis(low, high, is_log, ticks)
