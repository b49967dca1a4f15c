"""Options that several commands have: the same word, default and help everywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FORMATS = ("table", "json", "csv", "md")
"""the words of ``runner.render.FORMATS``, which no help need load"""

FOLDER = click.Path(path_type=Path)

MODELS_DIR = click.option(
    "--models-dir",
    type=FOLDER,
    default=Path("models"),
    show_default=True,
    help="Where exported models are.",
)
REPORTS_DIR = click.option(
    "--reports-dir",
    type=FOLDER,
    default=Path("reports"),
    show_default=True,
    help="Where reports are archived.",
)
DETAILS = click.option(
    "--details", is_flag=True, show_default="off", help="Show everything, settings and intervals included."
)


def format_option(formats: tuple[str, ...] = FORMATS) -> Callable[[Any], Any]:
    """Return the option ``-f``, for a command that can write these formats."""
    return click.option(
        "-f",
        "--format",
        "format_name",
        type=click.Choice(formats),
        default="table",
        show_default=True,
        help="What stdout gets.",
    )
