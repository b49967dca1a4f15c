"""``joulebatch reports show``."""

import sys
from pathlib import Path

import click

from runner.cli.options import DETAILS, FOLDER, REPORTS_DIR, format_option
from runner.errors import UsageError


@click.command(
    epilog="\b\nExamples:\n"
    "  joulebatch reports show\n"
    "  joulebatch reports show 2026-11-23T21 --details\n"
    "  joulebatch reports show latest --plot\n"
    "  joulebatch reports show latest -f csv > cells.csv\n"
    "  joulebatch reports show latest --timeline --plot-file timeline.svg"
)
@click.argument("report", default="latest", metavar="[REPORT]")
@REPORTS_DIR
@format_option()
@DETAILS
@click.option(
    "--plot",
    "as_plot",
    is_flag=True,
    show_default="off",
    help="Draw latency and cost per image against batch size instead, and responses of a queue against rate.",
)
@click.option(
    "--timeline",
    "as_timeline",
    is_flag=True,
    show_default="off",
    help="Show cost per image against published accuracy by year instead.",
)
@click.option(
    "--backend",
    metavar="LABEL",
    show_default="the baseline",
    help="With --timeline: whose cost it shows.",
)
@click.option(
    "--plot-file",
    type=FOLDER,
    metavar="FILE",
    show_default="none",
    help="With --timeline: also draw it, as .svg or .png; needs the extra plot.",
)
def show(  # noqa: PLR0913 - one for each flag
    *,
    report: str,
    reports_dir: Path,
    format_name: str,
    details: bool,
    as_plot: bool,
    as_timeline: bool,
    backend: str | None,
    plot_file: Path | None,
) -> None:
    """Show REPORT as tables.

    REPORT is "latest" (the default), an id, the start of one, or a folder.
    """
    from runner.render import render  # noqa: PLC0415 - loads pydantic
    from runner.report.archive import load, resolve  # noqa: PLC0415 - the same

    if as_plot and (as_timeline or format_name != "table"):
        raise UsageError(
            "Cannot use --plot",
            expected="the format table, and no --timeline beside it",
            got="--timeline" if as_timeline else f"-f {format_name}",
            fix="Draw a timeline with: --timeline --plot-file FILE.svg"
            if as_timeline
            else "Drop one of them",
        )
    if as_timeline:
        from runner.cli.reports.timeline import show_timeline  # noqa: PLC0415 - the same

        found = resolve(reports_dir, report)
        show_timeline(found, backend=backend, plot_file=plot_file, format_name=format_name, details=details)
        return
    for flag, value in (("--backend", backend), ("--plot-file", plot_file)):
        if value is not None:
            raise UsageError(
                f"Cannot use {flag}", expected="--timeline beside it", got="none", fix="Add --timeline"
            )
    if as_plot:
        from runner.render.plots import write_plots  # noqa: PLC0415 - loads rich

        write_plots(load(resolve(reports_dir, report)), sys.stdout, details=details)
        return
    render(load(resolve(reports_dir, report)), format_name, sys.stdout, details=details)
