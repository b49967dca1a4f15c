import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from runner.cli import BUILT_IN, cli

ROOT = Path(__file__).parents[3]
HEAVY = {"duckdb", "numpy", "onnx", "onnxruntime", "plotly", "pydantic", "rich", "scipy", "torch"}
START = "import sys; from runner.cli import main; sys.exit(main())"

COMMANDS = """
import os, sys
import click
from runner import errors

@click.command()
@click.argument("what", default="")
@click.option("--count", type=int, default=1)
def added(what, count):
    '''Do what a test asks for.'''
    if what.startswith("raise "):
        raise eval(what.removeprefix("raise "))
    if what == "flood":
        for _ in range(100_000):
            click.echo("x" * 100)
    if what == "exit 1":
        click.get_current_context().exit(1)
    click.echo(f"did {what or 'nothing'}")

number = 7
"""


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH in which a package is installed that adds commands, good ones and bad ones."""
    (tmp_path / "plugin_commands.py").write_text(COMMANDS)
    info = tmp_path / "plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[joulebatch.commands]\nadded = plugin_commands:added\n")
    return tmp_path


def add_entry(plugins: Path, line: str) -> None:
    with (plugins / "plugin-1.0.dist-info" / "entry_points.txt").open("a") as stream:
        stream.write(line + "\n")


def environment(*folders: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, *folders)))}


def joulebatch(
    *arguments: str, plugins: Path | None = None, start: str = START
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", start, *arguments],
        env=environment(*([plugins] if plugins else [])),
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_lists_every_command_and_loads_nothing_heavy(plugins: Path) -> None:
    start = (
        "import sys; from runner.cli import main; code = main()\n"
        "print(sorted(name for name in sys.modules if '.' not in name), file=sys.stderr); sys.exit(code)"
    )
    done = joulebatch("--help", plugins=plugins, start=start)
    assert done.returncode == 0
    for name in (*BUILT_IN, "added", "Do what a test asks for", "--debug", "Exit codes"):
        assert name in done.stdout
    assert not HEAVY & set(eval(done.stderr))


def test_no_arguments_print_the_help() -> None:
    assert joulebatch().stdout == joulebatch("--help").stdout


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_summary_in_the_help_is_the_commands_own(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.get_short_help_str(limit=200) == BUILT_IN[name].summary


def test_an_added_command_runs(plugins: Path) -> None:
    done = joulebatch("added", "this", plugins=plugins)
    assert (done.returncode, done.stdout, done.stderr) == (0, "did this\n", "")


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("exit 1", 1, ""),
        ("raise errors.GateError('Regression')", 1, "joulebatch: Regression.\n"),
        (
            "raise errors.UsageError('Cannot', got='x', fix='Do')",
            2,
            "joulebatch: Cannot: got x. Do.\n",
        ),
        ("raise click.UsageError('Bad')", 2, "joulebatch: Bad. Try 'joulebatch added --help'.\n"),
        ("raise errors.AbsentError('No cuda')", 3, "joulebatch: No cuda.\n"),
        ("raise errors.FileError('Cannot read\\n it')", 4, "joulebatch: Cannot read it.\n"),
        (
            "raise KeyError('x')",
            70,
            "joulebatch: unexpected KeyError: 'x'. This is a bug in joulebatch; --debug shows the trace.\n",
        ),
        # A worker's closed pipe is a bug of ours and must not pass for a closed standard output.
        (
            "raise BrokenPipeError('worker')",
            70,
            "joulebatch: unexpected BrokenPipeError: worker. This is a bug in joulebatch; --debug shows the trace.\n",
        ),
        ("raise KeyboardInterrupt", 130, "joulebatch: interrupted.\n"),
    ],
)
def test_every_error_is_one_line_and_its_exit_code(plugins: Path, what: str, code: int, said: str) -> None:
    done = joulebatch("added", what, plugins=plugins)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", said)


@pytest.mark.parametrize("error", ["KeyError('x')", "errors.FileError('Cannot read')"])
@pytest.mark.parametrize("before", [True, False])
def test_debug_shows_the_trace_before_and_after_the_command(plugins: Path, before: bool, error: str) -> None:
    arguments = ["added", f"raise {error}"]
    arguments.insert(0 if before else 2, "--debug")
    done = joulebatch(*arguments, plugins=plugins)
    assert "Traceback" in done.stderr
    assert "plugin_commands.py" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("joulebatch: ")


def test_debug_reaches_the_commands_of_a_group(tmp_path: Path) -> None:
    done = joulebatch("reports", "show", "--reports-dir", str(tmp_path), "--debug")
    assert done.returncode == 4
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["added", "--count", "two"], "'two' is not a valid integer"),
        (["added", "--contu", "2"], "Try 'joulebatch added --help'"),
        (["--nonsense"], "Try 'joulebatch --help'"),
        (["reports"], "Missing command. Try 'joulebatch reports --help'"),
        (["report"], "Did you mean reports? Valid: run, queue, recommend, reports, doctor, "),
    ],
)
def test_what_cannot_be_parsed_is_one_line_and_2(plugins: Path, arguments: list[str], said: str) -> None:
    done = joulebatch(*arguments, plugins=plugins)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith("joulebatch: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("broken = no_such_module:command", "ModuleNotFoundError"),
        ("broken = plugin_commands:no_such_attribute", "AttributeError"),
        ("broken = plugin_commands:number", "expected a click command, got int"),
    ],
)
def test_a_broken_command_costs_a_line_and_not_the_tool(plugins: Path, entry: str, reason: str) -> None:
    add_entry(plugins, entry)
    listed = joulebatch("--help", plugins=plugins)
    assert listed.returncode == 0
    assert "added" in listed.stdout
    assert "(cannot be loaded)" in listed.stdout
    assert listed.stderr.count("\n") == 1
    assert reason in listed.stderr
    used = joulebatch("broken", plugins=plugins)
    assert used.returncode == 3
    assert used.stderr.startswith("joulebatch: Cannot load the command broken of plugin: ")
    assert joulebatch("added", plugins=plugins).returncode == 0


def test_a_name_of_ours_cannot_be_taken(plugins: Path) -> None:
    add_entry(plugins, "reports = plugin_commands:added")
    assert "show" in joulebatch("reports", "--help", plugins=plugins).stdout


def test_a_closed_pipe_is_quiet(plugins: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", START, "added", "flood"],
        env=environment(plugins),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 128 + signal.SIGPIPE


def test_a_full_disk_under_standard_output_is_one_line_and_4(plugins: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", START, "added"],
            env=environment(plugins),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 4
    assert done.stderr == "joulebatch: Cannot write: No space left on device.\n"


def test_version_is_the_installed_packages(plugins: Path) -> None:
    info = plugins / "joulebatch-9.8.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: joulebatch\nVersion: 9.8\n")
    # In front of the path, because the development environment may have joulebatch installed as well.
    start = f"import sys; sys.path.insert(0, {str(plugins)!r}); from runner.cli import main; sys.exit(main())"
    assert joulebatch("--version", plugins=plugins, start=start).stdout == "joulebatch 9.8\n"
