import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from runner.errors import FileError
from runner.render.archived import RENDERINGS
from runner.render.markdown import to_markdown
from runner.report import archive
from runner.report.journal import Journal
from runner.report.schema import Report
from runner.report.verify import Check, Difference, verify
from tests.fakes import make_journal

CELL = "cells[alexnet/fp32/torch/b4/host]"
REFERENCES = sorted((Path(__file__).parents[3] / "reports" / "reference").glob("2*"))


def write_run(folder: Path, *, ending: str | None = "complete") -> Path:
    """Return a folder with the journal of a run that had everything happen to it."""
    folder.mkdir()
    lines = make_journal(
        pace_hz=2,
        blocks=8,
        inferences=15,
        energy="measured",
        profile="publication",
        disturbed={3: "foreign CPU time 31 %"},
        idle_w=(20.0, 20.4),
        workers=3,
        killed_in=5,
        ending="complete" if ending else None,
    )
    with Journal(folder) as journal:
        for line in lines:
            journal.write(line)
    return folder


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete report, for reading only."""
    folder = write_run(tmp_path_factory.mktemp("reports") / "2026-11-23T21-34-05-k3f9")
    archive.finish(folder, RENDERINGS)
    return folder


@pytest.fixture
def folder(archived: Path, tmp_path: Path) -> Path:
    """A complete report to tamper with."""
    return Path(shutil.copytree(archived, tmp_path / archived.name))


def found(folder: Path) -> list[Difference]:
    return [difference for check in verify(folder, RENDERINGS) for difference in check.differences]


def cover_up(folder: Path) -> None:
    """Write checksums that fit the files as they are."""
    path = folder / "SHA256SUMS"
    names = [line.partition("  ")[2] for line in path.read_text().splitlines()]
    path.write_text(
        "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    )


def change_report(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "report.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_a_report_as_it_was_archived_passes_every_check(folder: Path) -> None:
    checks = list(verify(folder, RENDERINGS))
    report = archive.load(folder)
    assert [check.differences for check in checks] == [()] * 6
    counts = {check.subject: (check.count, check.unit) for check in checks}
    assert counts["SHA256SUMS"] == (5, "files")
    assert counts["samples.parquet"] == (sum(w.inference_count for w in report.windows), "inferences")
    assert counts["report.md"] == (to_markdown(report).count("\n") + 1, "lines")
    assert counts["journal.jsonl"][0] > 10 * len(report.windows)
    assert counts["report.json"][0] > 20 * len(report.cells) + len(report.windows)


def test_a_changed_latency_is_named_with_every_figure_that_it_moves(folder: Path) -> None:
    path = folder / "samples.parquet"
    with duckdb.connect() as connection:
        rows = connection.sql("SELECT * FROM read_parquet($path)", params={"path": str(path)})
        changed = 'CASE WHEN "window" = 7 AND inference = 3 THEN 9.5 ELSE latency_s END AS latency_s'
        rows.project(f"* REPLACE ({changed})").write_parquet(f"{path}.new")
    (folder / "samples.parquet.new").replace(path)
    cover_up(folder)
    report, differences = archive.load(folder), found(folder)
    assert [(item.file, item.field, item.archived) for item in differences[:1]] == [
        ("samples.parquet", "window 7.latencies_s[3]", "9.5")
    ]
    key = report.windows[7].cell
    named = {item.field for item in differences}
    assert "windows[7].latency_mean_s" in named
    percentiles = {f"cells[{key}].summary.latency_p{p}_s" for p in (50, 90)}
    assert named - {"window 7.latencies_s[3]", "windows[7].latency_mean_s"} <= percentiles


def test_a_changed_mean_is_named_though_its_checksum_was_mended(folder: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        cell = next(cell for cell in data["cells"] if cell["key"] in CELL)
        cell["summary"]["latency_s"]["mean"] *= 1 + 2e-9

    change_report(folder, change)
    (folder / "report.md").write_text(to_markdown(archive.load(folder)))
    cover_up(folder)
    [difference] = found(folder)
    assert (difference.file, difference.field) == ("report.json", f"{CELL}.summary.latency_s.mean")
    assert float(difference.archived) == pytest.approx(float(difference.recomputed), rel=1e-8)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("comparisons[1].low", lambda data: data["comparisons"][1].update(low=0.5)),
        ("comparisons[1].verdict", lambda data: data["comparisons"][1].update(verdict="too few pairs")),
        ("best_sets[0].best", lambda data: data["best_sets"][0].update(best="alexnet/fp32/torch/b1/host")),
        ("choices[1].cost_candidates", lambda data: data["choices"][1].update(cost_candidates=9)),
        ("tests[0].p", lambda data: data["tests"][0].update(p=0.5)),
        ("tests", lambda data: data.update(tests=[])),
        ("minimum_detectable_ratio", lambda data: data.update(minimum_detectable_ratio=1.5)),
        ("windows[4].outlier", lambda data: data["windows"][4].update(outlier=True)),
        (f"{CELL}.summary", lambda data: _cell(data).update(summary=None)),
        (f"{CELL}.summary.outlier_count", lambda data: _cell(data)["summary"].update(outlier_count=5)),
        (f"{CELL}.summary.energy.net_per_image_j.mean", lambda data: _net(data).update(mean=0.5)),
    ],
)
def test_every_kind_of_figure_is_recomputed(
    folder: Path, field: str, change: Callable[[dict[str, Any]], None]
) -> None:
    change_report(folder, change)
    assert ("report.json", field) in {(item.file, item.field) for item in found(folder)}


def _cell(data: dict[str, Any]) -> dict[str, Any]:
    cells: list[dict[str, Any]] = data["cells"]
    return next(cell for cell in cells if cell["key"] in CELL)


def _net(data: dict[str, Any]) -> dict[str, Any]:
    net: dict[str, Any] = _cell(data)["summary"]["energy"]["net_per_image_j"]
    return net


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("windows[5].wall_s", lambda data: data["windows"][5].update(wall_s=0.25)),
        ("windows[5].wall_s", lambda data: data["windows"][5].update(wall_s=0.0)),
        ("windows[5].cell", lambda data: data["windows"][5].update(cell="nobody")),
        ("windows[5].paired", lambda data: data["windows"][5].update(paired=False)),
        ("windows[5].energy[0].energy_j", lambda data: data["windows"][5]["energy"][0].update(energy_j=1.0)),
        ("windows[5].disturbed", lambda data: data["windows"][5].update(disturbed="made up")),
        ("windows", lambda data: data["windows"].pop()),
        ("idle", lambda data: data["idle"].pop()),
        ("resumes[0].dropped_bytes", lambda data: data["resumes"][0].update(dropped_bytes=0)),
        ("environment.cpu", lambda data: data["environment"].update(cpu="a faster one")),
        (f"{CELL}.first_inference_s", lambda data: _cell(data).update(first_inference_s=0.1)),
        ("notes", lambda data: data["notes"].append("All is well")),
    ],
)
def test_what_was_measured_is_what_the_journal_says(
    folder: Path, field: str, change: Callable[[dict[str, Any]], None]
) -> None:
    change_report(folder, change)
    cover_up(folder)
    contents = next(check for check in verify(folder, RENDERINGS) if check.subject == "journal.jsonl")
    assert [(item.file, item.field) for item in contents.differences] == [("report.json", field)]


def test_changed_markdown_is_named_by_its_lines(folder: Path) -> None:
    path = folder / "report.md"
    lines = path.read_text().split("\n")
    lines[2] = "- measured on another day"
    path.write_text("\n".join([*lines[:4], "- and on this one", *lines[4:]]))
    cover_up(folder)
    assert [(item.file, item.field, item.archived) for item in found(folder)] == [
        ("report.md", "line 3", "- measured on another day"),
        ("report.md", "line 5", "- and on this one"),
    ]


def test_a_changed_checksum_is_named(folder: Path) -> None:
    path = folder / "SHA256SUMS"
    archived, _, name = path.read_text().splitlines()[1].partition("  ")
    path.write_text(path.read_text().replace(archived, "0" * 64))
    assert found(folder) == [Difference(name, "sha256", "0" * 64, archived)]


def test_a_file_without_a_checksum_is_named(folder: Path) -> None:
    path = folder / "SHA256SUMS"
    path.write_text(
        "".join(line for line in path.read_text().splitlines(keepends=True) if "report.md" not in line)
    )
    assert [(item.file, item.archived) for item in found(folder)] == [("report.md", "not listed")]


@pytest.mark.parametrize("name", ["report.json", "samples.parquet", "journal.jsonl"])
def test_a_truncated_file_is_named_and_cannot_be_read(folder: Path, name: str) -> None:
    path = folder / name
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    checks: list[Check] = []
    try:
        checks.extend(verify(folder, RENDERINGS))
    except FileError as error:
        assert name in str(error)  # noqa: PT017 - a journal cut between two lines can still be read
    assert name in {item.file for check in checks for item in check.differences}


@pytest.mark.parametrize("name", ["report.md", "samples.parquet", "journal.jsonl", "SHA256SUMS"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(FileError, match=f"Cannot read .*{name}"):
        found(folder)


def test_an_interrupted_run_has_nothing_to_verify_against(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "2026-11-23T21-34-05-k3f9", ending=None)
    with pytest.raises(
        FileError,
        match=r"nothing was archived to verify against\. Finish it with: joulebatch run --resume 2026",
    ):
        found(folder)
    with Journal(folder), pytest.raises(FileError, match=r"running: nothing .* Wait for its end"):
        found(folder)


def test_a_rendering_that_differs_is_found(folder: Path) -> None:
    def render(report: Report) -> str:
        return to_markdown(report).replace("alexnet", "alexnot", 1)

    *_, markdown = verify(folder, {"report.md": render})
    assert [item.file for item in markdown.differences] == ["report.md"]


@pytest.mark.parametrize("folder", REFERENCES, ids=lambda folder: folder.name)
def test_every_reference_report_is_what_its_windows_say_today(folder: Path) -> None:
    checks = list(verify(folder, RENDERINGS))
    assert sum(check.count for check in checks) > 400
    assert [difference for check in checks for difference in check.differences] == []
