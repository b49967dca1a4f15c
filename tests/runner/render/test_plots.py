"""What ``reports show --plot`` draws, held by golden files; and the laws of every plot."""

import io
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_regressions.file_regression import FileRegressionFixture

from runner.render.plots import plot_document, write_plots
from runner.render.text_axes import Limited, is_drawable, value_axis
from runner.render.text_plot import ASCII, UNICODE, Characters, Plot, Point, draw, mark_of
from runner.report.assemble import assemble
from runner.report.schema import Report
from tests.fakes import make_journal
from tests.queues import with_queue
from tests.runner.render.conftest import HOSTILE_BACKEND, RUNS

WIDTHS = (40, 80, 120)


def shown(report: Report, width: int | None = 80, encoding: str = "utf-8", *, details: bool = False) -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    write_plots(report, stream, details=details, width=width)
    stream.seek(0)
    return stream.read()


@pytest.fixture
def queue() -> Report:
    lines = with_queue(
        make_journal(backends=("cpu", "cpu:spin=off"), batch_sizes=(1, 4)),
        ("fixed:2", "greedy:8", "greedy:1"),
        (20.0, 50.0, 200.0),
        requests=60,
        outcomes={"greedy:1": ("overloaded", "90 requests/s, capacity 41/s")},
    )
    return assemble(lines)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("report", ["gpu", "trouble"], indirect=True)
def test_plots(report: Report, width: int, file_regression: FileRegressionFixture) -> None:
    file_regression.check(shown(report, width), extension=".txt", encoding="utf-8")


@pytest.mark.parametrize("report", ["quick", "killed", "doubts", "variants"], indirect=True)
def test_plots_in_ascii(report: Report, file_regression: FileRegressionFixture) -> None:
    text = shown(report, encoding="ascii")
    assert text.isascii()
    file_regression.check(text, extension=".txt", encoding="ascii")


def test_plots_of_a_queue(queue: Report, file_regression: FileRegressionFixture) -> None:
    file_regression.check(shown(queue), extension=".txt", encoding="utf-8")
    assert "batch size, log axis" not in shown(queue)
    assert "batch size, log axis" in shown(queue, details=True)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("report", RUNS, indirect=True)
def test_no_line_is_wider_than_the_terminal(report: Report, width: int) -> None:
    assert max(map(len, shown(report, width, details=True).splitlines())) <= width


