"""A timeline as a picture: the bytes of an SVG or PNG file."""

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Literal

from runner.errors import AbsentError, UsageError
from runner.render.timeline_axes import fill_figure
from runner.report.timeline import Timeline

Suffix = Literal[".svg", ".png"]
SUFFIXES: Final[tuple[Suffix, ...]] = (".svg", ".png")

_SIZE_INCHES = (8.0, 6.4)
_MANY = 8
"""networks whose labels that size holds; with more the area grows in proportion"""
_DPI = 150
_STYLE: Any = {  # how matplotlib types its keys depends on its version
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": "medium",
    "grid.color": "#e6e8eb",
    # Text stays text, to be searched and read aloud; ids are the same in every run.
    "svg.fonttype": "none",
    "svg.hashsalt": "joulebatch",
}


def suffix_of(path: Path) -> Suffix:
    """Return which kind of picture a file is to be.

    Raises:
        UsageError: none that can be drawn.
    """
    for suffix in SUFFIXES:
        if path.suffix.lower() == suffix:
            return suffix
    raise UsageError(
        f"Cannot draw {path}",
        expected="a name that ends in .svg or .png",
        got=repr(path.suffix) if path.suffix else "none",
        fix="Write for example --plot-file timeline.svg",
    )


def draw(timeline: Timeline, suffix: Suffix) -> bytes:
    """Return the picture: the same bytes for the same timeline and version of matplotlib.

    Raises:
        AbsentError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an optional library
        from matplotlib.figure import Figure  # noqa: PLC0415 - the same; without pyplot there is no window to open
    except ImportError:
        raise AbsentError(
            "Cannot draw a plot",
            expected="matplotlib",
            got="none installed",
            fix="Run: pip install 'joulebatch[plot]', or leave out --plot-file",
        ) from None
    stream = BytesIO()
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # names may hold what the font has not
        mpl.rcdefaults()  # whatever a user's matplotlibrc says
        mpl.rcParams.update(_STYLE)
        larger = max(1.0, len(timeline.points) / _MANY) ** 0.5
        size = (_SIZE_INCHES[0] * larger, _SIZE_INCHES[1] * larger)
        figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
        fill_figure(figure, timeline)
        facts = {"Date": None, "Creator": "joulebatch"} if suffix == ".svg" else {"Software": "joulebatch"}
        figure.savefig(stream, format=suffix.removeprefix("."), metadata=facts)
    return stream.getvalue()
