"""What a finished report's folder holds for people, made from the report alone."""

from collections.abc import Callable, Mapping
from pathlib import Path

from runner.errors import JoulebatchError
from runner.render.html import to_html
from runner.render.html.assets import place_plotly
from runner.render.markdown import to_markdown
from runner.report.schema import Report

RENDERINGS: Mapping[str, Callable[[Report], str]] = {"report.html": to_html, "report.md": to_markdown}
"""by file name: what makes its text. `reports verify` makes it again"""


def prepare_plots(reports_dir: Path) -> str:
    """Put what draws the plots of ``report.html`` beside the reports; return why it could not, or nothing.

    A page without it is whole but for its plots, so that no run fails for them.
    """
    try:
        place_plotly(reports_dir)
    except JoulebatchError as error:
        return f"report.html has no plots: {str(error).removesuffix('.')}"
    return ""
