import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.cli import main
from runner.render.archived import RENDERINGS
from runner.report import archive
from runner.report.header import own_version
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
            for line in make_journal(ending="complete" if ending else None, written_by=own_version()):
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
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 7', 1))
    code, out, err = run(capsys, reports_dir, "show")
    assert (code, out) == (4, "")
    assert (
        err
        == f"joulebatch: Cannot read {path}: expected schema version 1 or older, got 7. Upgrade joulebatch.\n"
    )


@pytest.mark.parametrize("arguments", [["list"], ["show"], ["query"], ["prune"]])
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


def test_list_has_typed_values(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    rows = json.loads(run(capsys, reports_dir, "list", "-f", "json")[1])
    assert [row["models"] for row in rows] == [["alexnet"], ["alexnet"]]
    assert [row["backends"] for row in rows] == [["cpu", "torch"], ["cpu", "torch"]]
    assert [(row["measured_s"], row["host"], row["name"]) for row in rows] == [
        (300.0, "bench", None),
        (None, "bench", None),  # it never ended
    ]
    csv_rows = list(csv.DictReader(io.StringIO(run(capsys, reports_dir, "list", "-f", "csv")[1])))
    assert [row["backends"] for row in csv_rows] == ["cpu torch", "cpu torch"]
    assert [row["name"] for row in csv_rows] == ["", ""]


def test_list_filters_sorts_and_limits(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    ids = sorted(folder.name for folder in reports_dir.iterdir())

    def found(*arguments: str) -> list[str]:
        return [
            row["id"] for row in json.loads(run(capsys, reports_dir, "list", "-f", "json", *arguments)[1])
        ]

    assert found("--status", "interrupted") == ids[:1]
    assert found("--model", "ALEX", "--backend", "tor", "--host", "ben") == ids[::-1]
    assert found("--sort", "id") == ids
    assert found("--sort", "id", "--reverse", "--limit", "1") == ids[1:]
    assert found("--since", "2026-11-23") == ids[::-1]
    assert found("--since", "2026-11-24") == []
    code, out, err = run(capsys, reports_dir, "list", "--sort", "hots")
    assert (code, out) == (2, "")
    assert "Did you mean host?" in err


def test_list_says_why_it_is_empty_or_short(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    _, out, _ = run(capsys, reports_dir, "list", "--model", "vit")
    assert "none of 2 fits: --model vit fits 0" in out
    code, out, err = run(capsys, reports_dir, "list", "--model", "vit", "-f", "json")
    assert (code, json.loads(out), err) == (0, [], "none of 2 fits: --model vit fits 0\n")
    assert "1 of 2 are shown; --limit 0 shows all" in run(capsys, reports_dir, "list", "--limit", "1")[1]
    assert "are shown" not in run(capsys, reports_dir, "list", "--limit", "2")[1]


def test_list_never_hides_an_unreadable_report(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    (reports_dir / "broken").mkdir()
    (reports_dir / "broken" / "journal.jsonl").write_text("{")
    for arguments in (("--model", "vit"), ("--limit", "1"), ()):
        _, out, _ = run(capsys, reports_dir, "list", *arguments)
        assert "broken" in out
        assert ("1 unreadable: nobody can tell whether the filters fit" in out) is ("--model" in arguments)
    rows = json.loads(run(capsys, reports_dir, "list", "--status", "unreadable", "-f", "json")[1])
    assert [(row["id"], row["cells"], row["started"]) for row in rows] == [("broken", None, None)]


def test_list_shows_hosts_where_there_are_several(
    capsys: pytest.CaptureFixture[str], reports_dir: Path
) -> None:
    assert "host" not in run(capsys, reports_dir, "list")[1]
    journal = min(reports_dir.iterdir()) / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"host":"bench"', '"host":"other"', 1))
    out = run(capsys, reports_dir, "list")[1]
    assert "bench" in out
    assert "other" in out


def test_prune_is_dry_until_told(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    interrupted, complete = sorted(reports_dir.iterdir())
    code, out, err = run(capsys, reports_dir, "prune", "--keep-named")
    assert (code, err) == (0, "")
    assert "would remove 1 of 2 reports" in out
    assert "--yes removes them" in out
    assert complete.exists()
    code, out, _ = run(capsys, reports_dir, "prune", "--keep-named", "--yes", "-f", "json")
    data = json.loads(out)
    fates = {row["id"]: row["fate"] for row in data["reports"]}
    assert (code, data["dry_run"], fates) == (0, False, {complete.name: "removed", interrupted.name: "stays"})
    assert list(reports_dir.iterdir()) == [interrupted]


def test_prune_without_a_rule_removes_nothing(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    before = sorted(reports_dir.iterdir())
    for arguments in ((), ("--yes",), ("--yes", "--interrupted", "--model", "alex")):
        code, out, err = run(capsys, reports_dir, "prune", *arguments)
        assert (code, out) == (2, "")
        assert "at least one rule that keeps reports, got none" in err
    assert sorted(reports_dir.iterdir()) == before


@pytest.mark.parametrize(
    "arguments", [("--keep", "nope"), ("--keep-last", "0"), ("--keep-since", "soon"), ("--keep", "2026")]
)
def test_prune_with_a_wrong_rule_removes_nothing(
    capsys: pytest.CaptureFixture[str], reports_dir: Path, arguments: tuple[str, ...]
) -> None:
    before = sorted(reports_dir.iterdir())
    code, out, err = run(capsys, reports_dir, "prune", "--yes", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sorted(reports_dir.iterdir()) == before


def test_prune_refuses_to_keep_a_report_of_another_folder(
    capsys: pytest.CaptureFixture[str], reports_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = archive.create(tmp_path_factory.mktemp("other"), None, NOW)
    (elsewhere / "journal.jsonl").touch()
    code, _, err = run(capsys, reports_dir, "prune", "--keep", str(elsewhere), "--yes")
    assert code == 2
    assert "Name its id" in err


def test_prune_keeps_what_is_named_and_clears_leftovers(
    capsys: pytest.CaptureFixture[str], reports_dir: Path
) -> None:
    complete = max(reports_dir.iterdir())
    (reports_dir / ".pruned-x").mkdir()
    assert "would delete 1 leftover" in run(capsys, reports_dir, "prune", "--keep", "2026-11-24")[1]
    code, out, _ = run(capsys, reports_dir, "prune", "--keep", "2026-11-24", "--yes")
    assert code == 0
    assert "deleted 1 leftover" in out
    assert complete.exists()
    assert not (reports_dir / ".pruned-x").exists()


def test_prune_of_many_shows_what_goes_first(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    for number in range(100):
        (reports_dir / f"x{number}").mkdir()
        (reports_dir / f"x{number}" / "journal.jsonl").touch()
    out = run(capsys, reports_dir, "prune", "--keep-named")[1]
    assert out.splitlines()[3].startswith("2026-11-24")
    assert "would go" in out.splitlines()[3]
    assert "would remove 1 of 102 reports" in out
    assert "100 of 102 are shown; -f json has all" in out


def test_prune_counts_what_the_disk_refuses(
    capsys: pytest.CaptureFixture[str], reports_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    code, out, err = run(capsys, reports_dir, "prune", "--keep-named", "--yes")
    assert code == 4
    assert "removed 0 of 2 reports" in out
    assert err.count("\n") == 1
    assert "cannot be removed: Permission denied" in err


def test_query_writes_every_format(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    sql = "SELECT report_id, status, name, gpus, ended_at FROM runs ORDER BY report_id"
    code, out, err = run(capsys, reports_dir, "query", sql, "-f", "json")
    first, second = json.loads(out)
    assert (code, err) == (0, "")
    assert (first["status"], second["status"], first["name"], first["gpus"]) == (
        "interrupted",
        "complete",
        None,
        [],
    )
    assert second["ended_at"] == "2026-11-23T21:39:05"
    rows = list(csv.reader(io.StringIO(run(capsys, reports_dir, "query", sql, "-f", "csv")[1])))
    assert rows[0] == ["report_id", "status", "name", "gpus", "ended_at"]
    assert rows[1][2:4] == ["", "[]"]
    assert "2 rows" in run(capsys, reports_dir, "query", sql)[1]


def test_query_takes_stdin_and_limits(
    capsys: pytest.CaptureFixture[str], reports_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT * FROM range(200)"))
    code, out, err = run(capsys, reports_dir, "query", "-", "-f", "csv")
    assert (code, len(out.splitlines()), err) == (0, 201, "")
    _, out, err = run(capsys, reports_dir, "query", "SELECT * FROM range(200)")
    assert err == "only the first 100 rows are shown; --limit 0 shows all\n"
    assert "100 rows" in out
    assert "200 rows" in run(capsys, reports_dir, "query", "SELECT * FROM range(200)", "--limit", "0")[1]


def test_query_without_sql_lists_every_column(capsys: pytest.CaptureFixture[str], reports_dir: Path) -> None:
    table = run(capsys, reports_dir, "query")[1]
    views = json.loads(run(capsys, reports_dir, "query", "-f", "json")[1])
    rows = list(csv.DictReader(io.StringIO(run(capsys, reports_dir, "query", "-f", "csv")[1])))
    assert len(rows) == sum(len(view["columns"]) for view in views)
    for view in views:
        assert view["view"] in table
        assert all(column["name"] in table for column in view["columns"])


def test_query_says_what_is_left_out_and_goes_on(
    capsys: pytest.CaptureFixture[str], reports_dir: Path
) -> None:
    for number in range(5):
        (reports_dir / f"broken{number}").mkdir()
        (reports_dir / f"broken{number}" / "report.json").write_text("{")
    code, out, err = run(capsys, reports_dir, "query", "SELECT count(*) AS n FROM runs", "-f", "json")
    assert (code, json.loads(out)) == (0, [{"n": 2}])
    assert err.startswith(
        "5 reports are left out: broken0, broken1, broken2, and 2 more. First reason: Cannot read"
    )
    assert err.count("\n") == 1


def test_query_of_nothing_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = run(capsys, tmp_path / "nowhere", "query", "SELECT * FROM runs", "-f", "json")
    assert (code, out) == (0, "[]\n")
    assert err == f"no reports yet in {tmp_path / 'nowhere'}; joulebatch run makes one\n"
