"""``joulebatch reports``: list, show and verify what was archived."""

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.options import DETAILS, FOLDER, REPORTS_DIR, format_option
from runner.errors import GateError, UsageError

if TYPE_CHECKING:  # these load pydantic, which no help needs
    from runner.report.listing import Listed

_COLUMNS = ("id", "started", "status", "models", "backends", "cells", "name")


@click.group(
    no_args_is_help=False,
    epilog="\b\nExamples:\n  joulebatch reports list\n  joulebatch reports show latest --details\n"
    "  joulebatch reports show latest -f csv > cells.csv\n  joulebatch reports verify latest",
)
def reports() -> None:
    """List, show and verify archived reports."""


@reports.command("list", epilog="\b\nExample:\n  joulebatch reports list -f csv")
@REPORTS_DIR
@format_option(("table", "json", "csv"))
def list_(reports_dir: Path, format_name: str) -> None:
    """List reports, the newest first."""
    from runner.report.listing import listing  # noqa: PLC0415 - loads pydantic

    rows = listing(reports_dir)
    if format_name == "json":
        click.echo(json.dumps([_record(row) for row in rows], indent=1))
    elif format_name == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(_record(row).values() for row in rows)
    else:
        _print_table(rows, reports_dir)


@reports.command(
    epilog="\b\nExamples:\n"
    "  joulebatch reports show\n"
    "  joulebatch reports show 2026-11-23T21 --details\n"
    "  joulebatch reports show latest -f csv > cells.csv\n"
    "  joulebatch reports show latest --timeline --plot-file timeline.svg"
)
@click.argument("report", default="latest", metavar="[REPORT]")
@REPORTS_DIR
@format_option()
@DETAILS
@click.option(
    "--timeline",
    "as_timeline",
    is_flag=True,
    show_default="off",
    help="Show cost per image against published accuracy by year instead.",
)
@click.option(
    "--backend",
    metavar="LABEL",
    show_default="the baseline",
    help="With --timeline: whose cost it shows.",
)
@click.option(
    "--plot-file",
    type=FOLDER,
    metavar="FILE",
    show_default="none",
    help="With --timeline: also draw it, as .svg or .png; needs the extra plot.",
)
def show(  # noqa: PLR0913 - one for each flag
    *,
    report: str,
    reports_dir: Path,
    format_name: str,
    details: bool,
    as_timeline: bool,
    backend: str | None,
    plot_file: Path | None,
) -> None:
    """Show REPORT: "latest" (the default), an id, the start of one, or a folder."""
    from runner.render import render  # noqa: PLC0415 - loads pydantic
    from runner.report.archive import load, resolve  # noqa: PLC0415 - the same

    if as_timeline:
        from runner.cli.timeline import show_timeline  # noqa: PLC0415 - the same

        found = resolve(reports_dir, report)
        show_timeline(found, backend=backend, plot_file=plot_file, format_name=format_name, details=details)
        return
    for flag, value in (("--backend", backend), ("--plot-file", plot_file)):
        if value is not None:
            raise UsageError(
                f"Cannot use {flag}", expected="--timeline beside it", got="none", fix="Add --timeline"
            )
    render(load(resolve(reports_dir, report)), format_name, sys.stdout, details=details)


@reports.command(epilog="\b\nExample:\n  joulebatch reports verify latest")
@click.argument("report", default="latest", metavar="[REPORT]")
@REPORTS_DIR
def verify(report: str, reports_dir: Path) -> None:
    """Recompute every figure of REPORT from its own windows: "latest" (the default), an id, or a folder.

    Exits with 1 when something differs, and names it; with 4 when a file cannot be read.
    """
    from runner.render.archived import RENDERINGS  # noqa: PLC0415 - loads pydantic
    from runner.render.layout import plain  # noqa: PLC0415 - the same
    from runner.report import archive, verify  # noqa: PLC0415 - the same

    folder = archive.resolve(reports_dir, report)
    different = 0
    for check in verify.verify(folder, RENDERINGS):
        found = f"{len(check.differences)} differ" if check.differences else "no difference"
        click.echo(f"{check.subject}: {check.count} {check.unit}, {found}")
        for item in check.differences:
            text = f"  {item.file} {item.field}: archived {item.archived}, recomputed {item.recomputed}"
            click.echo(plain(text))
        different += len(check.differences)
    if different:
        raise GateError(
            f"Report {folder.name} is not what was measured", expected="no difference", got=str(different)
        )


def _record(row: "Listed") -> dict[str, str | int | None]:
    """Return a row for programs; several names are separated by spaces."""
    values = (
        row.report_id,
        row.started_at,
        row.status,
        " ".join(row.models),
        " ".join(row.backends),
        row.cell_count,
        row.name,
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _print_table(rows: "tuple[Listed, ...]", reports_dir: Path) -> None:
    from runner.render import numbers  # noqa: PLC0415 - loads pydantic
    from runner.render.layout import Column, Section, Table  # noqa: PLC0415 - the same
    from runner.render.terminal import write_sections  # noqa: PLC0415 - loads rich

    ranks = {"backends": 3, "models": 2, "name": 1}
    columns = (Column(name, "right" if name == "cells" else "left", ranks.get(name, 0)) for name in _COLUMNS)
    table = Table(tuple(columns), tuple(_texts(row, numbers.NOTHING) for row in rows))
    tables, lines = (
        ((table,), ()) if rows else ((), (f"none yet in {reports_dir}; joulebatch run makes one",))
    )
    write_sections((Section("Reports", lines=lines, tables=tables),), sys.stdout, hint="-f csv has them")


def _texts(row: "Listed", nothing: str) -> tuple[str, ...]:
    from runner.render import numbers  # noqa: PLC0415 - loads pydantic

    return (
        row.report_id,
        numbers.moment(row.started_at) if row.started_at else nothing,
        row.status,
        "\n".join(row.models) or nothing,
        "\n".join(row.backends) or nothing,
        str(row.cell_count),
        row.name or nothing,
    )
