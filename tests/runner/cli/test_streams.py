"""What commands write to real terminals, pipes and encodings; live and archived tables."""

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl

import pytest

from runner.cli import main
from tests.processes import ROOT, environment

REFERENCE = ROOT / "reports" / "reference"
BATCHES = str(REFERENCE / "2026-11-24T02-49-53-b9yx")
QUEUE = str(REFERENCE / "2026-11-26T20-48-40-yt3k")
COMMANDS = {
    "help": ("--help",),
    "show": ("reports", "show", BATCHES),
    "details": ("reports", "show", QUEUE, "--details"),
    "plot": ("reports", "show", BATCHES, "--plot"),
    "queue-plot": ("reports", "show", QUEUE, "--plot", "--details"),
    "timeline": ("reports", "show", BATCHES, "--timeline"),
    "list": ("reports", "list", "--reports-dir", str(REFERENCE)),
    "verify": ("reports", "verify", QUEUE),
    "doctor": ("doctor",),
    "recommend": ("recommend", QUEUE, "--request-rate", "16", "--policy", "greedy:8"),
}
COLOUR = re.compile(r"\x1b\[[0-9;]*(3[0-7]|9[0-7]|4[0-7])m")
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def in_terminal(columns: int, arguments: tuple[str, ...], variables: dict[str, str]) -> tuple[int, str]:
    """Run a command to its end in a terminal of its own; return its exit code and what it drew."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    own = environment() | variables
    del own["COLUMNS"]
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", *arguments], cwd=ROOT, env=own, stdin=theirs, stdout=theirs, stderr=theirs
    )  # fmt: skip
    os.close(theirs)
    drawn = bytearray()
    while True:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError:  # EIO: nobody has the terminal open any more
            break
        if not piece:
            break
        drawn += piece
    os.close(ours)
    return process.wait(60), drawn.decode(errors="strict").replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_wider_than_a_terminal_nor_coloured_with_no_color(command: str, columns: int) -> None:
    variables = {"TERM": "xterm-256color", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    code, text = in_terminal(columns, COMMANDS[command], variables)
    assert code == 0, text
    assert not COLOUR.search(text)
    # What is drawn and taken back is progress, whose lines the terminal itself would cut.
    lines = STYLE.sub("", text).splitlines()
    if command not in {"help", "verify"}:  # click's help is 80 wide; verify's findings are lines for grep
        assert [line for line in lines if len(line) > columns and "\x1b" not in line] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_dumb_terminal_without_unicode_gets_plain_text(command: str) -> None:
    variables = {"TERM": "dumb", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, text = in_terminal(80, COMMANDS[command], variables)
    assert code == 0, text
    assert text.isascii()
    assert "\x1b" not in text
    assert "\\u" not in text


@pytest.mark.parametrize("format_name", ["table", "md", "csv", "json"])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_encoding_of_a_pipe_stops_a_report(format_name: str, encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runner", "reports", "show", BATCHES, "--details", "-f", format_name],
        cwd=ROOT,
        env=environment() | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(encoding)
    if format_name == "table":
        assert ("+-" if encoding == "ascii" else "±") in text
        assert max(map(len, text.splitlines())) <= 120


def test_errors_are_one_line_in_any_encoding() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runner", "reports", "show", "köln", "--reports-dir", str(REFERENCE)],
        cwd=ROOT,
        env=environment() | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"Traceback" not in done.stderr
    assert b"bug" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("-f", "csv"), ("-f", "json"), ("-f", "md"), ("--timeline",), ("--plot-file", "x.svg"), ("--backend", "cpu")],
)  # fmt: skip
def test_plot_comes_with_tables_for_people_only(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert main(["reports", "show", BATCHES, "--plot", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("command", ["verify", "recommend"])
def test_long_work_shows_progress_on_a_terminal_and_takes_it_back(command: str) -> None:
    code, text = in_terminal(80, COMMANDS[command], {"TERM": "xterm", "PYTHONUTF8": "1"})
    assert code == 0
    assert {"verify": "recomputing", "recommend": "policies simulated at length"}[command] in text
    assert "\x1b[2K" in text, "the line is erased"
    piped = subprocess.run(
        [sys.executable, "-m", "runner", *COMMANDS[command]],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert (piped.returncode, piped.stderr) == (0, b"")
