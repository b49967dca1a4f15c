"""``joulebatch reports list``."""

import csv
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.options import LIMIT, REPORTS_DIR, TABLE_ROWS, format_option
from runner.cli.reports.filters import filter_options

if TYPE_CHECKING:  # these load what no help needs
    from runner.report.listing import Listed

_COLUMNS = ("id", "started", "status", "models", "backends", "cells", "name", "host", "measured_s")


@click.command(
    "list",
    epilog="\b\nExamples:\n"
    "  joulebatch reports list --model vit --since 7d\n"
    "  joulebatch reports list --status interrupted\n"
    "  joulebatch reports list --sort duration --limit 10\n"
    "  joulebatch reports list --host bench -f json",
)
@REPORTS_DIR
@filter_options
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="TEXT",
    show_default="all",
    help="Only reports whose name holds TEXT; repeatable.",
)
@click.option(
    "--since",
    metavar="DATE|AGE",
    show_default="all",
    help="Only runs started then or later: 2026-11-24, an ISO time, or an age as 7d or 12h.",
)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(("complete", "interrupted", "running", "unreadable")),
    show_default="all",
    help="Only reports in this state; repeatable.",
)
@click.option(
    "--sort",
    default="started",
    show_default=True,
    metavar="COLUMN",
    help="By started, duration or cells, the largest first; or by id, name, host, status, models or backends.",
)
@click.option("--reverse", is_flag=True, show_default="off", help="Turn that order round.")
@LIMIT
@format_option(("table", "json", "csv"))
def list_(  # noqa: PLR0913 - one for each flag
    *,
    reports_dir: Path,
    models: tuple[str, ...],
    backends: tuple[str, ...],
    hosts: tuple[str, ...],
    names: tuple[str, ...],
    since: str | None,
    statuses: tuple[str, ...],
    sort: str,
    reverse: bool,
    limit: int | None,
    format_name: str,
) -> None:
    """List reports, the newest first.

    A folder that cannot be read is listed as unreadable, whatever is asked of its content.
    """
    from runner.report.filters import Filters, in_order, parse_since  # noqa: PLC0415 - loads what no help needs
    from runner.report.listing import listing  # noqa: PLC0415 - the same

    moment = None if since is None else parse_since(since, "--since", datetime.now(UTC))
    filters = Filters(models, backends, hosts, names, moment, statuses)
    rows = listing(reports_dir)
    found = in_order(filter(filters.fit, rows), sort, reverse=reverse)
    if limit is None:
        limit = TABLE_ROWS if format_name == "table" else 0
    shown = _first(found, limit)
    notes = []
    if not rows:
        notes.append(f"none yet in {reports_dir}; joulebatch run makes one")
    elif not any(row.status != "unreadable" for row in found) and (filters.need_content or statuses):
        notes.append(filters.why_none(rows))
    if len(shown) < len(found):
        notes.append(f"{len(shown):,} of {len(found):,} are shown; --limit 0 shows all")
    unreadable = sum(row.status == "unreadable" for row in shown)
    if unreadable and filters.need_content:
        notes.append(f"{unreadable} unreadable: nobody can tell whether the filters fit")
    _write(shown, format_name, notes)


def _first(rows: "tuple[Listed, ...]", limit: int) -> "tuple[Listed, ...]":
    """Return the first reports and, beyond the limit, those that cannot be read: they are never hidden."""
    if not limit:
        return rows
    return (*rows[:limit], *(row for row in rows[limit:] if row.status == "unreadable"))


def _write(rows: "tuple[Listed, ...]", format_name: str, notes: list[str]) -> None:
    if format_name == "table":
        _print_table(rows, notes)
        return
    if format_name == "json":
        # A report a line: with an indent json would take the slower of its two encoders.
        lines = ",\n".join(json.dumps(_record(row)) for row in rows)
        click.echo(f"[\n{lines}\n]" if lines else "[]")
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for row in rows:
            values = _record(row).values()
            writer.writerow([" ".join(value) if isinstance(value, tuple) else value for value in values])
    for note in notes:
        click.echo(note, err=True)


def _record(row: "Listed") -> dict[str, str | int | float | tuple[str, ...] | None]:
    """Return a row for programs; in CSV several names are separated by spaces."""
    values = (
        row.report_id,
        row.started_at,
        row.status,
        row.models,
        row.backends,
        row.cell_count if row.status != "unreadable" else None,
        row.name,
        row.host,
        row.measured_s,
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _print_table(rows: "tuple[Listed, ...]", notes: list[str]) -> None:
    from runner.render import numbers  # noqa: PLC0415 - loads pydantic
    from runner.render.layout import Column, Section, Table  # noqa: PLC0415 - the same
    from runner.render.terminal import write_sections  # noqa: PLC0415 - loads rich

    several_hosts = len({row.host for row in rows if row.host}) > 1
    # The highest goes first where the terminal is narrow; what the id begins with, the start, before models.
    ranks = {"models": 1, "backends": 2, "host": 3, "name": 4, "cells": 5, "duration": 6, "started": 7}
    headers = (*_COLUMNS[:-1], "duration")
    columns = tuple(
        Column(name, "right" if name in {"cells", "duration"} else "left", ranks.get(name, 0))
        for name in headers
    )
    table = Table(columns, tuple(_texts(row) for row in rows))
    table = table.pick([i for i, name in enumerate(headers) if name != "host" or several_hosts])
    table = table.without_empty_columns(numbers.NOTHING)
    section = Section(
        "Reports",
        lines=() if rows else tuple(notes),
        tables=(table,) if rows else (),
        notes=tuple(notes) if rows else (),
    )
    write_sections((section,), sys.stdout, hint="-f csv has them")


def _texts(row: "Listed") -> tuple[str, ...]:
    from runner.render import numbers  # noqa: PLC0415 - loads pydantic

    nothing = numbers.NOTHING
    return (
        row.report_id,
        numbers.moment(row.started_at) if row.started_at else nothing,
        row.status,
        "\n".join(row.models) or nothing,
        "\n".join(row.backends) or nothing,
        str(row.cell_count) if row.status != "unreadable" else nothing,
        row.name or nothing,
        row.host or nothing,
        numbers.duration(row.measured_s) if row.measured_s is not None else nothing,
    )
