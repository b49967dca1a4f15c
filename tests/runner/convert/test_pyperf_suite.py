"""pyperf itself, as a process, reads what is converted for it."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyperf  # type: ignore[import-untyped]  # it brings no types
import pytest

from runner.convert.interface import Request
from runner.convert.pyperf_suite import convert
from runner.errors import AbsentError
from runner.report.archive import load
from runner.report.evidence import figure_windows
from runner.report.lines import Line
from tests.fakes import cell_key, make_journal
from tests.processes import ROOT
from tests.queues import with_queue

Requested = Callable[[Sequence[Line]], Request]
REFERENCE = sorted((ROOT / "reports" / "reference").glob("20*"))


def run_pyperf(*arguments: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pyperf", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def suite_of(request: Request, path: Path) -> pyperf.BenchmarkSuite:
    path.write_bytes(convert(request).data)
    return pyperf.BenchmarkSuite.load(str(path))


@pytest.mark.parametrize("folder", REFERENCE, ids=lambda folder: folder.name)
def test_every_figure_that_pyperf_makes_of_a_real_report_is_the_report_s(
    folder: Path, tmp_path: Path
) -> None:
    report = load(folder)
    suite = suite_of(Request(folder, report), tmp_path / "suite.json")
    measured = [cell for cell in report.cells if cell.status == "measured" and cell.summary]
    assert suite.get_benchmark_names() == [cell.key for cell in measured]
    for cell in measured:
        assert cell.summary
        benchmark = suite.get_benchmark(cell.key)
        assert benchmark.mean() == pytest.approx(cell.summary.latency_s.mean, rel=1e-12)
        assert benchmark.get_nvalue() == cell.summary.window_count
        assert sum(len(run.values) * run.get_loops() for run in benchmark.get_runs()) == (
            cell.summary.inference_count
        )
        assert benchmark.get_unit() == "second"


@pytest.mark.parametrize("command", ["show", "check", "stats", "hist", "metadata", "dump"])
def test_pyperf_s_commands_read_it(requested: Requested, tmp_path: Path, command: str) -> None:
    lines = make_journal(models=("alexnet", "vit_b_16"), pace_hz=2, workers=2, blocks=6)
    request = requested(lines)
    suite_of(request, tmp_path / "suite.json")
    shown = run_pyperf(command, "suite.json", cwd=tmp_path)
    assert shown
    if command == "check":  # names only what looks unstable to it
        return
    for cell in request.report.cells:
        assert cell.key in shown
    if command == "stats":
        assert shown.count("Number of run with values: 2\n") == len(request.report.cells)
        assert "Start date: 2026-11-23 21:34:05" in shown
    if command == "metadata":
        assert "- cpu_model_name: Intel(R) Xeon(R) Platinum 8481C" in shown
        assert "- hostname: bench" in shown
        assert "- parity: passed" in shown


def test_the_ratio_of_two_reports_is_the_same_as_theirs(requested: Requested, tmp_path: Path) -> None:
    old, new = (requested(make_journal(seed=seed, slowness={"cpu": seed})) for seed in (1, 2))
    for name, request in (("old", old), ("new", new)):
        suite_of(request, tmp_path / f"{name}.json")
    run_pyperf("compare_to", "old.json", "new.json", cwd=tmp_path)
    shown = run_pyperf("compare_to", "old.json", "new.json", "--table", cwd=tmp_path)
    said = {
        match[1]: float(match[2]) if match[3] == "slower" else 1 / float(match[2])
        for match in re.finditer(r"\| (\S+) .*?([\d.]+)x (slower|faster)", shown)
        if match[1] != "Geometric"
    }
    ratios = {
        cell.key: other.summary.latency_s.mean / cell.summary.latency_s.mean
        for cell, other in zip(old.report.cells, new.report.cells, strict=True)
        if cell.summary and other.summary and cell.backend == "cpu"
    }
    assert len(ratios) == 2
    for key, ratio in ratios.items():
        assert ratio > 1.5
        assert said[key] == pytest.approx(ratio, abs=0.005)  # pyperf prints two decimals


def test_values_are_the_windows_that_count_of_each_worker(requested: Requested, tmp_path: Path) -> None:
    request = requested(make_journal(blocks=6, workers=3, disturbed={1: "another program ran"}))
    suite = suite_of(request, tmp_path / "suite.json")
    windows = request.report.windows
    assert any(window.repeated_by is not None for window in windows)
    for cell in request.report.cells:
        benchmark = suite.get_benchmark(cell.key)
        own = [windows[place] for place in figure_windows(windows)[cell.key]]
        assert all(window.paired for window in own)
        by_worker = {
            worker: tuple(each.latency_mean_s for each in own if each.worker == worker) for worker in range(3)
        }
        runs = benchmark.get_runs()
        assert {run.get_metadata()["worker"]: run.values for run in runs} == by_worker
        assert [run.warmups for run in runs] == [((1, cell.first_inference_s),), (), ()]


def test_a_resumed_run_claims_no_warm_up_for_a_worker(requested: Requested, tmp_path: Path) -> None:
    request = requested(make_journal(killed_in=2))
    suite = suite_of(request, tmp_path / "suite.json")
    runs = [run for benchmark in suite for run in benchmark.get_runs()]
    assert all(run.warmups == () for run in runs)
    assert all(run.get_metadata()["first_inference_s"] > 0 for run in runs)


def test_windows_of_unequal_lengths_keep_their_own_loops(requested: Requested, tmp_path: Path) -> None:
    request = requested(make_journal(blocks=4))
    first = request.report.windows[0]
    windows = (first.model_copy(update={"inference_count": 30}), *request.report.windows[1:])
    altered = Request(request.folder, request.report.model_copy(update={"windows": windows}))
    benchmark = suite_of(altered, tmp_path / "suite.json").get_benchmark(first.cell)
    assert sorted((run.get_loops(), len(run.values)) for run in benchmark.get_runs()) == [(12, 3), (30, 1)]


def test_what_was_not_measured_is_left_out_and_said(requested: Requested) -> None:
    gone = cell_key("alexnet", "torch", 4)
    slow = cell_key("alexnet", "cpu", 4, pace_hz=2)
    lines = make_journal(
        pace_hz=2, outcomes={gone: ("failed", "no memory"), slow: ("overloaded", "too slow")}
    )
    done = convert(requested(with_queue(lines)))
    names = {_name(each, json.loads(done.data)) for each in json.loads(done.data)["benchmarks"]}
    assert not {gone, slow} & names
    assert len(names) == 6
    assert done.notes[0] == "left out: 2 of 8 cells, which were not measured"
    assert done.notes[1].startswith("left out: 4 queue cells")


def _name(benchmark: dict[str, Any], suite: dict[str, Any]) -> str:
    return str({**suite.get("metadata", {}), **benchmark.get("metadata", {})}["name"])


def test_a_report_without_a_measured_cell_is_one_line(requested: Requested) -> None:
    with pytest.raises(AbsentError, match="expected a measured cell, got none"):
        convert(requested(make_journal(blocks=0)))


def test_a_name_of_several_lines_is_spelled_out(requested: Requested, tmp_path: Path) -> None:
    request = requested(make_journal(models=("bad\nname",)))
    names = suite_of(request, tmp_path / "suite.json").get_benchmark_names()
    assert names[0] == "bad\\nname/fp32/cpu/b1/host"


def test_the_session_s_own_interpreter_is_named_and_not_ours(requested: Requested, tmp_path: Path) -> None:
    request = requested(make_journal())
    facts = {"python": "3.12.1", "onnxruntime": "1.24.4"}
    sessions = tuple(each.model_copy(update={"facts": facts}) for each in request.report.sessions)
    altered = Request(request.folder, request.report.model_copy(update={"sessions": sessions}))
    metadata = suite_of(altered, tmp_path / "suite.json").get_metadata()
    assert metadata["python_version"] == "3.12.1"
    assert metadata["onnxruntime_version"] == "1.24.4"
    assert "torch_version" not in metadata


def test_without_pyperf_the_remedy_is_named(requested: Requested, monkeypatch: pytest.MonkeyPatch) -> None:
    request = requested(make_journal())
    monkeypatch.setitem(sys.modules, "pyperf", None)
    with pytest.raises(
        AbsentError, match=r"expected the package pyperf, got none\. Run: python -m pip install"
    ):
        convert(request)
