"""``joulebatch reports site``."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.options import FOLDER, REPORTS_DIR
from runner.errors import AbsentError, FileError

if TYPE_CHECKING:  # these load pydantic, which no help needs
    from runner.render.html.site import Place
    from runner.report.comparison.spread import Spread
    from runner.report.overview import Entry

_PAGE_NAME = "index.html"
_FOLDER_NAME = "site"
_GENERATOR, _HEAD_BYTES = b'<meta name="generator" content="joulebatch">', 2000
"""by which a page is known as one of ours, and where that stands"""


@click.command(
    epilog="\b\nExamples:\n"
    "  joulebatch reports site\n"
    "  joulebatch reports site --output public\n"
    "\nWhat the page can do, and how to publish it: docs/site.md."
)
@REPORTS_DIR
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    metavar="DIR",
    show_default="site in --reports-dir",
    help="The folder that gets index.html and what draws its plots.",
)
def site(*, reports_dir: Path, output: Path | None) -> None:
    """Write the whole archive as one page.

    There reports are filtered, any two compared, and a cell followed over time.

    The page opens from disk and asks for nothing. It shows the archive as it was when built, and changes no report.
    """
    output = output or reports_dir / _FOLDER_NAME
    _check(reports_dir, output)
    entries = _entries(reports_dir, _spread(reports_dir))
    path = _write(entries, reports_dir, output)
    unreadable = [entry for entry in entries if entry.status == "unreadable"]
    for entry in unreadable:
        click.echo(f"unreadable, and listed so: {entry.unreadable}", err=True)
    count = len(entries)
    click.echo(f"{path}: {count} report{'' if count == 1 else 's'}, {path.stat().st_size / 1e6:.1f} MB")


def _check(reports_dir: Path, output: Path) -> None:
    from runner.report.folders import report_folders  # noqa: PLC0415 - loads pydantic

    if not reports_dir.is_dir():
        raise FileError(
            f"Cannot read {reports_dir}",
            expected="a folder of reports",
            got="a file" if reports_dir.exists() else "nothing",
            fix="Pass another --reports-dir, or run: joulebatch run",
        )
    page = output / _PAGE_NAME
    if page.is_file() and _GENERATOR not in page.read_bytes()[:_HEAD_BYTES]:
        raise FileError(
            f"Cannot write {page}",
            expected="none, or one that joulebatch built",
            got="another page",
            fix="Move it away, or pass another --output",
        )
    place = output.resolve()
    if any(place.is_relative_to(folder.resolve()) for folder in report_folders(reports_dir)):
        raise FileError(
            f"Cannot write {page}",
            expected="a folder that is not archived",
            got="a report's own",
            fix="Pass another --output",
        )


def _spread(reports_dir: Path) -> "Spread | None":
    from runner.report.comparison.spread import SPREAD_NAME, read_spread  # noqa: PLC0415 - loads pydantic

    path = reports_dir / SPREAD_NAME
    return read_spread(path) if path.exists() else None


def _entries(reports_dir: Path, spread: "Spread | None") -> "list[Entry]":
    """Return all reports, the newest first."""
    from runner.render.waiting import tracked  # noqa: PLC0415 - no help needs it
    from runner.report.folders import report_folders  # noqa: PLC0415 - loads pydantic
    from runner.report.overview import Spreads, entry_of  # noqa: PLC0415 - the same

    spreads = Spreads(spread)
    folders = sorted(report_folders(reports_dir), key=lambda folder: folder.name, reverse=True)
    return [entry_of(folder, spreads) for folder in tracked(folders, "Reading reports")]


def _write(entries: "list[Entry]", reports_dir: Path, output: Path) -> Path:
    """Write the page, whole or not at all."""
    from datetime import datetime  # noqa: PLC0415 - no help needs it
    from importlib.metadata import version  # noqa: PLC0415 - the same

    from runner.render.html.site import site_page  # noqa: PLC0415 - loads pydantic
    from runner.report.disk import replace_file  # noqa: PLC0415 - no help needs it
    from runner.stats.quantiles import log_t_table  # noqa: PLC0415 - loads scipy

    path = output / _PAGE_NAME
    try:
        output.mkdir(parents=True, exist_ok=True)
        text = site_page(
            entries,
            _place(reports_dir, output),
            log_t_table(),
            datetime.now().astimezone(),
            version("joulebatch"),
        )
        replace_file(path, text.encode(errors="replace"))  # a folder's name may be no text
    except OSError as error:
        raise FileError(
            f"Cannot write {path}", got=str(error.strerror), fix="Free some space, or pass another --output"
        ) from error
    return path


def _place(reports_dir: Path, output: Path) -> "Place":
    from runner.render.html.assets import FOLDER as ASSETS  # noqa: PLC0415 - no help needs it
    from runner.render.html.assets import place_plotly  # noqa: PLC0415 - the same
    from runner.render.html.site import Place  # noqa: PLC0415 - loads pydantic

    try:
        scripts: tuple[str, ...] = (f"{ASSETS}/{place_plotly(output).name}",)
    except AbsentError as error:
        click.echo(f"The page has no plots, and all else. {error}", err=True)
        scripts = ()
    reports = os.path.relpath(reports_dir.resolve(), output.resolve())
    return Place(Path(reports).as_posix(), scripts, reports_dir.resolve().name)
