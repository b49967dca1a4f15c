"""``joulebatch run --resume``: which report goes on, and with what it was begun."""

from dataclasses import fields
from pathlib import Path

import click
from click.core import ParameterSource

from runner.cli.gates import Gated
from runner.config import RunConfig
from runner.errors import UsageError
from runner.render.numbers import duration
from runner.resume import read_so_far, resumable, resumed_config

_BESIDE_RESUME = {"resume", "reports_dir", "format_name", "details", "quiet", "verbose", "debug"} | {
    each.name for each in fields(Gated)
}
"""flags that shape what is shown or judged, and not what is measured"""


def folder_to_resume(ctx: click.Context, text: str, reports_dir: Path) -> Path:
    """Return the report to go on with; what it measures was settled when it was begun.

    Raises:
        UsageError: a flag that would change it, or a run that is complete or goes on.
    """
    for param in ctx.command.params:
        given = param.name and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
        if given and param.name not in _BESIDE_RESUME:
            raise UsageError(
                f"Cannot use {param.opts[-1]} with --resume",
                expected="a run that goes on as it was begun",
                fix=f"Drop {param.opts[-1]}, or start a new run",
            )
    return resumable(reports_dir, text)


def begun_with(folder: Path, *, quiet: bool) -> RunConfig:
    """Return the configuration of a run, after saying where it goes on."""
    so_far = read_so_far(folder)
    if not quiet:
        models = so_far.models.values()
        torn = f"; a torn last line of {so_far.torn_bytes} bytes is dropped" if so_far.torn_bytes else ""
        click.echo(
            f"Resuming {folder.name} after {duration(so_far.measured_s)}: {sum(model.done for model in models)} of "
            f"{len(models)} models and {sum(model.blocks for model in models)} blocks are done{torn}",
            err=True,
        )
    return resumed_config(so_far.header)
