"""The options that choose among archived reports, for every command that takes some."""

from collections.abc import Callable
from typing import Any

import click

_OPTIONS = (
    click.option(
        "-m",
        "--model",
        "models",
        multiple=True,
        metavar="TEXT",
        show_default="all",
        help="Only reports with a model whose name holds TEXT; repeatable, for either.",
    ),
    click.option(
        "--backend",
        "backends",
        multiple=True,
        metavar="TEXT",
        show_default="all",
        help="Only reports with a backend whose label or spec holds TEXT; repeatable.",
    ),
    click.option(
        "--host",
        "hosts",
        multiple=True,
        metavar="TEXT",
        show_default="all",
        help="Only reports of a machine whose name holds TEXT; repeatable.",
    ),
)


def filter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets ``models``, ``backends`` and ``hosts``."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
