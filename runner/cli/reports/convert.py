"""``joulebatch reports convert``."""

from pathlib import Path

import click

from runner.cli.options import FOLDER, REPORTS_DIR
from runner.convert.registry import CONVERTERS
from runner.errors import FileError, UsageError

_STDOUT = Path("-")


class _ConvertCommand(click.Command):
    """A command whose help lists the converters of the registry."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the converters, then the examples."""
        with formatter.section("Converters"):
            formatter.write_dl([(name, entry.summary) for name, entry in CONVERTERS.items()])
        super().format_epilog(ctx, formatter)


@click.command(
    cls=_ConvertCommand,
    epilog="\b\nExamples:\n"
    "  joulebatch reports convert latest --to pyperf -o new.json\n"
    "  joulebatch reports convert --to mlflow --tracking-uri http://127.0.0.1:5000\n"
    "  joulebatch reports convert latest --to html --self-contained -o page.html\n"
    "  joulebatch reports convert --to github-action-benchmark > benchmark.json",
)
@click.argument("report", default="latest", metavar="[REPORT]")
@REPORTS_DIR
@click.option(
    "--to",
    "converter_name",
    type=click.Choice(tuple(CONVERTERS)),
    metavar="NAME",
    required=True,
    help="One of the converters below.",
)
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    metavar="FILE",
    show_default="stdout",
    help="What to write; a file that is there is kept without --force.",
)
@click.option(
    "--force",
    is_flag=True,
    show_default="off",
    help="Replace the file; with mlflow: log one more run of a report that was logged already.",
)
@click.option(
    "--tracking-uri",
    metavar="URI",
    show_default="MLFLOW_TRACKING_URI of the environment",
    help="With mlflow: its tracking server.",
)
@click.option(
    "--experiment",
    metavar="NAME",
    show_default="joulebatch",
    help="With mlflow: the experiment that gets the run; made where it is not there.",
)
@click.option(
    "--self-contained",
    is_flag=True,
    default=None,
    show_default="off",
    help="With html: the page holds what draws its plots, 5 MB, and can be sent alone.",
)
def convert(  # noqa: PLR0913 - one for each flag
    *,
    report: str,
    reports_dir: Path,
    converter_name: str,
    output: Path | None,
    force: bool,
    tracking_uri: str | None,
    experiment: str | None,
    self_contained: bool | None,
) -> None:
    """Convert REPORT for another tool.

    REPORT is "latest" (the default), an id, the start of one, or a folder.
    """
    given = {"tracking_uri": tracking_uri, "experiment": experiment, "self_contained": self_contained}
    _check_options(converter_name, output=output, **given)
    to_file = output not in {None, _STDOUT}
    if output and to_file:
        _check_output(output, force=force)
    from runner.convert.interface import Request  # noqa: PLC0415 - loads pydantic
    from runner.convert.registry import find_converter  # noqa: PLC0415 - nothing else needs it
    from runner.report.archive import load, resolve  # noqa: PLC0415 - loads pydantic
    from runner.report.folders import is_report  # noqa: PLC0415 - the same

    folder = resolve(reports_dir, report)
    if output and to_file and is_report(output.absolute().parent.resolve()):
        raise _cannot_write(output, "that of a report", expected="a folder that is not archived")
    loaded = load(folder)
    request = Request(
        folder,
        loaded,
        force=force,
        tracking_uri=tracking_uri,
        experiment=experiment,
        self_contained=self_contained,
    )
    done = find_converter(converter_name)(request)
    if loaded.status != "complete":
        click.echo(f"this run is {loaded.status}: the figures cover what was measured so far", err=True)
    for note in done.notes:
        click.echo(note, err=True)
    if output and to_file:
        _write(output, done.data)
    else:
        click.echo(done.data, nl=False)


def _check_options(converter_name: str, **given: object) -> None:
    """Refuse what the converter does not take, instead of passing it over in silence."""
    for name, value in given.items():
        if value is not None and name not in CONVERTERS[converter_name].options:
            takers = " or ".join(other for other, entry in CONVERTERS.items() if name in entry.options)
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"Cannot use {flag}",
                expected=f"it with --to {takers}",
                got=f"--to {converter_name}",
                fix=f"Leave {flag} out",
            )


def _check_output(path: Path, *, force: bool) -> None:
    """Refuse a target that would be lost, before anything is converted."""
    try:
        is_there, is_file = path.exists(), path.is_file()
    except OSError as error:  # longer than any name can be, or in a folder that is closed to us
        raise _cannot_write(path, str(error.strerror)) from error
    if is_there and not is_file:
        raise _cannot_write(path, "a folder or a device", expected="a file")
    if is_there and not force:
        fix = "Pass another --output, or --force to replace it"
        raise _cannot_write(path, "one that is there", expected="no file of that name", fix=fix)


def _write(path: Path, data: bytes) -> None:
    from runner.report.disk import replace_file  # noqa: PLC0415 - only a file needs it

    try:
        replace_file(path, data)
    except OSError as error:
        raise _cannot_write(path, str(error.strerror)) from error


def _cannot_write(
    path: Path, got: str, *, expected: str = "", fix: str = "Pass another --output"
) -> FileError:
    return FileError(f"Cannot write {path}", expected=expected, got=got, fix=fix)
