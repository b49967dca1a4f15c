import io

import pytest
from pytest_regressions.file_regression import FileRegressionFixture

from runner.conditions import Conditions, MachineState
from runner.meters.gpu_state import GpuState
from runner.render import numbers, render
from runner.report.assemble import assemble
from runner.report.lines import BlockLine, HeaderLine, WindowLine
from runner.report.schema import Cell, Report
from tests.fakes import GPU, make_journal
from tests.runner.render.conftest import HOSTILE_BACKEND, HOSTILE_MODEL, RUNS


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(report: Report, width: int | None = 100, *, details: bool = False) -> str:
    stream = io.StringIO()
    render(report, "table", stream, details=details, width=width)
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("report", RUNS, indirect=True)
def test_tables(report: Report, width: int, file_regression: FileRegressionFixture) -> None:
    file_regression.check(shown(report, width), extension=".txt", encoding="utf-8")


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("report", ["eventful"], indirect=True)
def test_details_of_events(report: Report, width: int, file_regression: FileRegressionFixture) -> None:
    text = shown(report, width, details=True)
    file_regression.check(text, extension=".txt", encoding="utf-8")


@pytest.mark.parametrize("report", ["trouble", "gpu"], indirect=True)
def test_details(report: Report, file_regression: FileRegressionFixture) -> None:
    file_regression.check(shown(report, details=True), extension=".txt", encoding="utf-8")


@pytest.mark.parametrize("width", [60, 80, 100, 120])
@pytest.mark.parametrize("report", RUNS, indirect=True)
def test_no_line_is_wider_than_the_terminal(report: Report, width: int) -> None:
    assert max(map(len, shown(report, width, details=True).splitlines())) <= width


@pytest.mark.parametrize("report", ["quick", "trouble", "gpu"], indirect=True)
def test_at_100_columns_only_percentiles_may_go(report: Report) -> None:
    text = shown(report)
    for header in ("backend", "load", "latency", "images", "CPU", "ratio to", "provider,"):
        assert header in text
    missing = [line for line in text.splitlines() if "not shown at this width" in line]
    assert all("p90" in line and "provider" not in line for line in missing)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("report", ["trouble"], indirect=True)
def test_no_cell_is_dropped_and_every_reason_is_told(report: Report, width: int) -> None:
    text = shown(report, width)
    for cell in report.cells:
        assert cell.status == "measured" or f"{cell.status} [" in text
        assert cell.reason in text
    rows = [line for line in text.splitlines() if line.startswith("cpu")]
    assert len(rows) == len(report.cells)
    assert "--time-budget 5m ended the run" in text


@pytest.mark.parametrize("report", ["doubts"], indirect=True)
def test_every_doubt_is_told_once_with_its_windows_and_cells(report: Report) -> None:
    lines = shown(report, 400).splitlines()
    told = [line.strip() for line in lines]
    unresolved = "below resolution: the counter of package-0 changed 0 to 4 times in the window"
    assert told.count(f"no energy of cpu b1, cpu b4: {unresolved}") == 2
    for wanted in (
        "6 of 60 windows: late (",
        f"60 of 60 windows: no energy of CPU package: {unresolved} (vit_b_16 cpu",
        "9 of 60 windows: sampled power of GPU-5d gives 1.10 to 1.66 of its counter's energy (",
        "2 of 60 windows: no energy of GPU: the counter of GPU-5d went down (",
        "Energy figures leave out ",
    ):
        assert len([line for line in told if line.startswith(wanted)]) == 1
    assert any(" more)" in line for line in told)
    assert any(" gpu only" in line and "least" not in line for line in told)
    assert not any(line.startswith("cpu ") and " J" in line for line in told)


@pytest.mark.parametrize("report", ["hostile"], indirect=True)
def test_markup_in_names_stays_text_and_the_terminal_obeys_nothing(report: Report) -> None:
    text = shown(report)
    assert HOSTILE_MODEL.replace("\x1b", "?") in text
    assert HOSTILE_BACKEND in text
    assert "<b>&amp;|[/red]" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("report", ["quick"], indirect=True)
