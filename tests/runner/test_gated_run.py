"""A gate over one run as its users meet it: real processes, real exit codes."""

from pathlib import Path
from typing import Any

import pytest

from runner.report.archive import load
from tests.models import write_onnx
from tests.processes import joulebatch

pytestmark = pytest.mark.live

QUICK = ("-m", "tiny", "--profile", "quick", "--time-budget", "20s", "-q")


def test_a_backend_that_is_many_times_slower_fails_and_its_report_is_kept(home: Path) -> None:
    result = joulebatch(
        "run", "--backend", "cpu", "--backend", "onnx-reference", "--batch-sizes", "4",
        "--fail-on-regression", "latency=50%", *QUICK, cwd=home,
    )  # fmt: skip
    assert result.returncode == 1, result.stderr
    assert "REGRESSION tiny/fp32/onnx-reference/b4/host: latency" in result.stderr
    assert "joulebatch: The gate failed: expected nothing that offends, got 1." in result.stderr
    (folder,) = (home / "reports").glob("2*")
    assert load(folder).status == "complete"
    # The other way round it is an improvement.
    turned = joulebatch(
        "run", "--backend", "cpu", "--backend", "onnx-reference", "--baseline", "onnx-reference", "--batch-sizes", "4",
        "--fail-on-regression", "latency=50%", "--strict", *QUICK, cwd=home,
    )  # fmt: skip
    assert turned.returncode == 0, turned.stderr
    assert "Gate: 0 regressions, 1 improvements" in turned.stderr


def test_outputs_that_are_wrong_fail_only_when_asked_for(home: Path) -> None:
    asked = ("run", "--backend", "cpu", "--backend", "W=faulty:fault=wrong", "--batch-sizes", "1", *QUICK)
    assert joulebatch(*asked, cwd=home).returncode == 0
    result = joulebatch(*asked, "--fail-on-parity", cwd=home)
    assert result.returncode == 1, result.stderr
    assert "PARITY tiny W failed parity" in result.stderr


@pytest.fixture
def two_commits(home: Path) -> tuple[str, ...]:
    """Write a model as it was and as it is, which for now is the same, and return the command that compares them."""
    for name in ("old", "now"):
        (home / name).mkdir()
        write_onnx(home / name / "net.onnx", size="side")
    return ("run", "--onnx", "base=old/net.onnx", "--onnx", "new=now/net.onnx", "--shape", "input=3x16x16")


def test_two_commits_of_a_model_alternate_in_one_run(home: Path, two_commits: tuple[str, ...]) -> None:
    gate = ("--fail-on-regression", "latency=90%", "--fail-on-parity")
    quick = ("--backend", "cpu:threads=1", "--batch-sizes", "4", *QUICK[2:])
    passed = joulebatch(*two_commits, *gate, *quick, cwd=home)
    assert passed.returncode == 0, passed.stderr
    (folder,) = (home / "reports").glob("2*")
    report = load(folder)
    assert [(each.name, each.variant, each.quality) for each in report.models] == [
        ("net", "base", "reference"),
        ("net", "new", "reference"),
    ]
    (latency,) = (each for each in report.comparisons if each.metric == "latency")
    assert (latency.cell, latency.baseline_cell) == (
        "net/new/cpu:threads=1/b4/host",
        "net/base/cpu:threads=1/b4/host",
    )
    assert latency.pair_count >= 3
    assert {each.parity.reference for each in report.sessions if each.parity} == {
        "outputs of cpu:threads=1 base"
    }
    assert {each.parity.status for each in report.sessions if each.parity} == {"passed"}
    assert joulebatch("reports", "verify", "latest", cwd=home).returncode == 0


@pytest.mark.parametrize(
    ("change", "told", "exit_code", "said"),
    [
        ({"ballast": 200}, (), 1, "REGRESSION net/new/cpu:threads=1/b4/host: latency"),
        ({"seed": 1}, (), 1, "PARITY net cpu:threads=1 new failed parity"),
        ({"seed": 1}, ("--allow-other-outputs",), 0, "0 regressions"),
    ],
)
def test_a_commit_that_is_slower_or_computes_something_else_fails(  # noqa: PLR0913, PLR0917 - cases
    home: Path,
    two_commits: tuple[str, ...],
    change: dict[str, Any],
    told: tuple[str, ...],
    exit_code: int,
    said: str,
) -> None:
    write_onnx(home / "now" / "net.onnx", size="side", **change)
    result = joulebatch(
        *two_commits, "--backend", "cpu:threads=1", "--batch-sizes", "4", "--fail-on-regression", "latency=90%",
        "--fail-on-parity", *told, *QUICK[2:], cwd=home,
    )  # fmt: skip
    assert result.returncode == exit_code, result.stderr
    assert said in result.stderr


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--backend", "cpu", "--fail-on-regression", "5%"), "at least two backends or variants"),
        (
            ("--backend", "cpu", "--backend", "B=cpu", "--fail-on-regression", "5"),
            "Cannot read --fail-on-regression",
        ),
        (("--backend", "cpu", "--backend", "B=cpu", "--strict"), "Cannot use --strict"),
    ],
)
def test_what_no_run_could_answer_is_refused_before_anything_is_measured(
    home: Path, arguments: tuple[str, ...], what: str
) -> None:
    result = joulebatch("run", *arguments, *QUICK, cwd=home)
    assert result.returncode == 2
    assert what in result.stderr
    assert not (home / "reports").exists()


def test_a_queue_at_shares_of_each_backend_s_own_capacity_is_refused(home: Path) -> None:
    result = joulebatch(
        "queue", "--backend", "cpu", "--backend", "B=cpu", "--policy", "greedy:4", "--relative-load", "0.5",
        "--fail-on-regression", "5%", *QUICK, cwd=home,
    )  # fmt: skip
    assert result.returncode == 2
    assert "expected request rates that backends share" in result.stderr
    assert not (home / "reports").exists()


def test_a_gate_that_can_judge_nothing_does_not_pass(home: Path) -> None:
    result = joulebatch(
        "run", "--backend", "cpu", "--backend", "B=cpu", "--batch-sizes", "1",
        "--fail-on-regression", "cpu=5%", *QUICK, cwd=home,
    )  # fmt: skip
    assert result.returncode == 3, result.stderr
    assert "The gate could judge nothing" in result.stderr
