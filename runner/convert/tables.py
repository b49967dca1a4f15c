"""CSV and Markdown: what ``reports show`` writes."""

from dataclasses import replace
from io import StringIO

from runner.convert.interface import Converted, Request
from runner.render import render


def to_csv(request: Request) -> Converted:
    """Return a row per cell; of a queue, per policy and rate."""
    converted, cells = _rendered(request, "csv"), len(request.report.cells)
    if request.report.queue is None:
        return converted
    return replace(
        converted, notes=(f"{cells} cells besides the queue's are left out; report.json has them",)
    )


def to_markdown(request: Request) -> Converted:
    """Return the report for people."""
    return _rendered(request, "md")


def _rendered(request: Request, format_name: str) -> Converted:
    stream = StringIO(newline="")
    render(request.report, format_name, stream)
    return Converted(stream.getvalue().encode())
