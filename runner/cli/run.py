"""``joulebatch run``: flags and TOML -> configuration -> measured report -> table and exit code."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from runner.config import RunConfig
    from runner.meters.recorder import MeterSet
    from runner.progress import Progress
    from runner.selection import Selection

FORMATS = ("table", "json", "csv", "md")
PROFILES = ("quick", "standard", "publication")


def _apply_toml(ctx: click.Context, _param: click.Parameter, path: Path | None) -> None:
    """Make the file's settings the flags' defaults, so that flags win."""
    if path is None:
        return
    from runner.config import read_toml  # noqa: PLC0415 - only with --config

    flags = {
        param.opts[-1].lstrip("-"): param.name for param in ctx.command.params if param.opts[-1][:2] == "--"
    }
    known = tuple(name for name in flags if name not in ("config", "explain", "debug"))
    settings = read_toml(path, known)
    multiple = {param.name for param in ctx.command.params if getattr(param, "multiple", False)}
    ctx.default_map = {flags[key]: _as_flag(value, flags[key] in multiple) for key, value in settings.items()}


def _as_flag(value: Any, multiple: bool) -> Any:  # noqa: ANN401 - whatever TOML holds
    """Return a TOML value in the form of a flag: lists joined by commas unless the flag repeats."""
    if multiple:
        return value if isinstance(value, list) else [str(value)]
    return ",".join(str(item) for item in value) if isinstance(value, list) else value


@click.command(
    context_settings={"show_default": True, "max_content_width": 100},
    epilog="""
\b
Examples:
  joulebatch run -m shufflenet --backend cpu --backend cpu:threads=1 --batch-sizes 1,4,16
  joulebatch run -m shufflenet --backend cpu --backend cpu:spin=off --pace 8
  joulebatch run --onnx detector.onnx --shape images=3x640x640 --backend A=cpu --backend B=cpu
  joulebatch run --profile quick --explain
