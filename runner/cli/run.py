"""``joulebatch run``: flags and TOML -> configuration -> measured report -> table and exit code."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.options import DETAILS, FOLDER, MODELS_DIR, REPORTS_DIR, format_option
from runner.cli.settings import CONFIG
from runner.errors import SIGNALLED, AbsentError

if TYPE_CHECKING:
    from runner.config import RunConfig
    from runner.experiment import Outcome
    from runner.progress import Progress
    from runner.selection import Selection

PROFILES = ("quick", "standard", "publication")


class RunCommand(click.Command):
    """The command whose help lists the backends of the registry."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the backends with their options, then the examples."""
        from runner.diagnosis import backend_facts  # noqa: PLC0415 - only the help of this command needs it

        with formatter.section("Backends"):
            formatter.write_dl(
                [(facts.name, f"{facts.summary}. Options: {facts.options}") for facts in backend_facts()]
            )
        super().format_epilog(ctx, formatter)


@click.command(
    cls=RunCommand,
    context_settings={"show_default": True, "max_content_width": 100},
    epilog="""
\b
Examples:
  joulebatch run -m shufflenet --backend cpu --backend cpu:threads=1 --batch-sizes 1,4,16
  joulebatch run -m shufflenet --backend cpu --backend cpu:spin=off --pace 8
  joulebatch run -m shufflenet --backend cpu --backend cpu@old --interpreter old=ENV/bin/python
  joulebatch run --onnx detector.onnx --shape images=3x640x640 --backend A=cpu --backend B=cpu
  joulebatch run --profile quick --explain
  joulebatch run --resume latest
""",
)
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    show_default="the five of the study",
    help="An exported model, or the unique beginning of its name; repeatable.",
)
@click.option(
    "--onnx",
    "onnx_files",
    multiple=True,
    metavar="FILE",
    type=FOLDER,
    show_default="none",
    help="Any ONNX file; repeatable.",
)
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="INPUT=3x640x640",
    show_default="none",
    help="Sizes, without the batch, for other dynamic dimensions of an --onnx file; repeatable.",
)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="SPEC",
    show_default="cpu, torch where installed, cuda where a GPU is",
    help="[LABEL=]NAME[@INTERPRETER][:key=value,...], see below; repeatable.",
)
@click.option(
    "--interpreter",
    "interpreters",
    multiple=True,
    metavar="NAME=PATH",
    show_default="none",
    help="Another Python, or its virtual environment, that runs the backends written as cpu@NAME; repeatable.",
)
@click.option(
    "--baseline", metavar="LABEL", show_default="the first", help="The backend that ratios refer to."
)
@click.option("--batch-sizes", default="1,2,4,8,16,32", metavar="N,...", help="Batch sizes, back to back.")
@click.option(
    "--pace",
    "paces",
    multiple=True,
    metavar="R[@N,...]",
    show_default="none",
    help="Also R images per second, with gaps, at the smallest batch size or those after @; repeatable.",
)
@click.option(
    "--gaps",
    "gaps_s",
    default="",
    metavar="DURATION,...",
    show_default="none",
    help="Also every batch size with so much idle time before each inference, as 2ms,20ms: what the twin needs.",
)
@click.option(
    "--profile",
    type=click.Choice(PROFILES, case_sensitive=False),
    default="standard",
    help="Effort, and what may be claimed from it.",
)
@click.option(
    "--time-budget",
    "time_budget_s",
    metavar="DURATION",
    show_default="5m for quick, else none",
    help="Time for all models, as 90s or 5m.",
)
@click.option(
    "--target-ci",
    "target_ci_ratio",
    default="2%",
    metavar="PERCENT",
    help="Stop a model once its ratios to the baseline are known to plus or minus this.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    show_default="quick 1, standard 5, publication 10",
    help="Fresh processes per backend that the blocks are spread over: claims of 2 % and less need 3 or more.",
)
@click.option("--seed", type=click.IntRange(0), metavar="N", default=0, help="Of inputs and order.")
@click.option(
    "--meter",
    default="auto",
    metavar="auto|none|NAME",
    help="Energy meters; a NAME that is absent is an error.",
)
@click.option(
    "--cpu-watts",
    metavar="IDLE:MAX",
    show_default="no estimate",
    help="Where no meter is, estimate CPU energy from these watts and the utilisation.",
)
@click.option(
    "--allow-fallback",
    is_flag=True,
    show_default="off",
    help="Measure also where heavy operators run on another provider than asked for.",
)
@MODELS_DIR
@REPORTS_DIR
@click.option("--name", metavar="TEXT", show_default="none", help="A name for the report.")
@click.option(
    "--resume",
    metavar="REPORT|latest",
    show_default="a new run",
    help="Go on with a run that was interrupted or killed, exactly as it was begun.",
)
@format_option()
@DETAILS
@click.option(
    "--explain",
    is_flag=True,
    show_default="off",
    help="Print the plan with predicted times; measure nothing.",
)
@click.option("-q", "--quiet", is_flag=True, show_default="off", help="No progress and no notices on stderr.")
@click.option("-v", "--verbose", is_flag=True, show_default="off", help="A line on stderr for every window.")
@CONFIG
@click.pass_context
def run(  # noqa: PLR0913 - one for each flag that shapes the output
    ctx: click.Context,
    /,
    *,
    resume: str | None,
    format_name: str,
    details: bool,
    explain: bool,
    quiet: bool,
    verbose: bool,
    **flags: Any,  # noqa: ANN401 - validated by RunConfig
) -> None:
    """Compare backends over batch sizes: latency, images/s, CPU time and energy per image.

    Every model runs under every backend in a process of its own. Short windows of all cells alternate in random
    order, so that ratios hold although the machine's speed wanders.
    """
    from runner.config import RunConfig  # noqa: PLC0415 - --help must not pay for it
    from runner.selection import select  # noqa: PLC0415 - the same

    folder: Path | None = None
    if resume is None:
        config = RunConfig.read(flags)
    else:
        from runner.cli.resume import begun_with, folder_to_resume  # noqa: PLC0415 - only with --resume

        folder = folder_to_resume(ctx, resume, flags["reports_dir"])
        config = begun_with(folder, quiet=quiet)
    selection = select(config)
    if not quiet:
        _warn_of_random_weights(selection)
    if explain:
        from runner.render.plan import plan_section  # noqa: PLC0415 - the same
        from runner.render.terminal import write_sections  # noqa: PLC0415 - the same

        write_sections((plan_section(config, selection),), sys.stdout)
        return
    outcome = _measure(config, selection, _progress(config, quiet=quiet, verbose=verbose), folder)
    from runner.render import render  # noqa: PLC0415 - the same

    render(outcome.report, format_name, sys.stdout, details=details)
    click.echo(f"{'Interrupted report' if outcome.interrupted_by else 'Report'}: {outcome.folder}", err=True)
    if outcome.interrupted_by:
        ctx.exit(SIGNALLED + outcome.interrupted_by)
    if not outcome.report.windows:
        reasons = sorted({cell.reason for cell in outcome.report.cells})
        raise AbsentError("Nothing could be measured", got="; ".join(reasons), fix=f"See {outcome.folder}")


