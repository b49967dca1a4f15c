"""``--config``: settings of a TOML file, keyed as flags are spelt."""

from pathlib import Path
from typing import Any

import click

from runner.cli.options import FOLDER


def _apply_toml(ctx: click.Context, _param: click.Parameter, path: Path | None) -> None:
    """Make the file's settings the flags' defaults, so that flags win."""
    if path is None:
        return
    from runner.config import read_toml  # noqa: PLC0415 - only with --config

    flags = {
        param.opts[-1].lstrip("-"): param.name for param in ctx.command.params if param.opts[-1][:2] == "--"
    }
    known = tuple(name for name in flags if name not in ("config", "explain", "debug", "resume"))
    settings = read_toml(path, known)
    multiple = {param.name for param in ctx.command.params if getattr(param, "multiple", False)}
    ctx.default_map = {flags[key]: _as_flag(value, flags[key] in multiple) for key, value in settings.items()}


def _as_flag(value: Any, multiple: bool) -> Any:  # noqa: ANN401 - whatever TOML holds
    """Return a TOML value in the form of a flag: lists joined by commas unless the flag repeats."""
    if multiple:
        return value if isinstance(value, list) else [str(value)]
    return ",".join(str(item) for item in value) if isinstance(value, list) else value


CONFIG = click.option(
    "--config",
    is_eager=True,
    expose_value=False,
    callback=_apply_toml,
    type=FOLDER,
    metavar="FILE.toml",
    show_default="none",
    help="Defaults for these flags, keyed as they are spelt here; flags win.",
)
