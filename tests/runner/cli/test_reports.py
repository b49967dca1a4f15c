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
from runner.report.schema import Report
from tests.fakes import make_journal

NOW = datetime(2026, 11, 23, 21, 34, 5, tzinfo=UTC)


@pytest.fixture
def reports_dir(tmp_path: Path) -> Path:
    """An archive of an interrupted run and a complete one after it."""
    for day, ending in enumerate((None, "complete")):
        folder = archive.create(tmp_path, "night", NOW + timedelta(days=day))
        with Journal(folder) as journal:
            for line in make_journal(ending="complete" if ending else None):
                journal.write(line)
        if ending:
            archive.finish(folder, RENDERINGS)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], reports_dir: Path, *arguments: str) -> tuple[int, str, str]:
    code = main(["reports", *arguments, "--reports-dir", str(reports_dir)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list_is_newest_first_in_every_format(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    newest_first = sorted((folder.name for folder in reports_dir.iterdir()), reverse=True)
    _, table, _ = run(capsys, reports_dir, "list")
    assert [word for word in table.split() if word in newest_first] == newest_first
    _, text, _ = run(capsys, reports_dir, "list", "-f", "json")
    rows = json.loads(text)
    assert [row["id"] for row in rows] == newest_first
    assert [row["status"] for row in rows] == ["complete", "interrupted"]
    _, text, _ = run(capsys, reports_dir, "list", "-f", "csv")
    from_csv = list(csv.DictReader(io.StringIO(text)))
    assert [row["id"] for row in from_csv] == newest_first
    assert {int(row["cells"]) for row in from_csv} == {row["cells"] for row in rows}


def test_list_of_nothing_says_how_to_begin(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run(capsys, tmp_path, "list")
    assert code == 0
    assert "joulebatch run makes one" in " ".join(out.split())


def test_show_shows_the_latest_by_default(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    code, out, err = run(capsys, reports_dir, "show")
    assert (code, err) == (0, "")
    assert "complete" in out
    assert out == run(capsys, reports_dir, "show", "latest")[1]
    assert "interrupted" in run(capsys, reports_dir, "show", "2026-11-23")[1]


@pytest.mark.parametrize("format_name", ["table", "json", "csv", "md"])
def test_show_writes_every_format(
    capsys: pytest.CaptureFixture[str], reports_dir: Path, format_name: str
) -> None:
    code, out, err = run(capsys, reports_dir, "show", "-f", format_name)
    assert (code, err) == (0, "")
    assert "alexnet" in out
    assert "\x1b" not in out


def test_show_as_json_is_the_report(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    shown = run(capsys, reports_dir, "show", "-f", "json")[1]
    assert Report.model_validate_json(shown) == archive.load(archive.resolve(reports_dir, "latest"))


def test_details_add_to_the_table(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    short, long = (run(capsys, reports_dir, "show", *extra)[1] for extra in ((), ("--details",)))
    assert "Details of" not in short
    assert "Details of" in long


@pytest.mark.parametrize(("text", "expected"), [("nope", 2), ("2026", 2), ("/nowhere/at/all", 2)])
def test_a_report_that_is_not_there_is_one_line(
    capsys: pytest.CaptureFixture[str], reports_dir: Path, text: str, expected: int
) -> None:
    code, out, err = run(capsys, reports_dir, "show", text)
    assert (code, out, err.count("\n")) == (expected, "", 1)


def test_a_newer_schema_is_one_line_and_4(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    path = archive.resolve(reports_dir, "latest") / "report.json"
    path.write_text(path.read_text().replace('"schema_version": 0', '"schema_version": 7', 1))
    code, out, err = run(capsys, reports_dir, "show")
    assert (code, out) == (4, "")
    assert err == f"joulebatch: Cannot read {path}: expected schema version 0, got 7. Upgrade joulebatch.\n"


@pytest.mark.parametrize("arguments", [["list"], ["show"]])
def test_help_has_an_example_and_every_default(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(["reports", *arguments, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Example" in shown
    assert "[default: table]" in shown
    assert "[default: reports]" in shown
    if arguments == ["show"]:
        assert "[default: (off)]" in shown
        assert '"latest" (the default)' in shown


def test_verify_says_what_it_looked_at(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    code, out, err = run(capsys, reports_dir, "verify")
    assert (code, err) == (0, "")
    subjects = ["SHA256SUMS", "journal.jsonl", "samples.parquet", "report.json", "report.html", "report.md"]
    assert [line.partition(":")[0] for line in out.splitlines()] == subjects
    assert out.startswith("SHA256SUMS: 5 files, no difference\n")
    assert all(line.endswith(", no difference") for line in out.splitlines())


def test_verify_names_every_difference_and_fails(
    capsys: pytest.CaptureFixture[str], reports_dir: Path
) -> None:
    folder = max(reports_dir.iterdir())
    data = json.loads((folder / "report.json").read_text())
    data["cells"][0]["summary"]["latency_s"]["mean"] = 0.5
    data["environment"]["host"] = "else\x1b[2J"
    (folder / "report.json").write_text(json.dumps(data))
    code, out, err = run(capsys, reports_dir, "verify", folder.name)
    assert code == 1
    assert err.startswith(f"joulebatch: Report {folder.name} is not what was measured: ")
    named = [line.partition(": archived ")[0].strip() for line in out.splitlines() if line.startswith("  ")]
    key = data["cells"][0]["key"]
    assert named[:3] == [
        "report.json sha256",
        "report.json environment.host",
        f"report.json cells[{key}].summary.latency_s.mean",
    ]
    assert "archived 0.5, recomputed 0.0" in out
    assert "recomputed bench" in out
    assert "\x1b" not in out


def test_verify_of_an_interrupted_run_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], reports_dir: Path
) -> None:
    code, out, err = run(capsys, reports_dir, "verify", "2026-11-23")
    assert (code, out) == (4, "")
    assert "nothing was archived to verify against. Finish it with: joulebatch run --resume 2026" in err


def test_verify_help_has_an_example_and_its_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reports", "verify", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "joulebatch reports verify latest" in shown
    assert "[default: reports]" in shown
    assert "Exits with 1 when something differs" in shown