def test_colour_is_for_terminals_without_no_color(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    styled = Screen()
    render(report, "table", styled, width=100)
    assert "\x1b[" in styled.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Screen()
    render(report, "table", plain, width=100)
    assert not any(f"\x1b[{code}m" in plain.getvalue() for code in (*range(30, 38), *range(90, 98)))
    assert "\x1b" not in shown(report)


@pytest.mark.parametrize("report", ["quick"], indirect=True)
def test_a_pipe_is_100_wide_unless_columns_says_otherwise(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert shown(report, None) == shown(report, 100)
    monkeypatch.setenv("COLUMNS", "120")
    assert shown(report, None) == shown(report, 120)


@pytest.mark.parametrize("report", ["eventful"], indirect=True)
def test_what_befell_a_run_is_told_without_being_asked(report: Report) -> None:
    told = [line.strip() for line in shown(report, 400).splitlines()]
    assert (
        "2 of 14 blocks were disturbed (2 x foreign CPU time 31 to 40 %): repeated; ratios with them: --details"
        in told
    )
    assert "Net energy is unreliable: idle power before and after the run differs by more than 5 %" in told
    resumed = (
        "resumed at 2026-11-24 08:00 +0000, interrupted after 1 min 0 s; a torn line of 37 bytes was dropped"
    )
    assert resumed in told


def test_a_disturbed_block_that_could_not_be_repeated_is_said() -> None:
    report = assemble(
        line
        for line in make_journal(blocks=4, disturbed={1: "throttled", 2: "steal 7 %"})
        if not (isinstance(line, BlockLine) and line.block == 5)
        and not (isinstance(line, WindowLine) and line.entry.block == 5)
    )
    text = shown(report, 400)
    assert "2 of 5 blocks were disturbed (1 x throttled, 1 x steal 7 %): 1 repeated, 1 not" in text


@pytest.mark.parametrize("report", ["quick"], indirect=True)
def test_unstable_cells_are_named_once_with_what_to_do(report: Report) -> None:
    advice = "windows scatter by {} %; close other programs"

    def unstable(cell: Cell, percent: int) -> Cell:
        assert cell.summary is not None
        summary = cell.summary.model_copy(update={"unstable": advice.format(percent)})
        return cell.model_copy(update={"summary": summary})

    first, second, *others = report.cells
    text = shown(
        report.model_copy(update={"cells": (unstable(first, 12), unstable(second, 31), *others)}), 400
    )
    names = f"{first.model} {first.backend} b1, {second.model} {second.backend} b1"
    assert f"Unstable: {names}: {advice.format('12 to 31')}" in text


@pytest.mark.parametrize(("workers", "said"), [(1, "one process"), (2, "2 processes")])
@pytest.mark.parametrize("report", ["quick"], indirect=True)
def test_too_few_workers_are_no_claim(report: Report, workers: int, said: str) -> None:
    comparisons = tuple(
        entry.model_copy(update={"verdict": "too few workers", "worker_count": workers})
        for entry in report.comparisons
    )
    text = shown(report.model_copy(update={"comparisons": comparisons}), 400, details=True)
    rows = [line for line in text.splitlines() if f"within what {said} each may explain" in line]
    footnotes = [line for line in rows if line.strip().startswith("[")]
    assert len(footnotes) == len(report.models)
    assert len(rows) - len(footnotes) == len(comparisons)


@pytest.mark.parametrize("report", ["eventful"], indirect=True)
def test_net_energy_shows_its_doubt(report: Report) -> None:
    text = shown(report, 400, details=True)
    nets = [
        cell.summary.energy.net_per_image_j for cell in report.cells if cell.summary and cell.summary.energy
    ]
    assert len([line for line in text.splitlines() if line.endswith("] ?")]) == len(nets) == 6
    assert "at rest before the run, 30 s: CPU package 20.0 W, DRAM 2.50 W, GPU 70.0 W, cores 1 % busy" in text


def test_meters_and_gpus_show_what_they_read() -> None:
    header, *rest = make_journal(backends=("cpu", "cuda"), energy="measured", blocks=1)
    assert isinstance(header, HeaderLine)
    ticking = header.meters[0].model_copy(update={"tick_s": 0.001, "tick_j": 6.1e-5})
    gpu = GpuState(GPU.uuid, 61.0, 1.98e9, 700.0, ())
    state = MachineState(55.0, 2.7e9, "performance", (gpu,))
    lines = [
        line.model_copy(
            update={
                "entry": line.entry.model_copy(
                    update={
                        "conditions": _conditions(state),
                        "poller_cpu_s": 0.004 * line.entry.wall_s,
                    }
                )
            }
        )
        if isinstance(line, WindowLine)
        else line
        for line in rest
    ]
    text = shown(assemble((header.model_copy(update={"meters": (ticking,)}), *lines)), 400, details=True)
    assert (
        "meter of CPU package: measured through pyRAPL of package-0, ticks of 61.0 uJ every 1.00 ms" in text
    )
    assert "reading the meters took 0.4 % of a core's time during windows" in text
    [row] = [line.split() for line in text.splitlines() if "25 %" in line and line.startswith("cpu  ")][:1]
    assert row[-10:] == ["25", "%", "50", "%", "0", "7", "55.0", "2.70", "61.0", "1.98"]


def _conditions(state: MachineState) -> Conditions:
    """A second of which half a core's time was others' and half of the time was waited, with 7 faults."""
    return Conditions(state, state, 1.0, 2, 0.5, None, 0.5, None, 4, 0, 0, 7, 0)


def test_percentiles_of_thirty_windows_show_their_limits() -> None:
    report = assemble(make_journal(blocks=30, inferences=30))
    summary = report.cells[0].summary
    assert summary
    limits = summary.latency_p50_limits_s
    assert limits
    assert summary.latency_p50_s
    milli = numbers.scale_for("s", (0.08,))
    assert limits.low <= summary.latency_p50_s <= limits.high
    said = numbers.interval(summary.latency_p50_s, limits.low, limits.high, milli)
    assert f" {said} " in shown(report, 400, details=True)
