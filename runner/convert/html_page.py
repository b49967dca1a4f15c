"""The page of a report: ``report.html`` again, also of a run that was interrupted, or with all that it needs in it."""

from runner.convert.interface import Converted, Request
from runner.render.html import to_html
from runner.render.html.assets import FOLDER, PLOTLY_NAME


def convert(request: Request) -> Converted:
    """Return the page."""
    whole = bool(request.self_contained)
    page = to_html(request.report, self_contained=whole).encode()
    where = f"../{FOLDER}/{PLOTLY_NAME}"
    note = f"plots are drawn by {where}, relative to the page; --self-contained puts it into the page (5 MB)"
    return Converted(page, () if whole else (note,))
