import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.cli import main
from runner.render.archived import RENDERINGS
from runner.report import archive
from runner.report.journal import Journal
from runner.report.lines import EndLine, Line
from tests.runner.twin.synthetic import Law, Run, Server, lines_of

NOW = datetime(2026, 11, 26, 20, 2, 45, tzinfo=UTC)
RUN = Run(blocks=4, inferences=6, workers=4)


def time_s(count: int, gap_s: float) -> float:
    return 0.002 + 0.001 * count


def cost(share: float) -> Law:
    return lambda count, gap_s: time_s(count, gap_s) + share * min(gap_s, 0.05)


def archived(folder: Path, lines: list[Line], days: int = 0) -> None:
    """Archive a report; one whose journal has no end stays interrupted."""
    made = archive.create(folder, None, NOW + timedelta(days=days))
    with Journal(made) as journal:
        for line in lines:
            journal.write(line)
    if isinstance(lines[-1], EndLine):
        archive.finish(made, RENDERINGS)


@pytest.fixture(scope="module")
def reports_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    servers = {
        "cpu": Server(time_s, cost(1.0), sizes=(1, 2, 4)),
        "cpu:spin=off": Server(time_s, cost(0.0), sizes=(1, 2, 4)),
    }
    archived(folder, lines_of(servers, RUN))
    return folder


