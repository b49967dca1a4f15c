"""What plots have in common: figures are plain data for Plotly, with numbers already formatted where they are read.

A trace names the colour of whom it shows by number; the page's style sheet holds the colours, of which each theme has
its own. Markers differ in shape, too. Every name is escaped: Plotly reads some HTML in its texts.
"""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runner.render.layout import plain
from runner.render.numbers import Scale
from runner.report.schema import Interval, Report

Trace = dict[str, object]

_COLOURS = 8
"""in page.css: --c0 to --c7"""
_SYMBOLS = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "triangle-down",
    "pentagon",
    "star",
    "hexagon",
    "cross",
)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_DIGITS = 6
"""of what is drawn; no screen shows more"""
_STEPS = {0: (1, 2, 3, 4, 5, 7), 1: (1, 2, 3, 5), 2: (1, 2, 5)}
"""marks in each decade of a logarithmic axis, by how many decades it spans"""
_BESIDE = 0.2
"""decades beside the smallest and the largest batch size"""
_PLOT_PIXELS, _ENTRY_PIXELS, _ENTRIES_IN_A_ROW = 400, 16, 3
_ROW_PIXELS, _FRAME_PIXELS = 26, 110
_LABEL_LENGTH = 46
"""of a row of a plot; what a telephone still shows"""


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot with its words."""

    title: str
    caption: str
    data: tuple[Trace, ...]
    layout: Mapping[str, object]
    wide: bool = False

    def spec(self) -> dict[str, object]:
        """Return what the page's script draws."""
        return {"data": self.data, "layout": self.layout}


@dataclass(frozen=True, slots=True)
class Slots:
    """Which colour and which shape stand for whom, alike in all plots of a page."""

    places: Mapping[tuple[str, str], int]
    """by variant and backend"""

    @classmethod
    def of(cls, report: Report) -> "Slots":
        """Return the slots of a report's contenders, in the order of the run."""
        seen = dict.fromkeys(cell.contender for cell in report.cells)
        seen |= dict.fromkeys(cell.contender for cell in (report.queue.cells if report.queue else ()))
        return cls({contender: place for place, contender in enumerate(seen)})

    def colour(self, contender: tuple[str, str]) -> int:
        """Return the number of its colour."""
        return self.places[contender] % _COLOURS

    def symbol(self, contender: tuple[str, str]) -> str:
        """Return its shape."""
        return _SYMBOLS[self.places[contender] % len(_SYMBOLS)]


def text(words: str) -> str:
    """Return words as Plotly shows them: what it would read as HTML or as a variable of its own stays text."""
    return html.escape(plain(words), quote=False).replace("%{", "%&#123;")


def short(words: str) -> str:
    """Return words as a label that leaves room for its plot."""
    return text(words if len(words) <= _LABEL_LENGTH else f"{words[: _LABEL_LENGTH - 1]}…")


def rounded(value: float | None, scale: Scale) -> float | None:
    """Return a value in the unit of its axis, with as many digits as can be seen."""
    return None if value is None else float(f"{value / scale.base:.{_DIGITS}g}")


def values(figures: Sequence[Interval], scale: Scale) -> list[float | None]:
    """Return what is drawn of some figures."""
    return [rounded(figure.mean, scale) for figure in figures]


def error_bars(figures: Sequence[Interval], scale: Scale) -> Trace:
    """Return the limits of some figures as lengths from them, none where an interval has no limits."""
    above = [rounded(None if each.high is None else each.high - each.mean, scale) for each in figures]
    below = [rounded(None if each.low is None else each.mean - each.low, scale) for each in figures]
    return {
        "type": "data",
        "symmetric": False,
        "array": above,
        "arrayminus": below,
        "thickness": 1.5,
        "width": 4,
    }


def hover(texts: Sequence[str]) -> Trace:
    """Return what is shown for each point: lines of words, of which each line break is one."""
    return {
        "customdata": ["<br>".join(text(line) for line in words.split("\n")) for words in texts],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def layout(x: Mapping[str, object], y: Mapping[str, object], **more: object) -> dict[str, object]:
    """Return a layout with its axes; the legend lies above, where it takes no width and covers no title."""
    legend = {"orientation": "h", "x": 0, "xref": "container", "y": 1, "yref": "container", "yanchor": "top"}
    margin = {"l": 60, "r": 14, "t": 14, "b": 56}
    return {
        "xaxis": dict(x),
        "yaxis": dict(y),
        "legend": legend,
        "margin": margin,
        "hovermode": "closest",
        **more,
    }


def axis(title: str, **more: object) -> dict[str, object]:
    """Return an axis with its title."""
    return {"title": {"text": text(title)}, "showline": True, "exponentformat": "none", **more}


def rows_axis(labels: Sequence[str]) -> dict[str, object]:
    """Return an axis of named rows, the first on top; by number, so that rows of one name stay apart."""
    count = len(labels)
    return {
        "tickvals": list(range(count)),
        "ticktext": [short(label) for label in labels],
        "range": [count - 0.5, -0.5],
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
    }


def rows_height(count: int) -> int:
    """Return the height of a plot of rows in pixels."""
    return max(260, _FRAME_PIXELS + _ROW_PIXELS * count)


def plot_height(entries: int) -> int:
    """Return the height of a plot in pixels, with room for the legend's entries above it."""
    return _PLOT_PIXELS + _ENTRY_PIXELS * max(0, entries - _ENTRIES_IN_A_ROW)


def log_ticks(batch_sizes: Sequence[int]) -> dict[str, object]:
    """Return an axis of batch sizes: each doubling is as far, and only those of the run are named."""
    sizes = sorted(set(batch_sizes))
    limits = [
        rounded(math.log10(size) + beside, Scale("", 1.0))
        for size, beside in ((sizes[0], -_BESIDE), (sizes[-1], _BESIDE))
    ]
    return {"type": "log", "tickvals": sizes, "ticktext": [str(size) for size in sizes], "range": limits}


def log_axis(shown: Sequence[float | None]) -> dict[str, object]:
    """Return a logarithmic axis whose marks are as close as they can be read.

    Args:
        shown: what is drawn along it; what is not positive has no place there.
    """
    sizes = [value for value in shown if value is not None and value > 0]
    first, last = (math.floor(math.log10(each)) for each in (min(sizes), max(sizes)))
    steps = next((each for decades, each in _STEPS.items() if last - first <= decades), (1,))
    # A decade more on each side, for limits and for readers who zoom out.
    marks = [step * 10.0**power for power in range(first - 1, last + 2) for step in steps]
    return {
        "type": "log",
        "tickvals": [float(f"{mark:g}") for mark in marks],
        "ticktext": [f"{mark:g}" for mark in marks],
    }


def is_wide(shown: Sequence[float], ratio: float) -> bool:
    """Return whether figures differ so much that their axis is to be logarithmic."""
    return min(shown) > 0 and max(shown) / min(shown) > ratio
