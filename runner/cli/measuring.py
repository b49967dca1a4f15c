"""What the commands that measure have in common: their options, and the way from configuration to table."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from runner.cli.gates import RUN_GATE, Gated
from runner.cli.options import (
    ALLOW_UNVERIFIED,
    DETAILS,
    INPUT,
    INTERPRETER,
    MODELS_DIR,
    REPORTS_DIR,
    SHAPE,
    format_option,
)
from runner.cli.progress import progress_on_stderr
from runner.cli.settings import CONFIG
from runner.errors import SIGNALLED, AbsentError
from runner.variants import REFERENCE_VARIANT, VARIANTS

if TYPE_CHECKING:
    from runner.config import RunConfig
    from runner.experiment import Outcome
    from runner.progress import Progress
    from runner.selection import Selection

_Command = TypeVar("_Command", bound=Callable[..., Any])

PROFILES = ("quick", "standard", "publication")

_WHAT = (
    click.option(
        "-m",
        "--model",
        "models",
        multiple=True,
        metavar="NAME",
        show_default="the five of the study",
        help="An exported model, or the unique beginning of its name; repeatable.",
    ),
    click.option(
        "--variant",
        "variants",
        multiple=True,
        metavar="|".join(VARIANTS),
        default=(REFERENCE_VARIANT,),
        show_default=REFERENCE_VARIANT,
        help="A file of each exported model, as joulebatch export --variant makes it; the first is the baseline's; "
        "repeatable.",
    ),
    click.option(
        "--onnx",
        "onnx_files",
        multiple=True,
        metavar="[LABEL=]FILE",
        show_default="none",
        help="Any ONNX file; repeatable. Files with labels are variants of one model, such as two commits of it; the "
        "first is the baseline.",
    ),
    SHAPE,
    INPUT,
    click.option(
        "--backend",
        "backends",
        multiple=True,
        metavar="SPEC",
        show_default="cpu, torch where installed, cuda where a GPU is",
        help="[LABEL=]NAME[@INTERPRETER][:key=value,...], see below; repeatable.",
    ),
    INTERPRETER,
    click.option(
        "--baseline", metavar="LABEL", show_default="the first", help="The backend that ratios refer to."
    ),
)
"""what is measured"""

_EFFORT = (
    click.option(
        "--profile",
        type=click.Choice(PROFILES, case_sensitive=False),
        default="standard",
        help="Effort, and what may be claimed from it.",
    ),
    click.option(
        "--time-budget",
        "time_budget_s",
        metavar="DURATION",
        show_default="5m for quick, else none",
        help="Time for all models, as 90s or 5m.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1),
        metavar="N",
        show_default="quick 1, standard 5, publication 10",
        help="Fresh processes per backend that the blocks are spread over: claims of 2 % and less need 3 or more.",
    ),
    click.option(
        "--seed", type=click.IntRange(0, 2**63 - 1), metavar="N", default=0, help="Of inputs and order."
    ),
    click.option(
        "--meter",
        default="auto",
        metavar="auto|none|NAME",
        help="Energy meters; a NAME that is absent is an error.",
    ),
    click.option(
        "--cpu-watts",
        metavar="IDLE:MAX",
        show_default="no estimate",
        help="Where no meter is, estimate CPU energy from these watts and the utilisation.",
    ),
    click.option(
        "--allow-fallback",
        is_flag=True,
        show_default="off",
        help="Measure also where heavy operators run on another provider than asked for.",
    ),
    ALLOW_UNVERIFIED,
    click.option(
        "--allow-other-outputs",
        is_flag=True,
        show_default="off",
        help="Labelled --onnx files may compute something else than the first, such as after training: each is "
        "compared with its own outputs.",
    ),
    MODELS_DIR,
    REPORTS_DIR,
    click.option("--name", metavar="TEXT", show_default="none", help="A name for the report."),
    click.option(
        "--resume",
        metavar="REPORT|latest",
        show_default="a new run",
        help="Go on with a run that was interrupted or killed, exactly as it was begun.",
    ),
    format_option(),
    DETAILS,
    click.option(
        "--explain",
        is_flag=True,
        show_default="off",
        help="Print the plan with predicted times; measure nothing.",
    ),
    click.option(
        "-q", "--quiet", is_flag=True, show_default="off", help="No progress and no notices on stderr."
    ),
    click.option(
        "-v", "--verbose", is_flag=True, show_default="off", help="A line on stderr for every window."
    ),
)
"""how, and where to"""


def measuring_options(*own: Callable[[Any], Any]) -> Callable[[_Command], _Command]:
    """Return a decorator that adds the shared options, a command's own ones between what is measured and how."""

    def decorate(command: _Command) -> _Command:
        for option in reversed((*_WHAT, *own, *_EFFORT, *RUN_GATE, CONFIG)):
            command = option(command)
        return command

    return decorate


