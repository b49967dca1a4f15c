"""Reports for people and programs. A renderer receives a report; it never measures or computes."""

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:  # it loads pydantic, which views of what is no report do without
    from runner.report.schema import Report


class Writer(Protocol):
    """Writes a report in one format."""

    def __call__(self, report: "Report", stream: TextIO, *, details: bool, width: int | None = None) -> None:
        """Write it to a text stream."""


FORMATS = {
    "table": "runner.render.terminal:write_terminal",
    "json": "runner.render.data:write_json",
    "csv": "runner.render.data:write_csv",
    "md": "runner.render.markdown:write_markdown",
}
"""the word after ``-f``, and the writer that is loaded for it"""


def render(
    report: "Report", format_name: str, stream: TextIO, *, details: bool = False, width: int | None = None
) -> None:
    """Write a report to a stream.

    Args:
        report: what to write.
        format_name: one of ``FORMATS``.
        stream: standard output, or any text stream.
        details: whether to add what only few readers need; data formats always hold everything.
        width: of the terminal in characters; found out by default.
    """
    module, _, name = FORMATS[format_name].partition(":")
    writer: Writer = getattr(import_module(module), name)
    writer(report, stream, details=details, width=width)
