"""``joulebatch run --resume`` as its users meet it: real processes, real workers, real signals."""

import json
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.cli.run import run
from runner.errors import UsageError
from runner.report.archive import load
from runner.report.journal import JOURNAL_NAME
from runner.report.schema import Report
from tests.photographs import write_plain
from tests.processes import joulebatch, start, wait_for_windows

pytestmark = pytest.mark.live

RUN = (
    "run", "-m", "tiny", "--backend", "cpu", "--backend", "B=cpu", "--batch-sizes", "1,4", "--profile", "quick",
    "--target-ci", "0.001%", "--meter", "none",
)  # fmt: skip
"""ten blocks of four windows of 0.1 s"""
LONG = ("--pace", "5")
"""and of two more of 0.6 s"""


def interrupted(home: Path, *flags: str) -> Path:
    """Return the folder of a run that was ended in the middle of a block, after one that was whole."""
    process = start(*RUN, *flags, cwd=home)
    wait_for_windows(home / "reports", 6)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143, stderr
    return max((home / "reports").glob("2*"), key=lambda folder: folder.name)


def failure(result: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that a refused command said."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("joulebatch: ")]
    assert len(lines) == 1, result.stderr
    return lines[0]


def edit_header(folder: Path, edit: Callable[[Any], None]) -> None:
    """Change what a journal says of the machine that the run was begun on."""
    journal = folder / JOURNAL_NAME
    first, newline, rest = journal.read_text().partition("\n")
    header = json.loads(first)
    edit(header)
    journal.write_text(json.dumps(header) + newline + rest)


def test_an_interrupted_run_goes_on_to_its_end(home: Path) -> None:
    folder = interrupted(home, "--name", "to be continued")
    before = load(folder)
    with (folder / JOURNAL_NAME).open("ab") as journal:
        journal.write(b'{"kind":"window","en')  # as if it had been killed then
    result = joulebatch("run", "--resume", "latest", "-f", "json", cwd=home)
    assert result.returncode == 0, result.stderr
    assert f"Resuming {folder.name}" in result.stderr
    assert "0 of 1 models" in result.stderr
    assert "a torn last line of 20 bytes is dropped" in result.stderr
    assert f"Report: reports/{folder.name}" in result.stderr

    report = load(folder)
    assert Report.model_validate_json(result.stdout) == report
    assert report.status == "complete"
    assert (report.report_id, report.name, report.provenance) == (
        before.report_id,
        before.name,
        before.provenance,
    )
    (resume,) = report.resumes
    assert resume.dropped_bytes == 20
    assert resume.argv == ("joulebatch", "run", "--resume", "latest", "-f", "json")
    assert report.measured_s > resume.measured_s > 0
    assert [each.started_s for each in report.windows[: len(before.windows)]] == [
        each.started_s for each in before.windows
    ]
    finished = Counter(
        (each.cell, each.block) for each in report.windows if each.paired or each.repeated_by is not None
    )
    assert set(finished.values()) == {1}
    assert {(each.cell, each.block) for each in report.windows} == finished.keys(), "the open block ran again"
    assert max(each.worker for each in report.windows) >= 1, "fresh workers have numbers of their own"
    assert joulebatch("reports", "verify", "latest", cwd=home).returncode == 0


def test_a_run_may_be_interrupted_again_and_again(home: Path) -> None:
    folder = interrupted(home, *LONG)
    for times in (1, 2):
        windows = len(load(folder).windows)
        process = start("run", "--resume", folder.name[:-2], cwd=home)
        wait_for_windows(home / "reports", windows + 5)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 130, stderr
        assert f"Interrupted report: reports/{folder.name}" in stderr
        report = load(folder)
        assert report.status == "interrupted"
        assert len(report.resumes) == times
    assert report.resumes[0].measured_s < report.resumes[1].measured_s < report.measured_s


def test_of_two_runs_that_go_on_with_one_folder_one_is_refused(home: Path) -> None:
    folder = interrupted(home, *LONG)
    windows = len(load(folder).windows)
    first = start("run", "--resume", "latest", cwd=home)
    wait_for_windows(home / "reports", windows + 2)
    refused = joulebatch("run", "--resume", "latest", cwd=home)
    assert refused.returncode == 2
    assert "expected a run that has ended, got one that goes on" in failure(refused)
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    assert len(load(folder).resumes) == 1

    both = [start("run", "--resume", "latest", cwd=home) for _ in range(2)]
    windows = len(load(folder).windows)
    wait_for_windows(home / "reports", windows + 2)
    for process in both:
        process.send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=60)[1] for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes[0] in {2, 4}, said
    assert codes[1] == 143, said
    assert len(load(folder).resumes) == 2


