from pathlib import Path

import pytest

from runner.report.comparison.compare import make_side
from runner.report.comparison.spread import calibrate
from runner.report.folders import report_folders
from runner.report.journal import Journal
from runner.report.overview import Spreads, entry_of
from runner.report.schema import Report
from tests.fakes import make_journal
from tests.runner.report.comparison.runs import changed, make_run

NO_SPREAD = Spreads(None)


def _written(folder: Path, report: Report) -> Path:
    place = folder / report.report_id
    place.mkdir()
    (place / "report.json").write_text(report.model_dump_json())
    return place


def test_an_entry_holds_what_a_comparison_needs(tmp_path: Path) -> None:
    report = make_run(energy="measured")
    entry = entry_of(_written(tmp_path, report), NO_SPREAD)
    side = make_side([report])
    assert (entry.status, entry.page, entry.models) == ("complete", "report.json", ("alexnet",))
    assert {own.cell.key: own.facts for own in entry.cells} == side.facts
    for own in entry.cells:
        (evidence,) = side.cells[own.cell.key]
        assert evidence
        assert {metric: figure.known for metric, figure in own.figures.items()} == evidence.figures
        assert {metric: figure.mean for metric, figure in own.figures.items()} == evidence.means
        assert set(own.figures) == {"latency", "cpu", "energy"}


def test_what_is_never_compared_has_a_reason_and_no_figure(tmp_path: Path) -> None:
    lines = make_journal(("alexnet",), ("cpu", "torch"), parity_failed=("torch",))
    with Journal(tmp_path) as journal:
        for line in lines:
            journal.write(line)
    own = {each.cell.backend: each for each in entry_of(tmp_path, NO_SPREAD).cells}
    assert "parity" in own["torch"].excluded
    assert own["torch"].figures == {}
    assert own["cpu"].excluded == ""


def test_the_spread_is_of_cells_that_it_was_taken_of(tmp_path: Path) -> None:
    runs = [make_run(f"run{seed}", seed) for seed in range(5)]
    spreads = Spreads(calibrate(make_side(runs), "0"))
    own = entry_of(_written(tmp_path, runs[0]), spreads)
    assert all(cell.figures["latency"].spread for cell in own.cells)
    other = entry_of(_written(tmp_path, changed(make_run("other"), "environment", cpu="another")), spreads)
    assert not any(cell.figures["latency"].spread for cell in other.cells)


@pytest.mark.parametrize("ending", [None, "interrupted"])
def test_what_has_not_ended_shows_what_it_measured(tmp_path: Path, ending: None) -> None:
    lines = make_journal(ending=ending)
    with Journal(tmp_path) as journal:
        for line in lines:
            journal.write(line)
        assert entry_of(tmp_path, NO_SPREAD).status == "running"
    entry = entry_of(tmp_path, NO_SPREAD)
    assert (entry.status, entry.page) == ("interrupted", "")
    assert any(cell.figures for cell in entry.cells)


def test_what_cannot_be_read_says_why_and_costs_nothing_else(tmp_path: Path) -> None:
    good = make_run("good")
    _written(tmp_path, good)
    (tmp_path / "2026-broken").mkdir()
    (tmp_path / "2026-broken" / "report.json").write_text("{")
    # By its schema a report, but its cells are of a backend that it does not have.
    _written(tmp_path, make_run("torn").model_copy(update={"backends": ()}))
    (tmp_path / "2026-journal").mkdir()
    (tmp_path / "2026-journal" / "journal.jsonl").write_text("nonsense\n")
    found = {folder.name: entry_of(folder, NO_SPREAD) for folder in report_folders(tmp_path)}
    assert found.pop(good.report_id).status == "complete"
    assert len(found) == 3
    for name, entry in found.items():
        assert (entry.status, entry.cells) == ("unreadable", ())
        assert name in entry.unreadable
