"""``joulebatch reports``: what was archived; a file per command."""

import click

from runner.cli.reports.compare import compare
from runner.cli.reports.convert import convert
from runner.cli.reports.list import list_
from runner.cli.reports.prune import prune
from runner.cli.reports.query import query
from runner.cli.reports.show import show
from runner.cli.reports.site import site
from runner.cli.reports.verify import verify

COMMANDS = (list_, show, compare, verify, query, convert, site, prune)


@click.group(
    no_args_is_help=False,
    epilog="\b\nExamples:\n  joulebatch reports list\n  joulebatch reports show latest --details\n"
    "  joulebatch reports compare 2026-11-23 latest\n  joulebatch reports verify latest",
)
def reports() -> None:
    """List, show, compare, verify, query, convert, publish and prune archived reports."""


for _command in COMMANDS:
    reports.add_command(_command)
