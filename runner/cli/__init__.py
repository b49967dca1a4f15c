"""The command ``joulebatch``: commands are loaded when used, and errors end in one place as exit codes.

Importing this file costs click and the standard library only; ``joulebatch --help`` is to stay within 0.12 s.
"""

import errno
import os
import select
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import click

from runner.encodable import never_fail
from runner.errors import SIGNALLED, AbsentError, FileError, JoulebatchError, UsageError, nearest

if TYPE_CHECKING:  # importing importlib.metadata costs 25 ms; only --help and added commands pay it
    from importlib.metadata import EntryPoint

ENTRY_POINT_GROUP = "joulebatch.commands"

EXIT_INTERRUPTED = SIGNALLED + signal.SIGINT
EXIT_BROKEN_PIPE = SIGNALLED + signal.SIGPIPE
"""what a shell reports for a program that SIGPIPE ended, as `joulebatch ... | head` would without Python"""

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}

_DEBUG = "runner.cli.debug"


@dataclass(frozen=True, slots=True)
class _BuiltIn:
    """A command of ours; its summary stands here so that the help need not load it."""

    target: str
    summary: str


BUILT_IN = {
    "run": _BuiltIn(
        "runner.cli.run:run",
        "Compare backends over batch sizes: latency, images/s, CPU time and energy per image.",
    ),
    "queue": _BuiltIn(
        "runner.cli.queue:queue",
        "Compare batching policies at request rates: waits, responses, batches formed, energy and CPU time per image.",
    ),
    "recommend": _BuiltIn(
        "runner.cli.recommend:recommend",
        "Recommend a backend and a batching policy for a request rate and a latency limit.",
    ),
    "reports": _BuiltIn(
        "runner.cli.reports:reports",
        "List, show, compare, verify, query, convert, publish and prune archived reports.",
    ),
    "doctor": _BuiltIn(
        "runner.cli.doctor:doctor", "Say what this machine can measure, or what is in an ONNX file."
    ),
}


class LazyGroup(click.Group):
    """A group whose commands are ours by name and everybody's by entry point, loaded when used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return ours first, then those that entry points add."""
        del ctx
        return [*BUILT_IN, *_added()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, loaded.

        Raises:
            AbsentError: an entry point names it and cannot be loaded.
        """
        del ctx
        if built_in := BUILT_IN.get(cmd_name):
            module, _, attribute = built_in.target.partition(":")
            return _with_debug(getattr(import_module(module), attribute))
        entry_point = _added().get(cmd_name)
        return None if entry_point is None else _with_debug(_load(entry_point))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that was named, or an error with the nearest name."""
        if not args[0].startswith("-") and args[0] not in BUILT_IN and args[0] not in _added():
            fix = nearest(args[0], tuple(self.list_commands(ctx)))
            raise UsageError("Unknown command", got=repr(args[0]), fix=fix)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a line per command; one that cannot be loaded costs a warning and not the help."""
        del ctx
        rows = [(name, built_in.summary) for name, built_in in BUILT_IN.items()]
        for name, entry_point in _added().items():
            try:
                rows.append((name, _load(entry_point).get_short_help_str(limit=72)))
            except AbsentError as error:
                click.echo(f"joulebatch: warning: {error}", err=True)
                rows.append((name, "(cannot be loaded)"))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _added() -> "dict[str, EntryPoint]":
    """Return the commands that installed packages add; a name of ours cannot be taken."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - costs 25 ms that built-in commands need not pay

    return {
        point.name: point for point in entry_points(group=ENTRY_POINT_GROUP) if point.name not in BUILT_IN
    }


def _load(entry_point: "EntryPoint") -> click.Command:
    package = entry_point.dist.name if entry_point.dist else "an unknown package"
    what = f"Cannot load the command {entry_point.name} of {package}"
    try:
        command = entry_point.load()
    except Exception as error:  # other people's code may raise anything
        raise AbsentError(what, got=f"{type(error).__name__}: {error}", fix=f"Reinstall {package}") from error
    if not isinstance(command, click.Command):
        raise AbsentError(
            what, expected="a click command", got=type(command).__name__, fix=f"Update {package}"
        )
    return command


def _remember_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    del param
    ctx.meta[_DEBUG] = ctx.meta.get(_DEBUG, False) or value


def _debug_option() -> click.Option:
    return click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_remember_debug,
        help="Show the trace of an error. May stand before or after the command.  [default: (off)]",
    )


def _with_debug(command: click.Command) -> click.Command:
    """Return the command with ``--debug`` added to it and to the commands below it."""
    if not any("--debug" in param.opts for param in command.params):
        command.params.append(_debug_option())
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _with_debug(below)
    return command


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    del param
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - as in _added

    try:
        click.echo(f"joulebatch {version('joulebatch')}")
    except PackageNotFoundError:
        click.echo("joulebatch, not installed: run from its source")
    ctx.exit()


@click.group(
    cls=LazyGroup,
    params=[_debug_option()],
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""
\b
Examples:
  joulebatch export shufflenet
  joulebatch run -m shufflenet --batch-sizes 1,4,16
  joulebatch recommend latest --request-rate 32 --latency-threshold 200ms
  joulebatch reports show latest

\b
Exit codes:
  0    done; failed cells are shown       4         file, archive or disk
  1    a gate that was asked for failed   70        our own bug
  2    cannot be parsed, unknown name     129, 130, interrupted; what was
  3    known but absent, or nothing       143       measured is kept, and
       could be measured                            run --resume goes on
""",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
def cli() -> None:
    """Compare energy and latency of ONNX models per backend, variant and batch size.

    Which ONNX Runtime backend, batch size and batching policy spends the least energy per image under your latency
    limit, on your machine, with numbers you can trust.
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        never_fail(stream)
    arguments = list(sys.argv[1:] if args is None else args) or ["--help"]
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
    except OSError as error:
        # Standard output is gone or full. Python flushes it once more at exit, which must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return EXIT_BROKEN_PIPE
        return _explain(error)
    return code


def _invoke(arguments: list[str]) -> int:
    """Return the exit code of a command; every error becomes one line.

    Raises:
        BrokenPipeError: nobody reads standard output any more.
    """
    ctx = None
    try:
        with cli.make_context("joulebatch", arguments) as ctx:
            cli.invoke(ctx)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted.")
        return EXIT_INTERRUPTED
    except Exception as error:  # the one place where errors end
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            raise
        if ctx is not None and ctx.meta.get(_DEBUG):
            import traceback  # noqa: PLC0415 - only for --debug

            traceback.print_exception(error)
        return _explain(error)
    return 0


def _explain(error: Exception) -> int:
    """Print one line that says what went wrong; return the exit code."""
    if isinstance(error, JoulebatchError):
        _say(str(error))
        return error.exit_code
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        _say(f"Cannot write: {error.strerror}.")
        return FileError.exit_code
    if isinstance(error, click.ClickException):
        command = getattr(getattr(error, "ctx", None), "command_path", "joulebatch")
        _say(f"{error.format_message().rstrip('.?')}. Try '{command} --help'.")
        return UsageError.exit_code
    _say(f"unexpected {type(error).__name__}: {error}. This is a bug in joulebatch; --debug shows the trace.")
    return JoulebatchError.exit_code


def _reader_is_gone() -> bool:
    """Return whether it is standard output that broke, and not the pipe to a worker."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _say(text: str) -> None:
    click.echo(f"joulebatch: {' '.join(text.split())}", err=True)
