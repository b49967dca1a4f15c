"""A report as one page that opens from disk, offline: the answer, plots, tables, and how it was made."""

from runner.errors import AbsentError
from runner.render.html.assets import FOLDER, PLOTLY_NAME, plotly_text
from runner.render.html.page import Derived, report_page
from runner.report.answer import answers_of, queue_answers_of
from runner.report.schema import Report
from runner.report.timeline import Timeline, timeline_of


def to_html(report: Report, *, self_contained: bool = False) -> str:
    """Return the page of a report.

    Args:
        report: what it shows.
        self_contained: whether plotly's JavaScript is in the page, 5 MB, instead of once beside all reports.

    Raises:
        AbsentError: it is to be in the page, and plotly is not installed.
    """
    views = Derived(answers_of(report), queue_answers_of(report), _timeline(report))
    if self_contained:
        return report_page(report, views, sources=(), inlined=(plotly_text(),))
    return report_page(report, views, sources=(f"../{FOLDER}/{PLOTLY_NAME}",), inlined=())


def _timeline(report: Report) -> Timeline | None:
    try:
        return timeline_of(report)
    except AbsentError:  # most reports have none: it takes two networks with a year and an accuracy
        return None