@dataclass(frozen=True, slots=True)
class Shown:
    """The flags that shape what is shown, and not what is measured."""

    format_name: str
    details: bool
    explain: bool
    quiet: bool
    verbose: bool


@dataclass(frozen=True, slots=True)
class After:
    """The flags that say what becomes of what was measured."""

    shown: Shown
    gated: Gated

    @classmethod
    def taken_from(cls, flags: dict[str, Any]) -> "After":
        """Return them, taken out of the flags of a command: the others say what is measured."""
        shown = Shown(**{each.name: flags.pop(each.name) for each in fields(Shown)})
        return cls(shown, Gated(**{each.name: flags.pop(each.name) for each in fields(Gated)}))


def measure(
    ctx: click.Context, read: "Callable[[], RunConfig]", resume: str | None, reports_dir: Path, after: After
) -> None:
    """Measure what was asked for, or go on with it, archive it and show it; leave with the right exit code.

    Args:
        ctx: of the command.
        read: returns the configuration of a new run.
        resume: the report to go on with.
        reports_dir: where reports are.
        after: what becomes of what was measured.
    """
    from runner.selection import select  # noqa: PLC0415 - --help must not pay for it

    shown = after.shown
    folder: Path | None = None
    if resume is None:
        config = read()
    else:
        from runner.cli.resume import begun_with, folder_to_resume  # noqa: PLC0415 - only with --resume

        folder = folder_to_resume(ctx, resume, reports_dir)
        config = begun_with(folder, quiet=shown.quiet)
    selection = select(config)
    after.gated.check(selection)
    if not shown.quiet:
        _warn_of_random_weights(selection)
    if shown.explain:
        from runner.render.plan import plan_section  # noqa: PLC0415 - the same
        from runner.render.terminal import write_sections  # noqa: PLC0415 - the same

        write_sections((plan_section(config, selection),), sys.stdout)
        return
    if not shown.quiet and resume is None:
        from runner.render.plan import time_text  # noqa: PLC0415 - the same

        click.echo(time_text(config, selection), err=True)
    progress = progress_on_stderr(quiet=shown.quiet, verbose=shown.verbose, budget_s=config.time_budget_s)
    outcome = _measure(config, selection, progress, folder)
    from runner.render import render  # noqa: PLC0415 - the same

    render(outcome.report, shown.format_name, sys.stdout, details=shown.details)
    click.echo(f"{'Interrupted report' if outcome.interrupted_by else 'Report'}: {outcome.folder}", err=True)
    if outcome.interrupted_by:
        ctx.exit(SIGNALLED + outcome.interrupted_by)
    if not outcome.report.windows:
        reasons = sorted({cell.reason for cell in outcome.report.cells})
        raise AbsentError("Nothing could be measured", got="; ".join(reasons), fix=f"See {outcome.folder}")
    after.gated.end(outcome.report)


def _measure(
    config: "RunConfig", selection: "Selection", progress: "Progress", resume: Path | None
) -> "Outcome":
    """Return what a run left behind; the terminal is as it was, whatever happens."""
    from runner.experiment import run_experiment  # noqa: PLC0415 - --help must not pay for it

    try:
        return run_experiment(config, selection, ("joulebatch", *sys.argv[1:]), progress, resume)
    finally:
        progress.close()


def _warn_of_random_weights(selection: "Selection") -> None:
    names = dict.fromkeys(
        file.name for file in selection.files if file.manifest and file.manifest.weights.kind == "random"
    )
    if names:
        click.echo(
            f"RANDOM weights: {', '.join(names)}. Speed and energy are real, answers mean nothing.", err=True
        )
