import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.cli import main
from runner.convert.registry import CONVERTERS
from runner.render.archived import RENDERINGS
from runner.report import archive
from runner.report.journal import Journal
from tests.fakes import make_journal
from tests.processes import environment

NOW = datetime(2026, 11, 23, 21, 34, 5, tzinfo=UTC)


@pytest.fixture
def reports_dir(tmp_path: Path) -> Path:
    """An archive of an interrupted run and a complete one after it."""
    folder = tmp_path / "reports"
    for day, ending in enumerate((None, "complete")):
        own = archive.create(folder, "night", NOW + timedelta(days=day))
        with Journal(own) as journal:
            for line in make_journal(ending="complete" if ending else None):
                journal.write(line)
        if ending:
            archive.finish(own, RENDERINGS)
    return folder


def run(
    capfdbinary: pytest.CaptureFixture[bytes], reports_dir: Path, *arguments: str | Path
) -> tuple[int, bytes, str]:
    code = main(["reports", "convert", *map(str, arguments), "--reports-dir", str(reports_dir)])
    captured = capfdbinary.readouterr()
    return code, captured.out, captured.err.decode()


@pytest.mark.parametrize("name", ["csv", "md"])
def test_csv_and_markdown_are_what_show_writes(
    capfdbinary: pytest.CaptureFixture[bytes], reports_dir: Path, tmp_path: Path, name: str
) -> None:
    assert main(["reports", "show", "-f", name, "--reports-dir", str(reports_dir)]) == 0
    shown = capfdbinary.readouterr().out
    assert run(capfdbinary, reports_dir, "--to", name) == (0, shown, "")
    assert run(capfdbinary, reports_dir, "--to", name, "-o", tmp_path / "file") == (0, b"", "")
    assert (tmp_path / "file").read_bytes() == shown


def test_a_suite_goes_through_a_pipe_into_pyperf(reports_dir: Path) -> None:
    convert = subprocess.run(
        [sys.executable, "-m", "runner", "reports", "convert", "--to", "pyperf", "--reports-dir", reports_dir],
        env=environment(), capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert (convert.returncode, convert.stderr) == (0, b"")
    shown = subprocess.run(
        [sys.executable, "-m", "pyperf", "show", "-"],
        input=convert.stdout, capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert shown.stdout.count(b"Mean +- std dev") == 4


def test_a_file_that_is_there_is_kept_unless_forced(
    capfdbinary: pytest.CaptureFixture[bytes], reports_dir: Path, tmp_path: Path
) -> None:
    target = tmp_path / "file.csv"
    target.write_text("mine")
    code, out, err = run(capfdbinary, reports_dir, "--to", "csv", "-o", target)
    assert (code, out) == (4, b"")
    assert err == (
        f"joulebatch: Cannot write {target}: expected no file of that name, got one that is there. "
        "Pass another --output, or --force to replace it.\n"
    )
    assert target.read_text() == "mine"
    assert run(capfdbinary, reports_dir, "--to", "csv", "-o", target, "--force")[0] == 0
    assert target.read_text().startswith("report_id,")
    assert {path.name for path in tmp_path.iterdir()} == {"reports", "file.csv"}


@pytest.mark.parametrize("target", ["", "no/folder/file", "/proc/file", "/dev/null", "x" * 300])
def test_a_target_that_cannot_be_written_is_one_line(
    capfdbinary: pytest.CaptureFixture[bytes], reports_dir: Path, tmp_path: Path, target: str
) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    code, out, err = run(capfdbinary, reports_dir, "--to", "md", "--force", "-o", tmp_path / target)
    assert (code, out, err.count("\n")) == (4, b"", 1)
    assert err.startswith("joulebatch: Cannot write ")
    assert "--output" in err
    assert {path.name for path in tmp_path.iterdir()} == before
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)  # noqa: PTH116 - as it was


def test_an_archived_report_is_never_written_into(
    capfdbinary: pytest.CaptureFixture[bytes], reports_dir: Path
) -> None:
    folder = max(reports_dir.iterdir())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name in ("report.json", "cells.csv"):
        code, out, err = run(capfdbinary, reports_dir, "--to", "csv", "--force", "-o", folder / name)
        assert (code, out, err.count("\n")) == (4, b"", 1)
        assert "expected a folder that is not archived, got that of a report" in err
    other = min(reports_dir.iterdir()) / "report.json"
    assert run(capfdbinary, reports_dir, folder.name, "--to", "csv", "--force", "-o", other)[0] == 4
    assert not other.exists()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "flag", "takers"),
    [
        (("--to", "csv", "--tracking-uri", "http://127.0.0.1:9"), "--tracking-uri", "mlflow"),
        (("--to", "pyperf", "--experiment", "x"), "--experiment", "mlflow"),
        (
            ("--to", "mlflow", "-o", "file"),
            "--output",
            "pyperf or github-action-benchmark or html or csv or md",
        ),
    ],
)
def test_an_option_of_another_converter_is_refused(
    capfdbinary: pytest.CaptureFixture[bytes],
    reports_dir: Path,
    arguments: tuple[str, ...],
    flag: str,
    takers: str,
) -> None:
    code, out, err = run(capfdbinary, reports_dir, *arguments)
    assert (code, out) == (2, b"")
    assert err.startswith(f"joulebatch: Cannot use {flag}: expected it with --to {takers}")
    assert err.endswith(f"got --to {arguments[1]}. Leave {flag} out.\n")


def test_a_run_that_goes_on_is_converted_and_said(
    capfdbinary: pytest.CaptureFixture[bytes], reports_dir: Path
) -> None:
    code, out, err = run(capfdbinary, reports_dir, "2026-11-23", "--to", "github-action-benchmark")
    assert (code, err) == (0, "this run is interrupted: the figures cover what was measured so far\n")
    assert len(json.loads(out)) == 4


@pytest.mark.parametrize("arguments", [(), ("--to", "nope"), ("nope", "--to", "csv")])
def test_what_is_unknown_is_one_line(
    capfdbinary: pytest.CaptureFixture[bytes], reports_dir: Path, arguments: tuple[str, ...]
) -> None:
    code, out, err = run(capfdbinary, reports_dir, *arguments)
    assert (code, out, err.count("\n")) == (2, b"", 1)


def test_help_lists_every_converter_and_loads_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reports", "convert", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name, entry in CONVERTERS.items():
        assert f"{name} {entry.summary}" in shown
    code = (
        "import sys; from runner.cli import main; main(['reports', 'convert', '-h']); "
        "assert not {'pydantic', 'pyperf', 'mlflow', 'runner.report.schema'} & sys.modules.keys()"
    )
    subprocess.run(
        [sys.executable, "-c", code], env=environment(), check=True, capture_output=True, timeout=60
    )
