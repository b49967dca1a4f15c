"""A gate over one run as its users meet it: real processes, real exit codes."""

from pathlib import Path

import pytest

from runner.report.archive import load
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