def _measure(
    config: "RunConfig", selection: "Selection", progress: "Progress", resume: Path | None
) -> "Outcome":
    """Return what a run left behind; the terminal is as it was, whatever happens."""
    from runner.experiment import run_experiment  # noqa: PLC0415 - --help must not pay for it

    try:
        return run_experiment(config, selection, ("joulebatch", *sys.argv[1:]), progress, resume)
    finally:
        progress.close()


def _progress(config: "RunConfig", *, quiet: bool, verbose: bool) -> "Progress":
    from runner.progress import LineProgress, Progress  # noqa: PLC0415 - --help must not pay for it

    if verbose:
        return LineProgress(sys.stderr)
    if quiet or not sys.stderr.isatty():
        return Progress()
    from rich.console import Console  # noqa: PLC0415 - only for a terminal

    from runner.render.progress import TerminalProgress  # noqa: PLC0415 - the same

    return TerminalProgress(Console(stderr=True), config.time_budget_s)


def _warn_of_random_weights(selection: "Selection") -> None:
    names = [
        file.name for file in selection.files if file.manifest and file.manifest.weights.kind == "random"
    ]
    if names:
        click.echo(
            f"RANDOM weights: {', '.join(names)}. Speed and energy are real, answers mean nothing.", err=True
        )
