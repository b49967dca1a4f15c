"""Options that several commands have: the same word, default and help everywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FORMATS = ("table", "json", "csv", "md")
"""the words of ``runner.render.FORMATS``, which no help need load"""

FOLDER = click.Path(path_type=Path)

TABLE_ROWS = 100
"""what people read of a long listing, and a table lays out in a tenth of a second"""
LIMIT = click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    show_default=f"{TABLE_ROWS} in a table, else all",
    help="Show the first N rows; 0 shows all.",
)
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
ALLOW_UNVERIFIED = click.option(
    "--allow-unverified",
    is_flag=True,
    show_default="off",
    help="Let variants win whose quality nobody can know, as with random weights; one that lost it never does.",
)
SHAPE = click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="INPUT=3x640x640",
    show_default="none",
    help="Sizes of an ONNX file's dynamic dimensions, without the batch; or of all dimensions, with B where "
    "the batch goes, as state=2xBx128; repeatable.",
)
INPUT = click.option(
    "--input",
    "input_values",
    multiple=True,
    metavar="INPUT=VALUE",
    show_default="random, seeded",
    help="What an input of an ONNX file holds: a number (sr=16000), LOW:HIGH, HIGH excluded (ids=0:30522), or "
    "samples from a file of numpy (images=FILE.npy); repeatable.",
)
INTERPRETER = click.option(
    "--interpreter",
    "interpreters",
    multiple=True,
    metavar="NAME=PATH",
    show_default="none",
    help="Another Python, or its virtual environment, that runs the backends written as cpu@NAME; repeatable.",
)
DETAILS = click.option(
    "--details", is_flag=True, show_default="off", help="Show everything, settings and intervals included."
)


class PolicyCommand(click.Command):
    """A command whose help lists the policies and arrivals of the registries."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write policies and arrivals, then the examples."""
        from runner.arrivals.registry import ARRIVALS  # noqa: PLC0415 - only such a command's help needs it
        from runner.policies.registry import POLICIES  # noqa: PLC0415 - the same

        for title, kinds in (("Policies", POLICIES), ("Arrivals", ARRIVALS)):
            with formatter.section(title):
                formatter.write_dl([(kind.form, kind.summary) for kind in kinds.values()])
        super().format_epilog(ctx, formatter)


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
