"""``joulebatch queue`` as its users meet it: real processes, real models, real clocks."""

from pathlib import Path

import pytest

from runner.report.archive import load
from runner.report.schema import QueueCell, Report
from tests.photographs import copy_photographs
from tests.processes import joulebatch, report_of

pytestmark = pytest.mark.live

QUICK = ("--profile", "quick", "--time-budget", "60s")
POLICIES = ("--policy", "fixed:2", "--policy", "greedy:2", "--policy", "deadline:2@100ms")


def queue_of(report: Report) -> tuple[QueueCell, ...]:
    assert report.queue
    return report.queue.cells


def test_a_queue_prints_its_tables_and_archives_every_request(home: Path) -> None:
    result = joulebatch(
        "queue", "-m", "tiny", "--backend", "cpu", "--backend", "B=cpu:threads=1", *POLICIES,
        "--request-rate", "100", "--requests", "90", "--arrivals", "poisson", *QUICK, cwd=home,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    for text in ("tiny fp32: queue, poisson arrivals", "fixed:2", "deadline:2@100ms", "What holds", "wait"):
        assert text in result.stdout, text

    report = report_of(home)
    assert report.status == "complete"
    cells = queue_of(report)
    assert [(cell.load.policy, cell.backend) for cell in cells] == [
        (policy, backend) for policy in POLICIES[1::2] for backend in ("cpu", "B")
    ]
    for cell in cells:
        assert cell.status == "measured", cell
        summary = cell.summary
        assert summary
        assert summary.served_count == summary.request_count == 30 * summary.window_count >= 90
        assert summary.images_per_s.mean == pytest.approx(100, rel=0.5)
        assert 0 < summary.service.mean_s.mean <= summary.response.mean_s.mean
        assert summary.busy_cpu_s_per_image.mean <= summary.cpu_s_per_image.mean
    by_policy = {cell.load.policy: cell.summary for cell in cells if cell.backend == "cpu"}
    fixed, greedy = by_policy["fixed:2"], by_policy["greedy:2"]
    assert fixed and greedy  # noqa: PT018 - one thought
    assert fixed.wait.mean_s.mean > greedy.wait.mean_s.mean
    assert {size for size, _ in fixed.batch_counts} == {2}

    verified = joulebatch("reports", "verify", "latest", cwd=home)
    assert verified.returncode == 0, verified.stdout
    assert joulebatch("reports", "show", "latest", cwd=home).stdout == result.stdout


def test_an_edited_queue_figure_is_found(home: Path) -> None:
    joulebatch(
        "queue", "-m", "tiny", "--backend", "cpu", "--policy", "greedy:2", "--request-rate", "100",
        "--requests", "60", *QUICK, cwd=home,
    )  # fmt: skip
    (folder,) = (home / "reports").glob("2*")
    path = folder / "report.json"
    batch_mean = queue_of(load(folder))[0].summary
    assert batch_mean
    text = path.read_text()
    assert text.count(f'"batch_mean":{batch_mean.batch_mean}') == 0, "it is written with a space"
    path.write_text(text.replace(f'"batch_mean": {batch_mean.batch_mean}', '"batch_mean": 1.75'))
    verified = joulebatch("reports", "verify", "latest", cwd=home)
    assert verified.returncode == 1
    assert "batch_mean: archived 1.75, recomputed" in verified.stdout


def test_a_trace_is_replayed_as_it_was_recorded(home: Path) -> None:
    (home / "times.csv").write_text("seconds,what\n" + "".join(f"{0.02 * n:.2f},x\n" for n in range(1, 31)))
    result = joulebatch(
        "queue", "-m", "tiny", "--backend", "cpu", "--policy", "greedy:4", "--policy", "timeout:4@15ms",
        "--arrivals", "trace:times.csv:seconds", *QUICK, cwd=home,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    for cell in queue_of(report_of(home)):
        assert cell.load.request_rate_hz == pytest.approx(50)
        assert cell.summary
        assert cell.summary.request_count == 30 * cell.summary.window_count
        assert cell.prediction, "of what was recorded"
    (home / "times.csv").unlink()
    assert joulebatch("reports", "verify", "latest", cwd=home).returncode == 0, (
        "the report needs no file of the user"
    )


def test_photographs_are_decoded_within_the_served_time_as_a_stage_of_their_own(home: Path) -> None:
    copy_photographs(home / "photos")
    result = joulebatch(
        "queue", "-m", "tiny", "--backend", "cpu", "--policy", "greedy:2", "--request-rate", "20",
        "--requests", "60", "--images", "photos", *QUICK, cwd=home,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "decode" in result.stdout
    (cell,) = queue_of(report_of(home))
    summary = cell.summary
    assert summary
    assert cell.prediction is None, "decoding was not measured apart"
    assert summary.decode_mean_s
    assert summary.decode_mean_s.mean > summary.service.mean_s.mean > 0, (
        "a photograph takes longer than the network"
    )
    stages_s = summary.wait.mean_s.mean + summary.decode_mean_s.mean + summary.service.mean_s.mean
    assert summary.response.mean_s.mean == pytest.approx(stages_s)
    assert joulebatch("reports", "verify", "latest", cwd=home).returncode == 0


def test_a_broken_photograph_is_named_before_anything_is_measured(home: Path) -> None:
    copy_photographs(home / "photos")
    (home / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    result = joulebatch(
        "queue", "-m", "tiny", "--policy", "greedy:2", "--request-rate", "20", "--images", "photos", cwd=home
    )
    assert result.returncode == 4
    assert "broken.jpg" in result.stderr
    assert not (home / "reports").exists()


def test_a_calibration_measures_batches_after_gaps_and_replays_nothing(home: Path) -> None:
    result = joulebatch(
        "queue", "-m", "tiny", "--backend", "cpu", "--policy", "greedy:4", "--calibrate", *QUICK, cwd=home
    )
    assert result.returncode == 0, result.stderr
    report = report_of(home)
    assert queue_of(report) == ()
    assert {(cell.load.batch_size, cell.load.gap_s) for cell in report.cells} == {
        (size, gap_s) for size in (1, 2, 4) for gap_s in (0.0, 0.002, 0.02, 0.1)
    }
    assert "b4 + 20ms" in result.stdout


def test_a_recommendation_is_verified_live_beside_the_naive_choice(home: Path) -> None:
    calibrated = joulebatch(
        "queue",
        "-m",
        "tiny",
        "--backend",
        "A=cpu:spin=off",
        "--policy",
        "greedy:2",
        "--calibrate",
        *QUICK,
        cwd=home,
    )
    assert calibrated.returncode == 0, calibrated.stderr
    ask = ("recommend", "latest", "--request-rate", "400", "--latency-threshold", "100ms")
    result = joulebatch(*ask, "--verify", cwd=home)
    assert result.returncode == 0, result.stderr
    assert "Recommendation for tiny fp32" in result.stdout
    _, _, live = result.stdout.partition("Verified live")
    for text in ("predicted", "measured", "p95 response", "CPU per image", "A "):
        assert text in live, text
    newest = max((home / "reports").glob("2*"), key=lambda path: path.name)
    cells = queue_of(load(newest))
    assert len(cells) == 2, "the winner and a naive choice, under one backend"
    assert {cell.load.request_rate_hz for cell in cells} == {400.0}
    assert all(cell.summary for cell in cells)
    refused = joulebatch(*ask, "--policy", "greedy:2", "--verify", cwd=home)
    assert refused.returncode == 2
    assert "Cannot use --verify with --policy" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--policy", "greedy:4"), "Cannot run a queue: expected a rate at which requests arrive, got none."),
        (
            ("--policy", "fixed:64", "--request-rate", "5", "--requests", "100"),
            "Cannot run fixed:64: expected at least 64",
        ),
        (("--policy", "timeout:4@20", "--request-rate", "5"), "with ms, s or m"),
        (("--request-rate", "0"), "Cannot read --request-rate: expected numbers above 0"),
        (("--arrivals", "trace:none.txt"), "Cannot read none.txt"),
        (("--paper", "--policy", "greedy:4"), "Cannot use --policy with --paper"),
        (("--paper", "--calibrate"), "Cannot use --calibrate with --paper"),
        (("--images", "nowhere", "--request-rate", "5"), "nowhere"),
        (("--backend", "cpu:static=on", "--request-rate", "5"), "Cannot replay a queue on cpu:static=on"),
        (
            ("--backend", "torch:compile=on", "--request-rate", "5"),
            "Cannot replay a queue on torch:compile=on",
        ),
    ],
)
def test_what_cannot_be_replayed_is_said_in_one_line_before_anything_is_measured(
    arguments: tuple[str, ...], message: str, home: Path
) -> None:
    result = joulebatch("queue", "-m", "tiny", *arguments, cwd=home)
    assert result.returncode in {2, 4}
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("joulebatch: ")]
    assert message in line
    assert not (home / "reports").exists()


def test_the_plan_of_the_papers_grid_is_told_with_its_time(home: Path) -> None:
    result = joulebatch(
        "queue", "-m", "tiny", "--backend", "cpu", "--paper", "--requests", "1280", "--explain", cwd=home
    )
    assert result.returncode == 0, result.stderr
    assert "10 cells of 128 requests a window" in result.stdout
    assert "b64 b128, also after gaps of 2ms 20ms 100ms" in " ".join(result.stdout.split())
    assert "Predicted time: at least 1" in result.stdout, (
        "10 windows of 8 s and of 4 s for each of five policies"
    )
