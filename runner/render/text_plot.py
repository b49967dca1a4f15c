"""A plot made of characters: a letter per series, bars for limits; what hides another is said below it."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise
from string import ascii_lowercase, ascii_uppercase, digits
from typing import TextIO

from runner.render import numbers
from runner.render.text_axes import Axis, Limited, is_drawable, place_axis, value_axis

_MARKS = ascii_uppercase + digits + ascii_lowercase.replace("v", "")  # v is a mark of its own in ASCII
_SHARED_MARK = "#"
_FEWEST_COLUMNS, _FEWEST_ROWS, _MOST_ROWS = 12, 10, 18
_CHARACTERS_PER_ROW = 5
"""of the width; characters are about twice as high as wide"""
_GRID_EVERY = 4
_POWER_OF_TWO = 0.5
"""its mantissa"""
_WIDEST_STEP = 3
"""columns between the series of one place"""


@dataclass(frozen=True, slots=True)
class Characters:
    """What lines are drawn with."""

    vertical: str
    tick: str
    horizontal: str
    foot: str
    corner: str
    bar: str
    above: str
    below: str
    grid: str

    def __str__(self) -> str:
        """All of them, as a stream would have to show them."""
        return "".join(astuple(self))


UNICODE = Characters("│", "┤", "─", "┴", "└", "╎", "↑", "↓", "·")
ASCII = Characters("|", "+", "-", "+", "+", ":", "^", "v", ".")


@dataclass(frozen=True, slots=True)
class Point:
    """A figure of one series at a place, as a batch size."""

    series: int
    place: float
    figure: Limited


@dataclass(frozen=True, slots=True)
class Plot:
    """Figures over places."""

    title: str
    """the quantity with its unit, which is that of the figures"""
    place_name: str
    series: tuple[str, ...]
    points: tuple[Point, ...]
    place_texts: Mapping[float, str]
    """by place; also of places without any figure, so that plots one below the other line up"""
    is_place_log: bool = True


@dataclass(frozen=True, slots=True)
class Drawing:
    """The lines of a plot, and what it does not show."""

    title: str
    lines: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def mark_of(series: int) -> str:
    """Return the letter of a series; one for all of those that the alphabet has none left for."""
    return _MARKS[series] if series < len(_MARKS) else _SHARED_MARK


def characters_for(stream: TextIO) -> Characters:
    """Return what a stream can show: ASCII for TERM=dumb and for encodings that have no box drawing."""
    try:
        str(UNICODE).encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return ASCII if os.environ.get("TERM") == "dumb" else UNICODE


def draw(plot: Plot, width: int, characters: Characters) -> Drawing:
    """Return a plot that fits a width."""
    points = [each for each in plot.points if is_drawable(each.figure.value) and is_drawable(each.place)]
    strange = [f"{_name(plot, each)}: {each.figure.value:g}" for each in plot.points if each not in points]
    remarks = [f"not drawable: {', '.join(strange)}"] if strange else []
    if not points:
        return Drawing(plot.title, (), tuple(remarks))
    rows = min(max(width // _CHARACTERS_PER_ROW, _FEWEST_ROWS), _MOST_ROWS)
    axis = value_axis((each.figure for each in points), rows)
    labels = [numbers.tick(tick) for tick in axis.ticks]
    margin = max(map(len, labels)) + 1
    columns = width - margin - 1
    if columns < _FEWEST_COLUMNS:
        remarks.insert(0, f"a plot needs {margin + 1 + _FEWEST_COLUMNS} columns, there are {width}")
        return Drawing(plot.title, (), tuple(remarks))
    canvas = _Canvas(plot, axis, rows, columns, characters)
    remarks += canvas.put_all(points)
    by_row = {canvas.row(tick): label for tick, label in zip(axis.ticks, labels, strict=True)}
    lines = [
        f"{by_row.get(row, ''):>{margin - 1}} {characters.tick if row in by_row else characters.vertical}{text}"
        for row, text in enumerate(canvas.texts(by_row))
    ]
    feet, texts = canvas.feet()
    name = plot.place_name[:columns]
    lines += [f"{'':{margin}}{feet}", f"{'':{margin + 1}}{texts}", f"{'':{margin + 1}}{name:>{columns}}"]
    title = plot.title + (", log axis" if axis.is_log else "")
    return Drawing(title, tuple(line.rstrip() for line in lines), tuple(remarks))


def _name(plot: Plot, point: Point) -> str:
    mark = mark_of(point.series)
    name = plot.series[point.series] if mark == _SHARED_MARK else mark
    return f"{name} at {plot.place_texts[point.place]}"


class _Canvas:
    """The area between the axes."""

    def __init__(self, plot: Plot, axis: Axis, rows: int, columns: int, characters: Characters) -> None:
        self._plot, self._axis, self._characters = plot, axis, characters
        self._rows, self._columns = rows, columns
        self._cells = [[" "] * columns for _ in range(rows)]
        self._places = place_axis(tuple(plot.place_texts), is_log=plot.is_place_log)
        self._count = len(plot.series)
        self._step = next(step for step in range(_WIDEST_STEP, -1, -1) if self._has_room(step))

    def _has_room(self, step: int) -> bool:
        """Return whether the series of a place can stand so far apart and clear of the next place."""
        self._step = step
        centres = [self._centre(place) for place in self._places.ticks]
        nearest = min((right - left for left, right in pairwise(centres)), default=self._columns)
        return step == 0 or (nearest > self._count * step and self._columns > 2 * (self._edge + 1))

    @property
    def _edge(self) -> int:
        return self._count * self._step // 2 + 1

    def _centre(self, place: float) -> int:
        inner = self._columns - 1 - 2 * self._edge
        return self._edge + round(self._places.share(place) * max(inner, 0))

    def row(self, value: float) -> int:
        """Return the row of a value, the first on top; may lie outside."""
        share = min(max(self._axis.share(value), -1.0), 2.0)
        return round((1 - share) * (self._rows - 1))

    def put_all(self, points: Sequence[Point]) -> list[str]:
        """Draw points and then their bars where nothing stands; return which points are hidden beneath which."""
        taken: dict[tuple[int, int], Point] = {}
        hidden = []
        for point in points:
            # Of an odd number of series the middle one stands on the tick.
            shift = (2 * point.series - self._count + 1) * self._step // 2
            column = min(max(self._centre(point.place) + shift, 0), self._columns - 1)
            at = self.row(point.figure.value), column
            if first := taken.get(at):
                hidden.append(f"{_name(self._plot, point)} beneath {_name(self._plot, first)}")
            else:
                taken[at] = point
                self._cells[at[0]][column] = mark_of(point.series)
        for (_, column), point in taken.items():
            self._put_bar(point.figure, column, {row for row, other in taken if other == column})
        return [f"hidden: {'; '.join(hidden)}"] if hidden else []

    def _put_bar(self, figure: Limited, column: int, taken: set[int]) -> None:
        if figure.low is None or figure.high is None or math.isnan(figure.low) or math.isnan(figure.high):
            return
        top, bottom = self.row(figure.high), self.row(figure.low)
        for row in range(max(top, 0), min(bottom, self._rows - 1) + 1):
            if row not in taken:
                self._cells[row][column] = self._characters.bar
        if top < 0 and 0 not in taken:
            self._cells[0][column] = self._characters.above
        if bottom >= self._rows and self._rows - 1 not in taken:
            self._cells[-1][column] = self._characters.below

    def texts(self, ticks: Iterable[int]) -> list[str]:
        """Return the rows, with a faint grid in those of ticks."""
        for row in ticks:
            for column in range(_GRID_EVERY - 1, self._columns, _GRID_EVERY):
                if self._cells[row][column] == " ":
                    self._cells[row][column] = self._characters.grid
        return ["".join(cells) for cells in self._cells]

    def feet(self) -> tuple[str, str]:
        """Return the line below the rows, and the places below it; where they are too dense, some go without text."""
        line = [self._characters.horizontal] * self._columns
        texts = [" "] * self._columns
        ticks = self._places.ticks
        ends = {ticks[0], ticks[-1]}
        for place in sorted(ticks, key=lambda each: (each not in ends, math.frexp(each)[0] != _POWER_OF_TWO)):
            column, text = self._centre(place), self._plot.place_texts[place]
            line[column] = self._characters.foot
            start = min(max(column - len(text) // 2, 0), self._columns - len(text))
            around = texts[max(start - 1, 0) : start + len(text) + 1]
            if start >= 0 and not "".join(around).strip():
                texts[start : start + len(text)] = text
        return self._characters.corner + "".join(line), "".join(texts)