@pytest.mark.parametrize("report", ["quick"], indirect=True)
def test_a_pipe_is_80_wide_unless_columns_says_otherwise(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert shown(report, None) == shown(report, 80)
    monkeypatch.setenv("COLUMNS", "120")
    assert shown(report, None) == shown(report, 120)


@pytest.mark.parametrize("report", ["quick"], indirect=True)
def test_a_dumb_terminal_gets_ascii(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not shown(report).isascii()
    monkeypatch.setenv("TERM", "dumb")
    assert shown(report).isascii()


@pytest.mark.parametrize("report", ["trouble"], indirect=True)
def test_no_cell_without_figures_is_passed_over(report: Report) -> None:
    text = " ".join(shown(report, 400, details=True).split())
    for cell in report.cells:
        if cell.status != "measured":
            line = re.search(rf"{cell.status}: [^\n]*{cell.contender} b{cell.load.batch_size}", text)
            assert line, cell.key
            assert cell.reason in text


@pytest.mark.parametrize("report", ["hostile"], indirect=True)
def test_the_terminal_obeys_no_name(report: Report) -> None:
    text = shown(report)
    assert "\x1b" not in text
    assert HOSTILE_BACKEND in text


@pytest.mark.parametrize("report", RUNS, indirect=True)
def test_every_cell_with_figures_is_a_point_and_the_others_are_named(report: Report) -> None:
    sections = plot_document(report, details=True)
    latencies = [plot for section in sections for plot in section.plots if plot.title.startswith("latency")]
    known = [cell for cell in report.cells if cell.summary]
    assert sum(len(plot.points) for plot in latencies) == len(known)
    costs = [plot for section in sections for plot in section.plots if not plot.title.startswith("latency")]
    by_energy = sum(len(plot.points) for plot in costs if plot.title.startswith("energy"))
    assert by_energy == sum(cell.summary.energy is not None for cell in known if cell.summary)
    assert sum(len(plot.points) for plot in costs) >= len(known)
    notes = "\n".join(note for section in sections for note in section.notes)
    for cell in report.cells:
        assert cell.summary or f"{cell.contender} b{cell.load.batch_size}" in notes


PLACES = st.sampled_from([1.0, 2.0, 3.0, 4.0, 16.0, 1024.0])
VALUES = st.floats() | st.floats(1e-9, 1e9) | st.floats(1.0, 1.1)


@st.composite
def plots(draw_from: st.DrawFn) -> Plot:
    names = draw_from(st.integers(1, 70))
    limit = st.none() | VALUES
    figures = st.builds(Limited, VALUES, limit, limit)
    keys = draw_from(st.lists(st.tuples(st.integers(0, names - 1), PLACES), unique=True, max_size=30))
    points = tuple(Point(series, place, draw_from(figures)) for series, place in keys)
    texts = {place: f"{place:g}" for place in {place for _, place in keys} | {1.0}}
    is_log = draw_from(st.booleans())
    return Plot("t", "batch size", tuple(f"backend {n}" for n in range(names)), points, texts, is_log)


@given(plots(), st.integers(1, 200), st.sampled_from([ASCII, UNICODE]))
def test_every_point_is_drawn_or_said_to_be_hidden(plot: Plot, width: int, characters: Characters) -> None:
    drawing = draw(plot, width, characters)
    assert all(len(line) <= width for line in drawing.lines)
    told = {remark.partition(": ")[0]: remark.partition(": ")[2] for remark in drawing.remarks}
    if not drawing.lines:
        narrow = any("columns, there are" in remark for remark in drawing.remarks)
        assert narrow or not any(is_drawable(point.figure.value) for point in plot.points)
        return
    margin = drawing.lines[-3].index(characters.corner) + 1
    body = "".join(line[margin:] for line in drawing.lines[:-3])
    strange = [part.rpartition(": ")[0] for part in told.get("not drawable", "").split(", ")]
    hidden = [part.partition(" beneath ")[0] for part in told.get("hidden", "").split("; ")]
    drawn: Counter[str] = Counter()
    for point in plot.points:
        mark = mark_of(point.series)
        name = f"{plot.series[point.series] if mark == '#' else mark} at {point.place:g}"
        if name in strange:
            assert not is_drawable(point.figure.value)
        elif name not in hidden:
            drawn[mark] += 1
    assert all(body.count(mark) == drawn[mark] for mark in {mark_of(each.series) for each in plot.points})


@given(st.lists(st.floats(-1e300, 1e300), min_size=1), st.integers(10, 18))
def test_the_values_lie_on_their_axis_between_round_ticks(values: list[float], rows: int) -> None:
    axis = value_axis(map(Limited, values), rows)
    assert all(-1e-6 <= axis.share(value) <= 1 + 1e-6 for value in values)
    assert len(axis.ticks) >= 2
    assert all(f"{abs(tick):e}".rstrip("0123456789")[-1:] in "-+" for tick in axis.ticks)
    assert axis.is_log == (min(values) > 1e-300 and max(values) >= 8 * min(values))


def test_limits_that_lie_far_out_are_cut_and_say_so() -> None:
    points = (Point(0, 1.0, Limited(1.0, -5.0, 1e6)), Point(0, 4.0, Limited(50.0, 49.0, 51.0)))
    lines = draw(Plot("t", "b", ("cpu",), points, {1.0: "1", 4.0: "4"}), 60, ASCII).lines
    assert "^" in lines[0]
    assert "v" in lines[-4]
