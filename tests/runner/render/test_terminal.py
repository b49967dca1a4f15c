import io

import pytest
from pytest_regressions.file_regression import FileRegressionFixture

from runner.render import render
from runner.report.schema import Report
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
