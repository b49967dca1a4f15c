"""``joulebatch reports``: what was archived, listed, shown and verified; a file per command."""

import click

from runner.cli.reports.compare import compare
from runner.cli.reports.convert import convert
from runner.cli.reports.list import list_
from runner.cli.reports.show import show
from runner.cli.reports.site import site
from runner.cli.reports.verify import verify

COMMANDS = (list_, show, compare, verify, convert, site)


@click.group(
    no_args_is_help=False,
    epilog="\b\nExamples:\n  joulebatch reports list\n  joulebatch reports show latest --details\n"
    "  joulebatch reports show latest -f csv > cells.csv\n  joulebatch reports verify latest",
)
def reports() -> None:
    """List, show and verify archived reports."""


for _command in COMMANDS:
    reports.add_command(_command)