def test_a_trace_and_photographs_that_are_others_are_refused(home: Path) -> None:
    trace, photos = home / "times.txt", home / "photos"
    trace.write_text("".join(f"{0.02 * number:.2f}\n" for number in range(1, 31)))
    photos.mkdir()
    (photograph,) = write_plain(photos, 100)
    process = start(
        "queue", "-m", "tiny", "--backend", "cpu", "--policy", "greedy:4", "--arrivals", "trace:times.txt",
        "--images", "photos", "--profile", "quick", "--meter", "none", cwd=home,
    )  # fmt: skip
    wait_for_windows(home / "reports", 2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    for path, name in ((trace, "arrivals trace:times.txt"), (photograph, "images photos")):
        then = path.read_bytes()
        if path is trace:
            path.write_text("0.5\n" + "".join(f"{0.02 * number:.2f}\n" for number in range(30, 60)))
        else:
            write_plain(photos, 101)
        refused = joulebatch("queue", "--resume", "latest", cwd=home)
        assert refused.returncode == 4
        assert f"expected {name} sha256 " in failure(refused)
        path.write_bytes(then)
    trace.write_text(trace.read_text() + "\n")  # the times are the same
    assert joulebatch("queue", "--resume", "latest", cwd=home).returncode == 0


def test_what_is_complete_or_unknown_is_refused(home: Path) -> None:
    nothing = joulebatch("run", "--resume", "latest", cwd=home)
    assert nothing.returncode == 2
    assert "expected a report in reports that is not complete, got none" in failure(nothing)
    assert joulebatch(*RUN, "--target-ci", "99%", cwd=home).returncode == 0
    (folder,) = (home / "reports").glob("2*")
    for text in ("latest", folder.name):
        result = joulebatch("run", "--resume", text, cwd=home)
        assert result.returncode == 2
        assert "that is not complete" in failure(result)


def test_a_changed_machine_or_model_is_refused_and_the_folder_left_as_it_was(home: Path) -> None:
    folder = interrupted(home, "--name", "to be continued")
    untouched = (folder / JOURNAL_NAME).read_bytes()
    for edit, was in (
        (lambda header: header["environment"].update(kernel="2.6.18"), "expected kernel 2.6.18, got kernel "),
        (
            lambda header: header["environment"]["versions"].update(onnxruntime="1.2"),
            "expected onnxruntime 1.2, got ",
        ),
        (
            lambda header: header["models"][0].update(sha256="0" * 64),
            f"model tiny fp32 sha256 {'0' * 64}, got ",
        ),
    ):
        edit_header(folder, edit)
        edited = (folder / JOURNAL_NAME).read_bytes()
        result = joulebatch("run", "--resume", "latest", cwd=home)
        assert result.returncode == 4
        assert was in failure(result)
        assert (folder / JOURNAL_NAME).read_bytes() == edited
        (folder / JOURNAL_NAME).write_bytes(untouched)
    (home / "models").rename(home / "elsewhere")
    result = joulebatch("run", "--resume", "latest", cwd=home)
    assert result.returncode == 2
    assert "Unknown model 'tiny'" in failure(result)
    assert (folder / JOURNAL_NAME).read_bytes() == untouched


@pytest.mark.parametrize(
    "flags",
    [
        ("-m", "tiny"),
        ("--seed", "0"),
        ("--batch-sizes", "1,2,4,8,16,32"),
        ("--allow-fallback",),
        ("--name", "x"),
        ("--explain",),
        ("--config", "run.toml"),
        ("--models-dir", "models"),
    ],
    ids=lambda flags: flags[0],
)
def test_a_flag_that_shapes_the_measurement_is_refused_beside_resume(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    toml = tmp_path / "run.toml"
    toml.write_text("seed = 1\n")
    given = [str(toml) if each == "run.toml" else each for each in flags]
    flag = {"-m": "--model"}.get(flags[0], flags[0])
    with pytest.raises(UsageError, match=f"Cannot use {flag} with --resume.*Drop {flag}, or start a new run"):
        run.main(["--resume", "latest", *given], standalone_mode=False)


def test_resume_is_no_setting_of_a_configuration_file(tmp_path: Path) -> None:
    toml = tmp_path / "run.toml"
    toml.write_text('resume = "latest"\n')
    with pytest.raises(UsageError, match="Unknown setting 'resume'"):
        run.main(["--config", str(toml)], standalone_mode=False)