def run(capsys: pytest.CaptureFixture[str], reports_dir: Path, *arguments: str) -> tuple[int, str, str]:
    code = main(["recommend", *arguments, "--reports-dir", str(reports_dir)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


ASKED = ("--request-rate", "32", "--latency-threshold", "200ms")


def test_the_table_names_the_winner_and_what_it_rests_on(
    capsys: pytest.CaptureFixture[str], reports_dir: Path
) -> None:
    code, out, err = run(capsys, reports_dir, *ASKED)
    assert (code, err) == (0, "")
    said = " ".join(out.split())
    assert "Recommendation for alexnet fp32 32 requests/s, uniform arrivals, p95 within 200ms" in said
    assert " on cpu:spin=off: " in said
    assert "ranks backends of one type of device" in said
    assert "\x1b" not in out


def test_json_and_csv_agree_and_md_is_markdown(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    policies = ("--policy", "greedy:4", "--policy", "fixed:4", *ASKED)
    code, text, _ = run(capsys, reports_dir, *policies, "-f", "json")
    data = json.loads(text)
    assert code == 0
    assert data["winner"]["prediction"]["backend"] == "cpu:spin=off"
    _, text, _ = run(capsys, reports_dir, *policies, "-f", "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["policy"] for row in rows] == [each["prediction"]["policy"] for each in data["rated"]]
    assert [float(row["cost_per_image"]) for row in rows] == [
        each["prediction"]["cost_per_image"]["mean"] for each in data["rated"]
    ]
    _, text, _ = run(capsys, reports_dir, *policies, "-f", "md")
    assert text.startswith("# Recommendation for alexnet fp32\n\n- 32 requests/s")


def test_a_policy_is_predicted_without_a_limit(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    code, out, err = run(
        capsys, reports_dir, "--policy", "greedy:4", "--request-rate", "32", "--backend", "cpu"
    )
    assert (code, err) == (0, "")
    assert out.startswith("Prediction for alexnet fp32\n")
    assert "cpu:spin=off" not in out


def test_nothing_feasible_is_one_line_and_1(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    code, out, err = run(capsys, reports_dir, "--request-rate", "900", "--latency-threshold", "200ms")
    assert (code, err) == (1, "joulebatch: infeasible: rate above capacity 667/s.\n")
    assert "infeasible: rate above capacity 667/s" in out
    few = ("--policy", "greedy:1", "--policy", "fixed:4")
    code, out, err = run(capsys, reports_dir, *few, "--request-rate", "32", "--latency-threshold", "2ms")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("joulebatch: infeasible: best p95 is 3.")
    assert err.endswith((" ms (greedy:1 on cpu:spin=off).\n", " ms (greedy:1 on cpu).\n"))
    assert "fixed:4" in out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--latency-threshold", "200ms"), 2, "expected a request rate above 0, got none"),
        (
            ("--latency-threshold", "200ms", "--request-rate", "0"),
            2,
            "expected a request rate above 0, got 0",
        ),
        (
            ("--latency-threshold", "200ms", "--request-rate", "-3"),
            2,
            "expected a request rate above 0, got -3",
        ),
        (("--latency-threshold", "200ms", "--request-rate", "nan"), 2, "expected a request rate above 0"),
        (("--latency-threshold", "200ms", "--request-rate", "inf"), 2, "expected a request rate above 0"),
        (
            ("--latency-threshold", "200", "--request-rate", "3"),
            2,
            "expected a positive number with ms, s or m",
        ),
        (("--request-rate", "3"), 2, "expected --latency-threshold, or --policy to predict one, got neither"),
        ((*ASKED, "--percentile", "100"), 2, "expected a number above 0 and below 100, got 100"),
        ((*ASKED, "--percentile", "0"), 2, "expected a number above 0 and below 100, got 0"),
        ((*ASKED, "--percentile", "nan"), 2, "expected a number above 0 and below 100, got nan"),
        ((*ASKED, "--policy", "fixed"), 2, "Cannot read policy 'fixed'"),
        ((*ASKED, "--policy", "lazy:3"), 2, "Unknown policy 'lazy'"),
        ((*ASKED, "--policy", "fixed:8"), 3, "expected batches of at most 4, the largest measured, got 8"),
        ((*ASKED, "--arrivals", "trace:/nowhere"), 4, "Cannot read /nowhere"),
        ((*ASKED, "--arrivals", "weekly"), 2, "Unknown arrivals 'weekly'"),
        ((*ASKED, "--backend", "torch"), 2, "Unknown backend 'torch' in report"),
        ((*ASKED, "-m", "vit"), 2, "Unknown model 'vit' in report"),
        (("1999", *ASKED), 2, "Cannot find report '1999'"),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str], reports_dir: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    found, out, err = run(capsys, reports_dir, *arguments)
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert said in err


def test_a_report_without_gaps_is_3_and_says_what_to_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    archived(tmp_path, lines_of({"cpu": Server(gaps_s=(0.0,))}, RUN))
    code, out, err = run(capsys, tmp_path, *ASKED)
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "Run: joulebatch run -m alexnet --backend cpu --batch-sizes 1,2,4,8 --gaps 2ms,20ms,100ms." in err


def test_an_interrupted_report_answers_from_its_journal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lines = lines_of({"cpu": Server(time_s, cost(1.0), sizes=(1,))}, RUN)
    archived(tmp_path, lines)
    archived(tmp_path, lines[:-1], days=1)
    few = ("--policy", "greedy:1", "--request-rate", "32", "-f", "csv")
    (code, complete, _), (other, interrupted, _) = (
        run(capsys, tmp_path, start, *few) for start in ("2026-11-26", "2026-11-27")
    )
    assert (code, other) == (0, 0)
    assert complete == interrupted


def test_samples_of_other_windows_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for days, sizes in enumerate(((1,), (1, 2))):
        archived(tmp_path, lines_of({"cpu": Server(time_s, cost(1.0), sizes=sizes)}, RUN), days)
    first, second = sorted(tmp_path.iterdir())
    (first / "samples.parquet").write_bytes((second / "samples.parquet").read_bytes())
    code, out, err = run(capsys, tmp_path, first.name, *ASKED)
    assert (code, out, err.count("\n")) == (4, "", 1)
    assert f"reports verify {first.name}" in err


def test_verbose_tells_every_step_and_quiet_none(
    capsys: pytest.CaptureFixture[str], reports_dir: Path
) -> None:
    few = ("--policy", "greedy:1", "--request-rate", "32")
    _, _, err = run(capsys, reports_dir, *few, "-v")
    assert err.splitlines() == [
        "1 of 2 policies simulated at length: greedy:1 on cpu",
        "2 of 2 policies simulated at length: greedy:1 on cpu:spin=off",
    ]
    assert run(capsys, reports_dir, *few, "-q")[2] == ""


def test_help_has_examples_defaults_policies_and_arrivals(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for said in (
        "joulebatch recommend latest --request-rate 32 --latency-threshold 200ms",
        "[default: uniform]",
        "[default: 95]",
        "[default: (all of the report)]",
        "deadline:B@T",
        "trace:FILE[:COLUMN]",
    ):
        assert said in shown
