import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest

from runner.errors import FileError, JoulebatchError, UsageError
from runner.render.archived import RENDERINGS
from runner.render.data import cell_rows
from runner.render.views import VIEWS
from runner.report import archive, query
from runner.report.journal import Journal
from runner.report.query import Answer, answer
from runner.report.samples import read_samples
from runner.report.views import View
from tests.fakes import make_journal
from tests.processes import ROOT

REFERENCE = ROOT / "reports" / "reference"
COUNT = len(list(REFERENCE.glob("*/")))
DOC = ROOT / "docs" / "query.md"
BY_NAME = {view.name: view for view in VIEWS}
NOW = datetime(2026, 11, 23, 21, 34, 5, tzinfo=UTC)


def ask(reports_dir: Path, sql: str) -> tuple[list[tuple[object, ...]], Answer]:
    with answer(reports_dir, sql, VIEWS) as found:
        return list(found.rows), found


def rows_of(reports_dir: Path, sql: str) -> list[tuple[object, ...]]:
    rows, found = ask(reports_dir, sql)
    assert found.left_out == ()
    return rows


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The reference reports, where they can be damaged."""
    return Path(shutil.copytree(REFERENCE, tmp_path / "reports"))


@pytest.mark.parametrize("name", BY_NAME)
def test_a_view_has_the_columns_that_its_table_says(name: str) -> None:
    described = rows_of(REFERENCE, f"DESCRIBE {name}")
    assert [(row[0], row[1]) for row in described] == [
        (column.name, column.type) for column in BY_NAME[name].columns
    ]


@pytest.mark.parametrize("name", [view.name for view in VIEWS if view.rows])
def test_rows_of_every_reference_report_have_these_columns_and_no_others(name: str) -> None:
    view = BY_NAME[name]
    assert view.rows
    columns = [column.name for column in view.columns if column.name != "report_id"]
    seen = 0
    for folder in REFERENCE.glob("*/"):
        for row in view.rows(archive.load(folder)):
            assert [key for key in row if key != "report_id"] == columns
            seen += 1
    assert seen
    assert rows_of(REFERENCE, f"SELECT count(*) FROM {name}") == [(seen,)]


def test_units_are_the_suffixes_of_names() -> None:
    suffixes = {"_s": "s", "_j": "J", "_hz": "Hz", "_bytes": "bytes", "_ratio": "ratio", "_w": "W"}
    special = {"images_per_s": "1/s"}
    for view in VIEWS:
        for column in view.columns:
            found = next((unit for suffix, unit in suffixes.items() if column.name.endswith(suffix)), None)
            stem = re.sub(r"^(low|high)_", "", column.name)
            if found:
                assert column.unit == special.get(stem, found), column


def test_cells_are_those_of_the_csv_in_full_precision() -> None:
    for folder in sorted(REFERENCE.glob("*/")):
        report = archive.load(folder)
        names = [column.name for column in BY_NAME["cells"].columns if column.name != "cell"]
        found = rows_of(
            REFERENCE,
            f"SELECT {', '.join(names)} FROM cells WHERE report_id = '{folder.name}'",
        )
        assert found == [tuple(row[name] for name in names) for row in cell_rows(report)]


def test_inferences_are_the_samples() -> None:
    folder = min(REFERENCE.glob("*/"))
    found = rows_of(
        REFERENCE,
        f'SELECT "window", list(latency_s ORDER BY inference) FROM inferences '
        f"WHERE report_id = '{folder.name}' GROUP BY ALL ORDER BY 1",
    )
    assert found == [(each.window, list(each.latencies_s)) for each in read_samples(folder)]


def test_windows_join_their_cells_and_inferences() -> None:
    sql = """
        SELECT max(abs(w.latency_mean_s - i.mean_s) / i.mean_s), count(*)
        FROM windows w JOIN cells USING (report_id, cell) JOIN (
            SELECT report_id, "window", avg(latency_s) AS mean_s FROM inferences GROUP BY ALL
        ) i USING (report_id, "window")
    """
    ((difference, count),) = rows_of(REFERENCE, sql)
    assert count == rows_of(REFERENCE, "SELECT count(*) FROM windows")[0][0]
    assert isinstance(difference, float)
    assert difference < 1e-9


def test_energy_and_evidence_come_with_each_window(tmp_path: Path) -> None:
    folder = archive.create(tmp_path, None, NOW)
    with Journal(folder) as journal:
        for line in make_journal(energy="measured"):
            journal.write(line)
    report = archive.finish(folder, RENDERINGS)
    sql = "SELECT cpu_package_j, cpu_package_status, gpu_j, foreign_cpu_s, temperature_celsius FROM windows"
    first = report.windows[0]
    joules = {each.domain: each.energy_j for each in first.energy if each.status != "unavailable"}
    assert first.conditions
    assert rows_of(tmp_path, f"{sql} LIMIT 1") == [
        (joules["cpu_package"], "measured", joules["gpu"], first.conditions.foreign_cpu_s, 56.0)
    ]
    assert rows_of(REFERENCE, "SELECT DISTINCT cpu_package_j, cpu_package_status FROM windows") == [
        (None, "unavailable")
    ]


def test_a_running_and_an_interrupted_report_are_in_all_but_the_inferences(tmp_path: Path) -> None:
    folder = archive.create(tmp_path, None, NOW)
    with Journal(folder) as journal:
        for line in make_journal(ending=None):
            journal.write(line)
        assert rows_of(tmp_path, "SELECT status FROM runs") == [("running",)]
    assert rows_of(tmp_path, "SELECT status, window_count > 0 FROM runs") == [("interrupted", True)]
    assert rows_of(tmp_path, "SELECT count(*) > 0 FROM windows") == [(True,)]
    assert rows_of(tmp_path, "SELECT count(*) FROM inferences") == [(0,)]


def test_a_renamed_copy_is_a_report_of_its_own(copied: Path) -> None:
    first = min(copied.glob("*/"))
    shutil.copytree(first, copied / "it's a copy")
    for view in ("runs", "cells", "inferences"):
        ids = {row[0] for row in rows_of(copied, f"SELECT DISTINCT report_id FROM {view}")}
        assert {"it's a copy", first.name} <= ids


@pytest.mark.parametrize("name", ["a[1]*? 'x'", "sub/../sub/r", "ä b"])
def test_any_folder_will_do(tmp_path: Path, name: str) -> None:
    (tmp_path / "sub").mkdir()
    shutil.copytree(REFERENCE, tmp_path / name)
    shutil.copytree(REFERENCE, tmp_path / "a1b? 'x'")  # what the stars would stand for
    assert rows_of(tmp_path / name, "SELECT count(DISTINCT report_id) FROM inferences") == [(COUNT,)]


def test_no_reports_give_no_rows(tmp_path: Path) -> None:
    for view in VIEWS:
        assert rows_of(tmp_path / "missing", f"SELECT * FROM {view.name}") == []


def test_broken_reports_are_left_out_and_said(copied: Path) -> None:
    first, second, third, *others = sorted(copied.glob("*/"))
    (first / "report.json").write_text("{")
    (second / "samples.parquet").write_text("no parquet")
    (third / "samples.parquet").unlink()
    rows, found = ask(copied, "SELECT count(*) FROM runs")
    assert rows == [(len(others) + 2,)]
    assert [each.report_id for each in found.left_out] == [first.name]
    rows, found = ask(copied, "SELECT DISTINCT report_id FROM inferences JOIN runs USING (report_id)")
    assert {row[0] for row in rows} == {folder.name for folder in others}
    assert {each.report_id for each in found.left_out} == {first.name, second.name, third.name}
    assert all("\n" not in each.reason for each in found.left_out)


def test_a_report_that_makes_no_sense_is_left_out_whole(copied: Path) -> None:
    path = min(copied.glob("*/")) / "report.json"
    path.write_text(re.sub(r'"started_at": "[^"]*"', '"started_at": "soon"', path.read_text(), count=1))
    rows, found = ask(copied, "SELECT (SELECT count(*) FROM runs), count(DISTINCT report_id) FROM cells")
    assert rows == [(COUNT - 1, COUNT - 1)]
    assert [(each.report_id, each.reason[:11]) for each in found.left_out] == [
        (path.parent.name, "Cannot read")
    ]


def test_an_integer_that_no_column_holds_leaves_its_report_out(copied: Path) -> None:
    path = min(copied.glob("*/")) / "report.json"
    path.write_text(path.read_text().replace('"seed": 0', f'"seed": {2**63}', 1))
    rows, found = ask(copied, "SELECT count(*) FROM runs")
    assert rows == [(COUNT - 1,)]
    assert [each.reason for each in found.left_out] == ["makes no sense: seed needs more than 64 bits"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT interval 10000000 years", r"Cast it to VARCHAR"),
        ("SELECT now()", r"expected times without a zone, .* Cast it, as in now\(\)::TIMESTAMP"),
        ("SELECT '\udcff'", r"expected text in UTF-8"),
    ],
)
def test_what_python_has_no_value_for_is_one_line_that_says_what_to_do(sql: str, message: str) -> None:
    with pytest.raises(UsageError, match=rf"^Cannot run the query: [^\n]*{message}[^\n]*$"):
        rows_of(REFERENCE, sql)


def test_samples_that_break_while_they_are_read_are_one_line(copied: Path) -> None:
    path = min(copied.glob("*/")) / "samples.parquet"
    data = bytearray(path.read_bytes())
    data[100:2000] = bytes(1900)
    path.write_bytes(data)
    with pytest.raises(JoulebatchError, match=r"^Cannot run the query: got [^\n]*$"):
        ask(copied, "SELECT sum(latency_s), max(cell) FROM inferences")


def test_what_a_query_does_not_name_is_not_read(monkeypatch: pytest.MonkeyPatch, copied: Path) -> None:
    for path in copied.glob("*/samples.parquet"):
        path.unlink()
    assert rows_of(copied, "SELECT count(*) FROM runs") == [(COUNT,)]

    def refuse(folder: Path) -> None:
        raise AssertionError(folder)

    monkeypatch.setattr(query, "load", refuse)
    shutil.copytree(REFERENCE, copied, dirs_exist_ok=True)
    ((count,),) = rows_of(copied, "SELECT count(*) FROM Inferences")
    assert isinstance(count, int)
    assert count > 0


def test_samples_are_read_by_the_columns_that_are_asked_for() -> None:
    statement = query._samples_view(BY_NAME["inferences"], sorted(REFERENCE.glob("*/samples.parquet")))
    with duckdb.connect() as connection:  # without the lock, so that it explains
        connection.execute(statement)
        connection.execute("SET explain_output = 'physical_only'")
        ((_, plan),) = connection.execute(
            "EXPLAIN (FORMAT json) SELECT avg(latency_s) FROM inferences"
        ).fetchall()
    assert "READ_PARQUET" in plan
    assert "latency_s" in plan
    assert not any(name in plan for name in ("block", "inference", "paired"))


HOSTILE = [
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/proc/self/environ')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM read_text('{reports}/README.md')",
    "SELECT * FROM read_text('{report}/journal.jsonl') JOIN inferences ON true",
    "SELECT * FROM read_json('{report}/report.json')",
    "SELECT * FROM read_text('{report}/../../pyproject.toml') JOIN inferences ON true",
    "SELECT * FROM read_csv('https://example.org/x.csv')",
    "SELECT * FROM 's3://bucket/x.parquet'",
    "COPY runs TO '{target}'",
    "COPY (SELECT * FROM inferences) TO '{report}/samples.parquet'",
    "COPY (PIVOT runs ON host USING count(*)) TO '{target}'",
    "COPY runs FROM '/etc/passwd'",
    "EXPORT DATABASE '{target}'",
    "IMPORT DATABASE '{target}'",
    "ATTACH '{target}'",
    "DETACH memory",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{target}'",
    "SET threads = 1",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "RESET lock_configuration",
    "PRAGMA threads = 1",
    "CALL enable_logging()",
    "SELECT * FROM enable_logging(storage = 'file', storage_path = '{target}')",
    "SELECT * FROM enable_profiling(save_location = '{target}')",
    "SELECT getenv('HOME')",
    "CREATE TABLE x AS SELECT 1",
    "CREATE SECRET x (TYPE s3)",
    "INSERT INTO runs SELECT * FROM runs",
    "UPDATE runs SET host = 'x'",
    "DELETE FROM runs",
    "DROP TABLE runs",
    "EXPLAIN ANALYZE COPY runs TO '{target}'",
    "PREPARE p AS COPY runs TO '{target}'",
    "BEGIN",
    "CHECKPOINT",
    "VACUUM",
    "USE memory",
    "SELECT * FROM query('COPY runs TO ''{target}''')",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY runs TO '{target}'",
    "",
    " ; -- nothing",
    "selct 1",
    "SELECT * FROM nowhere",
    "SELECT nope FROM cells",
    "SELECT 'a'::INT FROM runs",
    "PIVOT cells ON backend USING count(*)",
]


@pytest.mark.parametrize("sql", HOSTILE)
def test_a_query_reads_the_reports_and_nothing_else_and_changes_nothing(
    copied: Path, tmp_path: Path, sql: str
) -> None:
    report, target = min(copied.glob("*/")), tmp_path / "target"
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    text = sql.format(reports=copied, report=report, target=target)
    with pytest.raises((UsageError, FileError)) as caught:
        ask(copied, text)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code in {2, 4}
    assert not list(tmp_path.glob("target*"))
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before


def test_variables_of_ours_are_no_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "scannable", {"a": np.arange(3)}, raising=False)
    with pytest.raises(UsageError, match="scannable does not exist"):
        ask(REFERENCE, "SELECT * FROM scannable")


@pytest.mark.parametrize(
    "sql",
    [
        "FROM runs",
        "WITH x AS (SELECT 1 AS a) SELECT a FROM x;",
        "VALUES (1)",
        "TABLE backends",
        "SHOW TABLES",
        "SUMMARIZE cells",
        "DESCRIBE windows",
        "-- why\nSELECT 1",
        "PIVOT (SELECT model, backend, latency_s FROM cells) ON backend IN ('cpu') USING median(latency_s)",
    ],
)
def test_what_returns_rows_is_answered(sql: str) -> None:
    assert rows_of(REFERENCE, sql)


def test_show_tables_shows_every_view() -> None:
    assert {row[0] for row in rows_of(REFERENCE, "SHOW TABLES")} == set(BY_NAME)


EXAMPLES = re.findall(r"^### (.+?)\n.*?```sql\n(.*?)```", DOC.read_text(), re.MULTILINE | re.DOTALL)
"""of the document, each with its title"""


@pytest.mark.parametrize(("title", "sql"), EXAMPLES, ids=[title for title, _ in EXAMPLES])
def test_every_example_of_the_document_has_an_answer(title: str, sql: str) -> None:
    rows, found = ask(REFERENCE, sql)
    assert rows, title
    assert found.left_out == ()


def view_table(view: View) -> str:
    """Return a view as the document shows it."""
    lines = [
        f"### {view.name}",
        "",
        f"A row is {view.row}.",
        "",
        "| column | type | unit | meaning |",
        "|---|---|---|---|",
    ]
    lines += [f"| `{each.name}` | {each.type} | {each.unit} | {each.meaning} |" for each in view.columns]
    return "\n".join(lines) + "\n"


def test_the_document_shows_the_views_that_there_are() -> None:
    _, marker, shown = DOC.read_text().partition("## Views\n\n")
    assert marker
    expected = "\n".join(view_table(view) for view in VIEWS)
    assert shown == expected, f"the end of docs/query.md must be:\n{expected}"


def test_the_command_as_a_process() -> None:
    command = [
        sys.executable,
        "-m",
        "runner",
        "reports",
        "query",
        "SELECT count(*) AS n FROM runs",
        "-f",
        "json",
    ]
    done = subprocess.run(
        [*command, "--reports-dir", str(REFERENCE)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr, json.loads(done.stdout)) == (0, "", [{"n": COUNT}])
