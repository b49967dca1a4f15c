"""CSV and Markdown: what ``reports show`` writes."""

from io import StringIO

from runner.convert.interface import Converted, Request
from runner.render import render


def to_csv(request: Request) -> Converted:
    """Return a row per cell."""
    return _rendered(request, "csv")


def to_markdown(request: Request) -> Converted:
    """Return the report for people."""
    return _rendered(request, "md")


def _rendered(request: Request, format_name: str) -> Converted:
    stream = StringIO(newline="")
    render(request.report, format_name, stream)
    return Converted(stream.getvalue().encode())
