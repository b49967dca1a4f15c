"""What people see of a queue, held by golden files; and its rows for programs."""

import csv
from io import StringIO

import pytest
from pytest_regressions.file_regression import FileRegressionFixture

from runner.render import render
from runner.report.assemble import assemble
from runner.report.schema import Interval, QueuePrediction, Report
from tests.fakes import make_journal
from tests.queues import IDLE_W, with_queue

POLICIES = ("fixed:2", "fixed:8", "greedy:8")


@pytest.fixture(scope="module")
def plain() -> Report:
    """A queue without a meter; one policy is overloaded, and there are rank tests."""
    lines = with_queue(
        make_journal(backends=("cpu", "cpu:spin=off"), batch_sizes=(1,)),
        (*POLICIES, "greedy:1"),
        (50.0, 90.0),
        blocks=7,
        outcomes={"greedy:1": ("overloaded", "90 requests/s, capacity 41/s")},
    )
    return assemble(lines)


@pytest.fixture(scope="module")
def metered() -> Report:
    """A queue with joules on one backend, whose loop was late at one rate."""
    lines = make_journal(backends=("cpu",), batch_sizes=(1,), energy="measured", idle_w=(IDLE_W, IDLE_W))
    return assemble(with_queue(lines, POLICIES, energy=True, late_s=0.0015, rates_hz=(20.0, 80.0)))


def shown(report: Report, format_name: str, width: int = 120, *, details: bool = False) -> str:
    stream = StringIO()
    render(report, format_name, stream, details=details, width=width)
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_a_queue_in_a_terminal(plain: Report, width: int, file_regression: FileRegressionFixture) -> None:
    text = shown(plain, "table", width)
    assert max(map(len, text.splitlines())) <= width
    file_regression.check(text)


def test_a_queue_with_joules(metered: Report, file_regression: FileRegressionFixture) -> None:
    file_regression.check(shown(metered, "table", 140))


@pytest.mark.parametrize("is_stable", [True, False])
def test_the_twin_stands_in_for_what_was_not_replayed_where_the_queue_does_not_grow(
    plain: Report, *, is_stable: bool
) -> None:
    some = Interval(mean=0.2, low=0.1, high=0.3)
    told = QueuePrediction(
        stable=is_stable,
        response_mean_s=some,
        response_p95_s=some,
        service_mean_s=some,
        batch_mean=2.0,
        utilisation_ratio=0.5,
        cost_per_image=some,
        cost_metric="cpu_s_per_image",
        interpolation_ratio=0.0,
    )
    assert plain.queue
    cells = tuple(
        cell if cell.summary else cell.model_copy(update={"prediction": told}) for cell in plain.queue.cells
    )
    report = plain.model_copy(update={"queue": plain.queue.model_copy(update={"cells": cells})})
    rows = [line for line in shown(report, "table").splitlines() if "greedy:1 " in line]
    assert rows
    assert all(("~" in row) is is_stable for row in rows)


def test_details_tell_which_batches_were_formed(plain: Report) -> None:
    text = shown(plain, "table", 160, details=True)
    assert "batches formed" in text
    assert "queue over time" in text
    assert "batches formed" not in shown(plain, "table", 160)


def test_calibrating_windows_are_for_those_who_ask(plain: Report) -> None:
    row = "cpu           b1 "
    assert row not in shown(plain, "table")
    assert row in shown(plain, "table", details=True)


def test_markdown_holds_everything(plain: Report) -> None:
    text = shown(plain, "md")
    for part in ("queue, poisson arrivals", "What holds", "fixed:8"):
        assert part in text


def test_programs_get_a_row_per_cell_in_full_precision(plain: Report, metered: Report) -> None:
    rows = list(csv.DictReader(StringIO(shown(plain, "csv"))))
    assert plain.queue
    assert len(rows) == len(plain.queue.cells)
    for row, cell in zip(rows, plain.queue.cells, strict=True):
        assert (row["policy"], row["backend"], row["status"]) == (cell.load.policy, cell.backend, cell.status)
        assert row["response_mean_s"] == (str(cell.summary.response.mean_s.mean) if cell.summary else "")
        assert row["energy_per_image_j"] == ""
    (row, *_) = csv.DictReader(StringIO(shown(metered, "csv")))
    parts = float(row["active_energy_per_image_j"]) + float(row["idle_energy_per_image_j"])
    assert float(row["energy_per_image_j"]) == pytest.approx(parts)
