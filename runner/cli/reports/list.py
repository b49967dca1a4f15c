"""``joulebatch reports list``."""

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.options import REPORTS_DIR, format_option

if TYPE_CHECKING:  # these load pydantic, which no help needs
    from runner.report.listing import Listed

_COLUMNS = ("id", "started", "status", "models", "backends", "cells", "name")


@click.command("list", epilog="\b\nExample:\n  joulebatch reports list -f csv")
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
