"""``joulebatch reports show --timeline``: cost per image against published accuracy by year."""

import sys
from pathlib import Path

import click

from runner.errors import FileError
from runner.render.timeline import write_timeline
from runner.render.timeline_plot import draw, suffix_of
from runner.report.archive import load
from runner.report.disk import replace_file
from runner.report.timeline import timeline_of


def show_timeline(
    folder: Path, *, backend: str | None, plot_file: Path | None, format_name: str, details: bool
) -> None:
    """Write the timeline of a report to stdout, and its plot into a file where one is asked for.

    Raises:
        UsageError: an unknown backend, or a file of another kind.
        AbsentError: the report has no timeline, or matplotlib is missing.
        FileError: the report cannot be read, or the plot not be written.
    """
    suffix = suffix_of(plot_file) if plot_file else None
    timeline = timeline_of(load(folder), backend)
    if plot_file and suffix:
        _write_plot(plot_file, draw(timeline, suffix))
    write_timeline(timeline, format_name, sys.stdout, details=details)


def _write_plot(path: Path, data: bytes) -> None:
    try:
        replace_file(path, data)
    except OSError as error:
        raise FileError(
            f"Cannot write {path}", got=str(error.strerror), fix="Pass another --plot-file"
        ) from error
    click.echo(f"plot: {path}", err=True)
