"""Labels beside the points of a plot, where they cover nothing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from runner.render.layout import plain

if TYPE_CHECKING:  # an optional library that only a plot loads
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

Place = tuple[float, float, Literal["left", "center", "right"], Literal["bottom", "center", "top"]]

_NEAR, _FAR = (7.0, 14.0), (24.0, 36.0, 48.0)
"""distances in typographic points: where a label is clearly its point's, and where a line must say so"""


def _above_and_below(distance: float) -> tuple[Place, ...]:
    return (0.0, distance, "center", "bottom"), (0.0, -distance, "center", "top")


def _beside(distance: float) -> tuple[Place, ...]:
    return (
        (distance, 0.0, "left", "center"),
        (-distance, 0.0, "right", "center"),
        (distance, distance, "left", "bottom"),
        (-distance, distance, "right", "bottom"),
        (distance, -distance, "left", "top"),
        (-distance, -distance, "right", "top"),
    )


_PLACES: Final[tuple[Place, ...]] = (
    *(place for distance in _NEAR for place in _above_and_below(distance)),
    *(place for distance in _NEAR for place in _beside(distance)),
    *(place for distance in _FAR for place in (*_above_and_below(distance), *_beside(distance))),
)
"""offsets from the point in typographic points, and which end of the label is there; the first free one is taken"""
_LEADER: Final[dict[str, object]] = {"arrowstyle": "-", "color": "#9aa0a8", "linewidth": 0.7, "shrinkA": 0}
_CLEARANCE = 5.0
"""pixels around a point or a piece of a line"""

Box = tuple[float, float, float, float]
"""left, bottom, right and top in pixels"""


def place_labels(
    axes: "Axes", labels: Sequence[tuple[float, float, str]], lines: Sequence[tuple[float, float]] = ()
) -> None:
    """Write a label beside each point: where it covers no point, line or other label, or else as little as can be.

    Args:
        axes: in their final place and with their final limits.
        labels: x, y and the text of each point, in units of the axes.
        lines: x and y all along what else is drawn.
    """
    taken = [_around(axes, x, y) for x, y in (*((x, y) for x, y, _ in labels), *lines)]
    frame = axes.get_window_extent().extents
    for x, y, text in labels:
        written = axes.annotate(plain(text), (x, y), (0, 0), textcoords="offset points", parse_math=False)
        written.set_in_layout(False)
        boxes = [_box_at(written, place) for place in _PLACES]
        covered = [sum(_overlap(box, each) for each in taken) + _outside(box, frame) for box in boxes]
        best = _PLACES[covered.index(min(covered))]
        taken.append(_box_at(written, best))
        if max(abs(best[0]), abs(best[1])) > max(_NEAR):
            axes.annotate("", (x, y), best[:2], textcoords="offset points", arrowprops=_LEADER)


def _around(axes: "Axes", x: float, y: float) -> Box:
    left, bottom = axes.transData.transform((x, y))
    return left - _CLEARANCE, bottom - _CLEARANCE, left + _CLEARANCE, bottom + _CLEARANCE


def _box_at(written: "Annotation", place: Place) -> Box:
    """Return the room that a label takes, after putting it there."""
    right, up, horizontal, vertical = place
    written.set_position((right, up))
    written.set_horizontalalignment(horizontal)
    written.set_verticalalignment(vertical)
    left, bottom, right, top = written.get_window_extent().extents
    return left, bottom, right, top


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def _outside(box: Box, frame: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1]) - _overlap(box, frame)
