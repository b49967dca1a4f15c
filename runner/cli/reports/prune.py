"""``joulebatch reports prune``."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.options import REPORTS_DIR, TABLE_ROWS, format_option
from runner.cli.reports.filters import filter_options
from runner.errors import FileError, UsageError

if TYPE_CHECKING:  # these load what no help needs
    from runner.report.prune import Fate, Keeps, Removal


@click.command(
    epilog="\b\nExamples:\n"
    "  joulebatch reports prune --keep-last 20 --keep-named\n"
    "  joulebatch reports prune --keep-since 30d --keep-daily 12 --yes\n"
    "  joulebatch reports prune --model vit --keep 2026-11-24T02 --yes\n"
    "  joulebatch reports prune --interrupted --keep-since 7d"
)
@REPORTS_DIR
@click.option(
    "--keep-last",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="off",
    help="Keep the newest N of the considered reports.",
)
@click.option(
    "--keep-daily",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="off",
    help="Keep the newest of a day, for the last N days that have one.",
)
@click.option(
    "--keep-since",
    metavar="DATE|AGE",
    show_default="off",
    help="Keep what was started then or later: 2026-11-24, an ISO time, or an age as 30d or 12h.",
)
@click.option("--keep-named", is_flag=True, show_default="off", help="Keep what was given a --name.")
@click.option(
    "--keep",
    "keep_ids",
    multiple=True,
    metavar="REPORT",
    show_default="none",
    help='Keep this one: "latest", an id, or the start of one; repeatable.',
)
@filter_options
@click.option(
    "--interrupted",
    is_flag=True,
    show_default="off",
    help="Consider reports of interrupted runs too: what they measured could still be resumed.",
)
@click.option("-y", "--yes", is_flag=True, show_default="off", help="Remove; without it nothing is.")
@format_option(("table", "json"))
def prune(  # noqa: PLR0913 - one for each flag
    *,
    reports_dir: Path,
    keep_last: int | None,
    keep_daily: int | None,
    keep_since: str | None,
    keep_named: bool,
    keep_ids: tuple[str, ...],
    models: tuple[str, ...],
    backends: tuple[str, ...],
    hosts: tuple[str, ...],
    interrupted: bool,
    yes: bool,
    format_name: str,
) -> None:
    """Show which reports would be removed, or with --yes remove them.

    A report stays when any of the --keep keeps keeps it; at least one is needed. --model, --backend and --host
    choose which reports are considered at all. Never removed are reports of runs that are alive, folders that
    cannot be read or hold what no run wrote, and links.
    """
    from runner.render.archived import RENDERINGS  # noqa: PLC0415 - loads pydantic
    from runner.report import prune as pruning  # noqa: PLC0415 - the same
    from runner.report.archive import LATEST, resolve  # noqa: PLC0415 - the same
    from runner.report.filters import Filters, parse_since  # noqa: PLC0415 - the same
    from runner.report.listing import listing  # noqa: PLC0415 - the same
    from runner.report.samples import SAMPLES_NAME  # noqa: PLC0415 - the same

    keeps = pruning.Keeps(
        last=keep_last or 0,
        daily=keep_daily or 0,
        since=None if keep_since is None else parse_since(keep_since, "--keep-since", datetime.now(UTC)),
        named=keep_named,
        ids=frozenset(_own(resolve(reports_dir, text), reports_dir) for text in keep_ids if text != LATEST),
        latest=LATEST in keep_ids,
    )
    _check(keeps)
    files = (SAMPLES_NAME, *RENDERINGS)
    rows = listing(reports_dir)
    found = pruning.fates(
        reports_dir, rows, Filters(models, backends, hosts), keeps, interrupted=interrupted, files=files
    )
    if yes:
        _remove_all(found, reports_dir, files, format_name)
    else:
        _show(found, {}, len(pruning.leftovers(reports_dir)), format_name)


def _remove_all(
    found: "tuple[Fate, ...]", reports_dir: Path, files: tuple[str, ...], format_name: str
) -> None:
    """Remove what is to go and what earlier prunes left, and show what became of it.

    Raises:
        FileError: the disk refused some of it; the rest is gone.
    """
    from runner.report import prune as pruning  # noqa: PLC0415 - loads pydantic

    left, failures = pruning.leftovers(reports_dir), []
    for leftover in left:
        try:
            pruning.delete(leftover)
        except FileError as error:
            failures.append(str(error))
    removals = {each.row.report_id: pruning.remove(each, reports_dir, files) for each in found if each.goes}
    _show(found, removals, len(left) - len(failures), format_name, done=True)
    failures += [f"{each.report_id}: {each.reason}" for each in removals.values() if each.failed]
    if failures:
        more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
        raise FileError("Cannot remove every report", got=f"{failures[0].rstrip('.')}{more}")


def _own(folder: Path, reports_dir: Path) -> str:
    """Return the id of a report to keep; a path elsewhere would silently keep nothing here."""
    if folder.resolve().parent != reports_dir.resolve():
        raise UsageError(
            "Cannot keep a report", expected=f"one in {reports_dir}", got=str(folder), fix="Name its id"
        )
    return folder.resolve().name


def _check(keeps: "Keeps") -> None:
    if keeps.are_none:
        raise UsageError(
            "Cannot prune",
            expected="at least one rule that keeps reports",
            got="none",
            fix="Add --keep-last N, --keep-daily N, --keep-since AGE, --keep-named or --keep REPORT",
        )


def _show(
    found: "tuple[Fate, ...]",
    removals: "dict[str, Removal]",
    leftover_count: int,
    format_name: str,
    *,
    done: bool = False,
) -> None:
    records = [_record(each, removals.get(each.row.report_id), done=done) for each in found]
    if format_name == "json":
        click.echo(
            json.dumps({"dry_run": not done, "leftovers": leftover_count, "reports": records}, indent=1)
        )
        return
    from runner.render import numbers  # noqa: PLC0415 - loads pydantic
    from runner.render.layout import Column, Section, Table  # noqa: PLC0415 - the same
    from runner.render.terminal import write_sections  # noqa: PLC0415 - loads rich

    going = [record for record in records if record["fate"] in {"removed", "would go"}]
    total = numbers.size(sum(int(str(record["size_bytes"])) for record in going))
    counted = f"{len(going)} of {len(records)} reports, {total}"
    lines = [
        f"removed {counted}" if done else f"would remove {counted}{'; --yes removes them' if going else ''}"
    ]
    if not records:
        lines = ["no reports yet; joulebatch run makes one"]
    if leftover_count:
        what = "leftover of an earlier prune" if leftover_count == 1 else "leftovers of earlier prunes"
        lines.append(f"{'deleted' if done else 'would delete'} {leftover_count} {what}")
    columns = (Column("id", "left"), Column("size"), Column("fate", "left"), Column("why", "left"))
    shown = records
    if len(records) > TABLE_ROWS:
        staying = [record for record in records if record["fate"] == "stays"]
        shown = [*going, *staying][:TABLE_ROWS]
        lines.append(f"{len(shown):,} of {len(records):,} are shown; -f json has all")
    table = Table(columns, tuple(_texts(record) for record in shown))
    section = Section("Prune", tables=(table,) if records else (), notes=tuple(lines))
    write_sections((section,), sys.stdout, hint="-f json has them")


def _record(fate: "Fate", removal: "Removal | None", *, done: bool) -> dict[str, str | int | None]:
    row = fate.row
    reason = removal.reason if removal else fate.reason
    if reason or not fate.goes:
        return {
            "id": row.report_id,
            "status": row.status,
            "fate": "stays",
            "reason": reason,
            "size_bytes": None,
        }
    goes = "removed" if done else "would go"
    return {
        "id": row.report_id,
        "status": row.status,
        "fate": goes,
        "reason": "no rule keeps it",
        "size_bytes": fate.size_bytes,
    }


def _texts(record: dict[str, str | int | None]) -> tuple[str, ...]:
    from runner.render import numbers  # noqa: PLC0415 - loads pydantic

    size_bytes = record["size_bytes"]
    size = numbers.size(int(size_bytes)) if size_bytes is not None else numbers.NOTHING
    return str(record["id"]), size, str(record["fate"]), str(record["reason"])
