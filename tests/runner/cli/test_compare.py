"""``joulebatch reports compare``, as a shell sees it."""

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.cli import main
from runner.render.archived import RENDERINGS
from runner.report import archive
from runner.report.journal import Journal
from runner.report.lines import HeaderLine, Line
from tests.fakes import EnergyKind, cell_key, make_journal
from tests.queues import with_queue

NOW = datetime(2026, 11, 23, 21, 34, 5, tzinfo=UTC)
Shell = Callable[..., tuple[int, str, str]]


def _archive(reports_dir: Path, place: int, lines: tuple[Line, ...]) -> str:
    """Archive a run under an id of its own, which is returned."""
    folder = archive.create(reports_dir, f"r{place}", NOW + timedelta(minutes=place))
    with Journal(folder) as journal:
        for line in lines:
            named = isinstance(line, HeaderLine)
            journal.write(line.model_copy(update={"report_id": folder.name}) if named else line)
    archive.finish(folder, RENDERINGS)
    return folder.name


def _lines(
    seed: int,
    speed: float = 1.0,
    batch_sizes: tuple[int, ...] = (1, 4),
    energy: EnergyKind = "unavailable",
) -> tuple[Line, ...]:
    return make_journal(
        ("alexnet",),
        ("cpu",),
        batch_sizes,
        blocks=12,
        workers=4,
        noise_ratio=0.01,
        slowness={"cpu": speed},
        seed=seed,
        energy=energy,
    )


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Five runs of one thing, a sixth, one half as fast again, and one of a single batch size."""
    folder = tmp_path_factory.mktemp("reports")
    runs = [_lines(seed) for seed in range(6)] + [_lines(6, 1.6), _lines(7, batch_sizes=(1,))]
    return folder, [_archive(folder, place, lines) for place, lines in enumerate(runs)]


@pytest.fixture
def shell(archived: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    folder, ids = archived
    spread = tmp_path / "spread.json"

    def run(*arguments: str | int, calibrated: bool = False) -> tuple[int, str, str]:
        """Run it; a number is the id of a run."""
        base = ["reports", "compare", "--reports-dir", str(folder)]
        if calibrated:
            assert main([*base, "--calibrate", *ids[:5], "--spread", str(spread)]) == 0
            base += ["--spread", str(spread)]
            capsys.readouterr()
        code = main([*base, *(ids[each] if isinstance(each, int) else each for each in arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_comparison_begins_with_words(shell: Shell) -> None:
    code, out, err = shell(0, 6)
    assert (code, err) == (0, "")
    assert "alexnet on cpu b1: latency 1.5" in out
    assert "slower" in out
    assert "CAUTION" in out


def test_runs_that_are_as_fast_differ_in_nothing(shell: Shell) -> None:
    code, out, _ = shell(0, 5, calibrated=True)
    assert code == 0
    assert "no difference seen in 2 of 2 figures" in out
    assert "CAUTION" not in out


def test_the_gate_fails_with_a_line_per_cell(shell: Shell) -> None:
    code, _, err = shell(5, 6, "--fail-on-regression", "5%", calibrated=True)
    assert code == 1
    lines = err.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [
        ["REGRESSION", f"{cell_key('alexnet', 'cpu', size)}:"] for size in (1, 4)
    ]
    assert lines[-1] == "joulebatch: The gate failed: expected nothing that offends, got 2."


def test_the_gate_passes_equal_runs_and_says_what_it_can_find(shell: Shell) -> None:
    code, out, err = shell(0, 5, "--fail-on-regression", "latency=20%", calibrated=True)
    assert code == 0
    assert "finds what is 1." in " ".join(out.split())
    assert err.startswith("Gate: 0 regressions")


def test_without_a_spread_the_gate_is_loud_and_with_strict_it_fails(shell: Shell) -> None:
    code, _, err = shell(5, 6, "--fail-on-regression", "5%")
    assert code == 0
    assert "2 inconclusive" in err
    assert "--calibrate" in err
    code, _, err = shell(5, 6, "--fail-on-regression", "5%", "--strict")
    assert code == 1
    assert "The gate cannot tell" in err


def test_a_missing_cell_is_no_pass(shell: Shell) -> None:
    code, _, err = shell(0, 7, "--fail-on-regression", "50%")
    assert code == 1
    assert f"MISSING {cell_key('alexnet', 'cpu', 4)}: not planned" in err
    assert shell(0, 7, "--fail-on-regression", "50%", "--allow", "missing")[0] == 0


def test_several_new_runs_share_a_table(shell: Shell) -> None:
    _, out, _ = shell(0, 5, 6)
    assert out.count("backend  load") == 1
    assert out.count(" against ") == 2


def test_a_pool_is_one_comparison(shell: Shell) -> None:
    _, text, _ = shell(0, 2, 3, "--pool", "--reference", "2026-11-23T21-35", "-f", "json")
    (found,) = json.loads(text)["comparisons"]
    assert (len(found["reference_ids"]), len(found["new_ids"])) == (2, 2)


def test_formats_for_programs_agree(shell: Shell) -> None:
    flags = ("--fail-on-regression", "latency=5%")
    data = json.loads(shell(5, 6, *flags, "-f", "json", calibrated=True)[1])
    rows = list(csv.DictReader(io.StringIO(shell(5, 6, *flags, "-f", "csv", calibrated=True)[1])))
    (comparison,) = data["comparisons"]
    figures = [(cell["cell"], each) for cell in comparison["cells"] for each in cell["figures"]]
    assert data["comparison_version"] == 1
    assert [(row["cell"], row["metric"], float(row["ratio"])) for row in rows] == [
        (key, each["metric"], each["ratio"]) for key, each in figures
    ]
    assert {row["verdict"] for row in rows if row["metric"] == "latency"} == {"regression"}
    assert comparison["gate"]["failed"]


def test_markdown_has_the_same_words(shell: Shell) -> None:
    code, out, _ = shell(0, 6, "-f", "md")
    assert code == 0
    assert out.startswith("# ")
    assert "slower" in out


def test_calibration_says_what_runs_can_find(
    shell: Shell, archived: tuple[Path, list[str]], tmp_path: Path
) -> None:
    path = tmp_path / "spread.json"
    code, out, _ = shell("--calibrate", *range(5), "--spread", str(path))
    assert code == 0
    assert "Spread of 5 runs" in out
    assert json.loads(path.read_text())["runs"] == archived[1][:5]


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        ((0,), 2, "REF and at least one NEW"),
        ((0, 0), 2, "Cannot compare a report with itself"),
        ((0, "nowhere"), 2, "Cannot find report 'nowhere'"),
        ((0, 1, "--fail-on-regression", "5"), 2, "Cannot read --fail-on-regression"),
        ((0, 1, "--strict"), 2, "Cannot use --strict"),
        ((0, 1, "--allow", "model-hsh"), 2, "Did you mean model-hash?"),
        ((0, 1, "--spread", "/nowhere/spread.json"), 4, "Cannot read /nowhere/spread.json"),
        (("--calibrate", 0, 1), 2, "at least 5 runs"),
        (
            ("--calibrate", 0, 1, 2, 3, 4, "--fail-on-parity"),
            2,
            "Cannot use --fail-on-parity with --calibrate",
        ),
        (("--calibrate", 0, 1, 2, 3, 3), 2, "twice"),
    ],
)
def test_mistakes_are_one_line(shell: Shell, arguments: tuple[str | int, ...], code: int, what: str) -> None:
    found, out, err = shell(*arguments)
    assert (found, out) == (code, "")
    assert what in err
    assert len(err.splitlines()) == 1


def test_nothing_to_compare_is_3_with_and_without_a_gate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [
        _archive(tmp_path, place, make_journal((name,), ("cpu",)))
        for place, name in enumerate(("alexnet", "vit_b_16"))
    ]
    base = ["reports", "compare", "--reports-dir", str(tmp_path), *ids]
    assert main(base) == 3
    assert "Nothing could be compared" in capsys.readouterr().err
    assert main([*base, "--fail-on-regression", "5%", "--allow", "missing"]) == 3


def test_a_queue_is_compared_by_response_and_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = [
        _archive(
            tmp_path,
            seed,
            with_queue(
                _lines(seed, energy="measured"), slowness={"cpu": speed}, energy=True, seed=seed, blocks=8
            ),
        )
        for seed, speed in enumerate((1.0, 2.0))
    ]
    assert main(["reports", "compare", "--reports-dir", str(tmp_path), *ids, "-f", "csv"]) == 0
    rows = [row for row in csv.DictReader(io.StringIO(capsys.readouterr().out)) if "greedy" in row["cell"]]
    ratios = {row["metric"]: (float(row["low"]), float(row["high"])) for row in rows if row["metric"]}
    assert set(ratios) == {"latency", "cpu", "energy"}
    assert ratios["cpu"][0] > 1.02
    assert ratios["latency"][0] > 1.2
    assert main(["reports", "compare", "--reports-dir", str(tmp_path), *ids]) == 0
    assert "greedy:4 at 50.0/s" in capsys.readouterr().out


def test_the_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reports", "compare", "--help"]) == 0
    assert "joulebatch reports compare --calibrate" in capsys.readouterr().out


def test_a_gate_that_judged_nothing_does_not_pass(shell: Shell) -> None:
    code, _, err = shell(0, 5, "--fail-on-regression", "energy=3%", calibrated=True)
    assert code == 3
    assert err.splitlines()[-1].startswith(
        "joulebatch: The gate could judge nothing: got no energy on either side."
    )


@pytest.mark.parametrize("flags", [("--strict",), ("--details",), ("-f", "json")])
def test_calibrating_refuses_what_it_would_ignore(shell: Shell, flags: tuple[str, ...]) -> None:
    code, out, err = shell("--calibrate", 0, 1, 2, 3, 4, *flags)
    assert (code, out) == (2, "")
    assert "with --calibrate" in err


def test_several_comparisons_say_which_one_offends(shell: Shell) -> None:
    _, _, err = shell(0, 6, 7, "--fail-on-regression", "latency=5%", calibrated=True)
    lines = [line for line in err.splitlines() if "REGRESSION" in line or "MISSING" in line]
    assert lines
    assert all(re.match(r"2026-11-23T\S+: (REGRESSION|MISSING) ", line) for line in lines)


def test_a_metric_of_one_side_is_said_in_every_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [_archive(tmp_path, 0, _lines(0, energy="measured")), _archive(tmp_path, 1, _lines(1))]
    texts = {}
    for name in ("table", "csv", "json"):
        assert main(["reports", "compare", *ids, "--reports-dir", str(tmp_path), "-f", name]) == 0
        texts[name] = capsys.readouterr().out
    assert "alexnet cpu b1: no energy in the new run" in texts["table"]
    rows = csv.DictReader(io.StringIO(texts["csv"]))
    assert ("energy", "no energy in the new run") in {(row["metric"], row["reason"]) for row in rows}
    cells = json.loads(texts["json"])["comparisons"][0]["cells"]
    assert {cell["lacks"]["energy"] for cell in cells} == {"no energy in the new run"}
