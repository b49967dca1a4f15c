"""Every name that a part of a report uses is given by another, and what is wrong is named by its field."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.errors import FileError
from runner.report import archive
from runner.report.assemble import assemble
from runner.report.folders import JOURNAL_NAME
from runner.report.journal import Journal
from runner.report.lines import CellLine, HeaderLine, QueueCellLine, QueueWindowLine
from runner.report.references import broken_reference
from runner.report.schema import SCHEMA_VERSION
from tests.fakes import make_journal
from tests.golden.write import GOLDEN
from tests.processes import ROOT
from tests.queues import with_queue

Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    "folder",
    [*sorted(GOLDEN.glob("v*")), *sorted((ROOT / "reports" / "reference").glob("2*"))],
    ids=lambda each: each.name,
)
def test_no_real_report_has_a_broken_reference(folder: Path) -> None:
    assert broken_reference(archive.load(folder)) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data["windows"][3].update(cell="nobody"), "windows[3].cell: 'nobody' is not a cell"),
        (lambda data: data["cells"][2].update(backend="nobody"), "cells[2].backend: 'nobody' is not a backend"),
        (lambda data: data["cells"][2].update(model="nobody"), "cells[2].model: 'nobody fp32' is not a model"),
        (lambda data: data["cells"][1].update(key=data["cells"][0]["key"]), "cells[1]: a second "),
        (lambda data: data["backends"].append(data["backends"][0]), "backends[3]: a second 'cpu:threads=1'"),
        (lambda data: data["models"].append(data["models"][0]), "models[2]: a second "),
        (lambda data: data["sessions"][0].update(variant="nobody"), "sessions[0].model: 'shufflenet_v2_x0_5 nobody'"),
        (lambda data: data["comparisons"][5].update(baseline_cell="nobody"), "comparisons[5]: 'nobody' is not a cell"),
        (lambda data: data["best_sets"][0].update(members=["nobody"]), "best_sets[0]: 'nobody' is not a cell"),
        (lambda data: data["choices"][0].update(least_cost="nobody"), "choices[0]: 'nobody' is not a cell"),
        (lambda data: data["tests"][0].update(cells=["nobody"]), "tests[0].cells: 'nobody' is not a cell"),
        (lambda data: data["idle"][0].update(model="nobody"), "idle[0].model: 'nobody' is not a model"),
        (lambda data: data["findings"][0].update(cells=["nobody"]), "findings[0].cells: 'nobody' is not a cell"),
        (lambda data: data["findings"][0].update(backend="nobody"), "findings[0].backend: 'nobody' is not a backend"),
        (lambda data: data["queue"]["windows"][0].update(cell="nobody"), "queue.windows[0].cell: 'nobody' is not"),
        (lambda data: data["queue"]["cells"][0].update(backend="nobody"), "queue.cells[0].backend: 'nobody' is not"),
        (lambda data: data["queue"]["comparisons"][0].update(cell="nobody"), "queue.comparisons[0]: 'nobody' is not"),
        (lambda data: data["queue"]["tests"][0].update(model="nobody"), "queue.tests[0].model: 'nobody' is not"),
        (lambda data: data["provenance"].update(baseline="nobody"), "provenance.baseline: 'nobody' is not a backend"),
        (lambda data: data.update(started_at="yesterday"), "started_at: Value error, Invalid isoformat"),
        (lambda data: data.update(started_at="2026-11-23T21:34:05"), "started_at: Value error, expected a time"),
        (lambda data: data["environment"].update(cores=0), "environment.cores: Input should be greater than 0"),
        (lambda data: data["windows"][0].update(cell="n" * 9000), "windows[0].cell: 'nnn"),
    ],
)  # fmt: skip
def test_a_broken_reference_is_one_line_that_names_the_field(
    tmp_path: Path, change: Change, said: str
) -> None:
    data = json.loads((GOLDEN / f"v{SCHEMA_VERSION}" / "report.json").read_bytes())
    change(data)
    (tmp_path / "report.json").write_text(json.dumps(data))
    with pytest.raises(FileError) as caught:
        archive.load(tmp_path)
    assert f"expected a report, got {said}" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_journal_whose_lines_do_not_fit_its_header_is_one_line() -> None:
    lines = with_queue(make_journal(), requests=20)
    header = next(line for line in lines if isinstance(line, HeaderLine))
    cell = next(line for line in lines if isinstance(line, CellLine))
    queue_cell = next(line for line in lines if isinstance(line, QueueCellLine))
    window = next(line for line in lines if isinstance(line, QueueWindowLine))
    stranger = cell.model_copy(update={"entry": cell.entry.model_copy(update={"key": "nobody"})})
    queue_stranger = queue_cell.model_copy(
        update={"entry": queue_cell.entry.model_copy(update={"key": "nobody"})}
    )
    lost = window.model_copy(update={"arrivals_s": window.arrivals_s[:-1]})
    without = header.model_copy(update={"backends": header.backends[:1]})
    for broken, said in (
        ((*lines, stranger), "expected planned cells, got one of nobody"),
        ((*lines, queue_stranger), "expected planned cells of the queue, got one of nobody"),
        ((*lines, header), "expected a journal with one header, got a second"),
        ((*lines, lost), "expected a queue window whose batches are whole"),
        ((without, *lines[1:]), "'torch' is not a backend of this report"),
    ):
        with pytest.raises(FileError) as caught:
            assemble(broken)
        assert said in str(caught.value)


def test_a_queue_interrupted_before_two_policies_shared_a_block_is_shown() -> None:
    lines = with_queue(make_journal(backends=("cpu",)), ("fixed:2", "greedy:2"), blocks=1, requests=20)
    windows = [line for line in lines if isinstance(line, QueueWindowLine)]
    moved = windows[1].model_copy(update={"entry": windows[1].entry.model_copy(update={"block": 1})})
    report = assemble(moved if line is windows[1] else line for line in lines)
    assert report.queue
    assert report.queue.tests == ()
    assert all(cell.summary for cell in report.queue.cells)


def test_a_journal_without_figures_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(tmp_path) as journal:
        for line in make_journal(ending=None):
            journal.write(line)

    def impossible(*_: object) -> None:
        raise ZeroDivisionError("float division by zero")

    monkeypatch.setattr(archive, "assemble", impossible)
    with pytest.raises(
        FileError, match=rf"{JOURNAL_NAME}: expected windows that give figures, got float division"
    ):
        archive.load(tmp_path)
