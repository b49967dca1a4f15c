"""``joulebatch reports verify``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.options import REPORTS_DIR
from runner.cli.progress import progress_on_stderr
from runner.errors import GateError

if TYPE_CHECKING:  # loads pydantic, which no help needs
    from collections.abc import Iterator

    from runner.report.verify import Check


@click.command(epilog="\b\nExample:\n  joulebatch reports verify latest")
@click.argument("report", default="latest", metavar="[REPORT]")
@REPORTS_DIR
def verify(report: str, reports_dir: Path) -> None:
    """Recompute every figure of REPORT from its own windows.

    REPORT is "latest" (the default), an id, the start of one, or a folder.

    Exits with 1 when something differs, and names it; with 4 when a file cannot be read.
    """
    from runner.render.layout import plain  # noqa: PLC0415 - loads pydantic
    from runner.report import archive  # noqa: PLC0415 - the same

    folder = archive.resolve(reports_dir, report)
    different = 0
    for check in _checks(folder):
        found = f"{len(check.differences)} differ" if check.differences else "no difference"
        remark = f" ({check.remark})" if check.remark else ""
        click.echo(plain(f"{check.subject}: {check.count} {check.unit}, {found}{remark}"))
        for item in check.differences:
            text = f"  {item.file} {item.field}: archived {item.archived}, recomputed {item.recomputed}"
            click.echo(plain(text))
        different += len(check.differences)
    if different:
        raise GateError(
            f"Report {folder.name} is not what was measured", expected="no difference", got=str(different)
        )


def _checks(folder: Path) -> "Iterator[Check]":
    """Yield each check with a clear terminal; progress is on it while the next one is made."""
    from runner.render.archived import RENDERINGS  # noqa: PLC0415 - loads pydantic
    from runner.report.verify import verify as checks_of  # noqa: PLC0415 - the same

    progress = progress_on_stderr()
    try:
        progress.say(f"recomputing {folder.name}")
        for number, check in enumerate(checks_of(folder, RENDERINGS), start=1):
            progress.close()
            yield check
            progress.say(f"recomputing {folder.name}, {number} checks done")
    finally:
        progress.close()
