"""What goes to MLflow, within what MLflow's own checks accept."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.convert.interface import Request
from runner.convert.mlflow_contents import name_part, params, points, tags
from runner.report.archive import load
from runner.report.lines import Line
from tests.fakes import make_journal
from tests.processes import ROOT
from tests.queues import with_queue

Requested = Callable[[Sequence[Line]], Request]
REFERENCE = sorted((ROOT / "reports" / "reference").glob("20*"))


@pytest.fixture(scope="module")
def validation() -> Any:
    """Return MLflow's own checks."""
    from mlflow.utils import validation  # noqa: PLC0415 - a second that only these tests pay

    return validation


@given(st.lists(st.text(), min_size=2, max_size=2, unique=True))
def test_no_two_texts_become_one(texts: list[str]) -> None:
    first, second = map(name_part, texts)
    assert first != second


@given(st.text(min_size=1))
def test_a_part_is_read_back(text: str) -> None:
    coded = name_part(text)
    parts = coded.split(".")
    read = parts[0].encode() + b"".join(bytes.fromhex(part[:2]) + part[2:].encode() for part in parts[1:])
    assert read == text.encode()


@given(st.text(min_size=1))
def test_mlflow_takes_every_part(validation: Any, text: str) -> None:
    validation._validate_metric_name(f"latency_s/{name_part(text)}/x")


@pytest.mark.parametrize("folder", REFERENCE, ids=lambda folder: folder.name)
def test_mlflow_takes_all_of_every_real_report(validation: Any, folder: Any) -> None:
    report = load(folder)
    for point in points(report):
        validation._validate_metric_name(point.metric)
        assert math.isfinite(point.value)
    for key, value in params(report).items():
        validation._validate_param(key, value)
        assert 0 < len(value) <= 500
    for key, value in tags(report).items():
        validation._validate_tag_name(key)
        assert len(value) <= 5000


@pytest.mark.parametrize("folder", REFERENCE, ids=lambda folder: folder.name)
def test_every_point_is_one_place_of_one_curve(folder: Any) -> None:
    found = list(points(load(folder)))
    assert found
    assert len({(point.metric, point.step) for point in found}) == len(found)


def test_back_to_back_loads_make_a_curve_over_batch_sizes(requested: Requested) -> None:
    report = requested(make_journal(batch_sizes=(1, 4, 16), pace_hz=2, energy="measured")).report
    by_key = {cell.key: cell for cell in report.cells}
    reads: dict[str, Callable[[Any], float]] = {
        "latency_s": lambda summary: summary.latency_s.mean,
        "energy_per_image_j": lambda summary: summary.energy.per_image_j.mean,
    }
    for figure, read in reads.items():
        curve = [point for point in points(report) if point.metric == f"{figure}/alexnet/fp32/cpu"]
        assert [point.step for point in curve] == [1, 4, 16]
        assert [point.value for point in curve] == [read(by_key[point.cell].summary) for point in curve]
    (paced,) = (point for point in points(report) if point.metric == "latency_s/alexnet/fp32/cpu/b4.402")
    assert (paced.step, paced.cell) == (0, "alexnet/fp32/cpu/b4@2/host")


def test_io_of_a_gpu_is_two_curves(requested: Requested) -> None:
    report = requested(make_journal(backends=("cpu", "cuda"))).report
    names = {point.metric for point in points(report)}
    assert {"latency_s/alexnet/fp32/cuda", "latency_s/alexnet/fp32/cuda/device"} <= names


@pytest.mark.parametrize(
    ("energy", "expected"),
    [
        ("measured", {"energy_per_image_j"}),
        ("estimated", {"estimated_energy_per_image_j"}),
        ("unavailable", set()),
    ],
)
def test_energy_is_logged_as_what_it_is(requested: Requested, energy: Any, expected: set[str]) -> None:
    found = {
        point.metric.partition("/")[0] for point in points(requested(make_journal(energy=energy)).report)
    }
    assert {
        name for name in found if name.endswith("energy_per_image_j") and name[:4] not in {"low_", "high"}
    } == (expected)


def test_occupancy_is_not_logged_as_a_cost(requested: Requested) -> None:
    report = requested(make_journal(pace_hz=2)).report
    costs = {point.cell for point in points(report) if point.metric.startswith("cpu_s_per_image/")}
    assert costs == {cell.key for cell in report.cells if cell.load.pace_hz is not None}


def test_what_was_not_measured_has_no_point(requested: Requested) -> None:
    gone = "alexnet/fp32/cpu/b4/host"
    report = requested(make_journal(outcomes={gone: ("failed", "no memory")})).report
    assert gone not in {point.cell for point in points(report)}
    assert all(point.value for point in points(report))


def test_ratios_are_those_of_the_report(requested: Requested) -> None:
    report = requested(make_journal()).report
    found = {point.cell: point.value for point in points(report) if point.metric.startswith("latency_ratio/")}
    assert found == {entry.cell: entry.ratio for entry in report.comparisons if entry.metric == "latency"}
    assert found


def test_a_queue_is_logged_beside_what_calibrated_it(requested: Requested) -> None:
    report = requested(with_queue(make_journal(), energy=True)).report
    assert report.queue
    found = {
        point.cell: point.value
        for point in points(report)
        if point.metric.startswith("response_mean_s/queue/")
    }
    assert found == {
        cell.key: cell.summary.response.mean_s.mean for cell in report.queue.cells if cell.summary
    }


def test_names_beyond_mlflow_s_length_are_cut_and_stay_apart(requested: Requested) -> None:
    models = [f"{'long=' * 60}{end}" for end in "ab"]
    report = requested(make_journal(models=models)).report
    found = list(points(report))
    assert max(len(point.metric) for point in found) == 250
    assert len({(point.metric, point.step) for point in found}) == len(found)


def test_long_values_are_cut_and_marked(requested: Requested) -> None:
    report = requested(make_journal(models=[f"model{place}" for place in range(20)])).report
    provenance = report.provenance.model_copy(update={"argv": ("joulebatch", "x" * 900)})
    found = params(report.model_copy(update={"provenance": provenance}))
    assert len(found["command"]) == 500
    assert found["command"].endswith("...")
    note = tags(report)["mlflow.note.content"]
    assert len(note) <= 5000
    assert note.startswith("# joulebatch report")
    assert "## Summary" in note


def test_the_note_of_a_short_report_is_all_of_it(requested: Requested) -> None:
    note = tags(requested(make_journal()).report)["mlflow.note.content"]
    assert "| torch | b4 |" in note
