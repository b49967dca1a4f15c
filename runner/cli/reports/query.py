"""``joulebatch reports query``."""

import json
import sys
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import click

from runner.cli.options import LIMIT, REPORTS_DIR, TABLE_ROWS, format_option
from runner.errors import UsageError

if TYPE_CHECKING:  # this loads what no help needs
    from runner.report.query import LeftOut

_NAMED = 3
"""reports that are left out, by their ids"""
_MEANING_WIDTH = 36
"""what 80 characters leave beside the longest name of a column"""


@click.command(
    epilog="\b\nExamples:\n"
    "  joulebatch reports query\n"
    '  joulebatch reports query "SELECT report_id, host, started_at FROM runs ORDER BY started_at"\n'
    '  joulebatch reports query "SELECT model, backend, median(latency_s) FROM cells GROUP BY ALL"\n'
    "  joulebatch reports query - -f csv < question.sql"
)
@click.argument("sql", required=False, metavar="[SQL]")
@REPORTS_DIR
@LIMIT
@format_option(("table", "json", "csv"))
def query(*, sql: str | None, reports_dir: Path, limit: int | None, format_name: str) -> None:
    """Ask all reports by SQL.

    The dialect is DuckDB's; "-" reads from stdin. Without SQL it prints the views that can be asked, with their columns
    and units; docs/query.md has examples. A query can read the reports and nothing else, and change nothing. Reports
    that cannot be read are left out, which stderr says.
    """
    if sql is None:
        _print_views(format_name)
        return
    from runner.render.rows import write_rows  # noqa: PLC0415 - loads pydantic
    from runner.render.views import VIEWS  # noqa: PLC0415 - the same
    from runner.report.query import answer  # noqa: PLC0415 - the same

    if limit is None:
        limit = TABLE_ROWS if format_name == "table" else 0
    with answer(reports_dir, _read_stdin() if sql == "-" else sql, VIEWS) as found:
        if not found.report_count:
            click.echo(f"no reports yet in {reports_dir}; joulebatch run makes one", err=True)
        _say_left_out(found.left_out)
        if write_rows(found.columns, found.rows, format_name, sys.stdout, limit=limit):
            click.echo(f"only the first {limit:,} rows are shown; --limit 0 shows all", err=True)


def _read_stdin() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise UsageError("Cannot read the query", expected="text in UTF-8", got=str(error)) from error


def _say_left_out(left_out: "tuple[LeftOut, ...]") -> None:
    if not left_out:
        return
    from runner.render.layout import plain  # noqa: PLC0415 - loads pydantic

    count = "1 report is" if len(left_out) == 1 else f"{len(left_out):,} reports are"
    more = "" if len(left_out) <= _NAMED else f", and {len(left_out) - _NAMED:,} more"
    named = ", ".join(each.report_id for each in left_out[:_NAMED])
    click.echo(plain(f"{count} left out: {named}{more}. First reason: {left_out[0].reason}"), err=True)


def _print_views(format_name: str) -> None:
    from runner.render.layout import Column, Section, Table  # noqa: PLC0415 - loads pydantic
    from runner.render.rows import write_rows  # noqa: PLC0415 - the same
    from runner.render.terminal import write_sections  # noqa: PLC0415 - loads rich
    from runner.render.views import VIEWS  # noqa: PLC0415 - loads pydantic

    names = ("name", "type", "unit", "meaning")
    if format_name == "json":
        views = [
            {
                "view": view.name,
                "row": view.row,
                "columns": [{name: getattr(column, name) for name in names} for column in view.columns],
            }
            for view in VIEWS
        ]
        click.echo(json.dumps(views, indent=1, ensure_ascii=False))
        return
    rows = [
        (view.name, *(getattr(column, name) for name in names)) for view in VIEWS for column in view.columns
    ]
    if format_name == "csv":
        write_rows(("view", *names), rows, "csv", sys.stdout)
        return
    ranks = {"unit": 1, "type": 2}
    heads = tuple(Column(name, "left", ranks.get(name, 0)) for name in names)
    sections = [
        Section(
            f"{view.name}: a row is {view.row}",
            tables=(
                Table(
                    heads,
                    tuple((*row[1:-1], fill(row[-1], _MEANING_WIDTH)) for row in rows if row[0] == view.name),
                ),
            ),
        )
        for view in VIEWS
    ]
    example = 'joulebatch reports query "SELECT model, backend, median(latency_s) FROM cells GROUP BY ALL"'
    sections.append(Section("Example", lines=(example, "more are in docs/query.md")))
    write_sections(sections, sys.stdout, hint="-f csv has them")