""",
)
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="An exported model, or the unique beginning of its name; repeatable.  [default: the five of the study]",
    show_default=False,
)
@click.option(
    "--onnx",
    "onnx_files",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Any ONNX file; repeatable.  [default: none]",
    show_default=False,
)
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="INPUT=3x640x640",
    help="Sizes without the batch for an --onnx file's other dynamic dimensions; repeatable.  [default: none]",
    show_default=False,
)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="SPEC",
    help="[LABEL=]NAME[:key=value,...]; repeatable; `joulebatch doctor` lists them.  [default: cpu, torch where installed, cuda where a GPU is]",
    show_default=False,
)
@click.option(
    "--baseline",
    metavar="LABEL",
    help="The backend that ratios refer to.  [default: the first]",
    show_default=False,
)
@click.option("--batch-sizes", default="1,2,4,8,16,32", metavar="N,...", help="Batch sizes, back to back.")
@click.option(
    "--pace",
    "paces",
    multiple=True,
    metavar="R[@N,...]",
    help="Also R images per second with gaps, at the smallest batch size or those after @; repeatable.  [default: none]",
    show_default=False,
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
    help="Time for all models, as 5m.  [default: 5m for quick, else none]",
    show_default=False,
)
@click.option(
    "--target-ci",
    "target_ci_ratio",
    default="2%",
    metavar="PERCENT",
    help="Half-width of the ratios to the baseline at which a run may stop.",
)
@click.option("--seed", type=int, default=0, help="Of inputs and order.")
@click.option(
    "--meter",
    default="auto",
    metavar="auto|none|NAME",
    help="Energy meters; a NAME that is absent is an error.",
)
@click.option(
    "--cpu-watts",
    metavar="IDLE:MAX",
    help="Estimate CPU energy from these watts and the utilisation, where no meter is.  [default: no estimate]",
    show_default=False,
)
@click.option(
    "--allow-fallback",
    is_flag=True,
    help="Measure also where heavy operators run on another provider than asked for.  [default: off]",
    show_default=False,
)
@click.option(
    "--models-dir", type=click.Path(path_type=Path), default=Path("models"), help="Where exported models are."
)
@click.option(
    "--reports-dir",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    help="Where reports are archived.",
)
@click.option("--name", metavar="TEXT", help="A name for the report.  [default: none]", show_default=False)
@click.option(
    "-f",
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    default="table",
    help="What to print on stdout.",
)
@click.option(
    "--details",
    is_flag=True,
    help="Print everything, intervals and settings included.  [default: off]",
    show_default=False,
)
@click.option(
    "--explain",
    is_flag=True,
    help="Print the plan with predicted times; measure nothing.  [default: off]",
    show_default=False,
)
@click.option(
    "-q",
    "--quiet",
    is_flag=True,
    help="No progress and no notices on stderr.  [default: off]",
    show_default=False,
)
@click.option(
    "--config",
    is_eager=True,
    expose_value=False,
    callback=_apply_toml,
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="Defaults for these flags, keyed as they are spelt; flags win.  [default: none]",
    show_default=False,
)
@click.pass_context
def run(
    ctx: click.Context, *, format_name: str, details: bool, explain: bool, quiet: bool, **values: Any
) -> None:  # noqa: ANN401 - validated by RunConfig
    """Compare backends over batch sizes: latency, images/s, CPU time and energy per image.

    Every model runs under every backend in a process of its own. Short windows of all cells alternate in random
    order, so that ratios hold although the machine's speed wanders.
    """
    from runner.config import RunConfig  # noqa: PLC0415 - --help must not pay for it
    from runner.selection import select  # noqa: PLC0415 - the same

    config = RunConfig.read(values)
    selection = select(config)
    if explain:
        from runner.render.plan import explain_plan  # noqa: PLC0415 - the same

        explain_plan(config, selection, sys.stdout)
        return
    ctx.exit(_measure(config, selection, format_name, details=details, quiet=quiet))


def _measure(
    config: "RunConfig", selection: "Selection", format_name: str, *, details: bool, quiet: bool
) -> int:
    """Run, print the report and its path, and return the exit code."""
    from runner.experiment import run_experiment  # noqa: PLC0415 - --help must not pay for it
    from runner.render import render  # noqa: PLC0415 - the same

    progress = _progress(config, quiet=quiet)

    def announce(meters: "MeterSet") -> None:
        if not quiet:
            _announce(selection, meters)

    try:
        outcome = run_experiment(config, selection, ("joulebatch", *sys.argv[1:]), progress, announce)
    finally:
        progress.close()
    render(outcome.report, format_name, sys.stdout, details=details)
    if not quiet:
        click.echo(
            f"{'Interrupted report' if outcome.interrupted_by else 'Report'}: {outcome.folder}", err=True
        )
    return 0 if outcome.interrupted_by is None else 128 + outcome.interrupted_by


def _progress(config: "RunConfig", *, quiet: bool) -> "Progress":
    from runner.progress import Progress  # noqa: PLC0415 - --help must not pay for it

    if quiet or not sys.stderr.isatty():
        return Progress()
    from rich.console import Console  # noqa: PLC0415 - only for a terminal

    from runner.render.progress import TerminalProgress  # noqa: PLC0415 - the same

    return TerminalProgress(Console(stderr=True), config.time_budget_s)


def _announce(selection: "Selection", meters: "MeterSet") -> None:
    """Say once, before measuring, what cannot be measured and whose weights are random."""
    for entry in meters.entries:
        if entry.status == "unavailable":
            remedy = f" {entry.remedy}." if entry.remedy else ""
            click.echo(f"Energy of {entry.domain}: unavailable ({entry.reason}).{remedy}", err=True)
    names = [
        file.name for file in selection.files if file.manifest and file.manifest.weights.kind == "random"
    ]
    if names:
        click.echo(
            f"RANDOM weights: {', '.join(names)}. Speed and energy are real, answers mean nothing.", err=True
        )
