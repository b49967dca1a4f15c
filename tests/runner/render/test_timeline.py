import csv
import io
import json

import pytest
from pytest_regressions.file_regression import FileRegressionFixture

from runner.modelfile import STUDY_MODELS
from runner.render import FORMATS
from runner.render.timeline import write_timeline
from runner.report.assemble import assemble
from runner.report.schema import Report
from runner.report.timeline import Timeline, timeline_of
from tests.fakes import YEARS, Outcome, cell_key, make_journal
from tests.runner.render.conftest import HOSTILE_MODEL

OVERLOADED: Outcome = "overloaded", "2 images/s is above its capacity of 1.1"


def energy() -> Report:
    return assemble(make_journal(STUDY_MODELS, ("cpu", "cuda"), (1, 4), pace_hz=2, energy="measured"))


def occupancy() -> Report:
    return assemble(make_journal(STUDY_MODELS, ("cpu",), (1, 4)))


def gaps() -> Report:
    """CPU time at a pace of a spinning backend in a run that was killed, with models of every kind left out."""
    slow = {cell_key("vit_b_16", "cpu", 1, 2): OVERLOADED}
    models = (*STUDY_MODELS, HOSTILE_MODEL)
    report = assemble(make_journal(models, ("cpu",), (1,), pace_hz=2, outcomes=slow, ending=None))
    pretrained = report.models[1].model_copy(update={"weights_kind": "pretrained"})
    spinning = report.backends[0].model_copy(update={"options": {"spin": "on"}})
    return report.model_copy(
        update={
            "models": (report.models[0], pretrained, *report.models[2:]),
            "backends": (spinning,),
        }
    )


def two() -> Report:
    return assemble(make_journal(STUDY_MODELS[:2], ("cpu",), (1,), pace_hz=2))


def one_year() -> Report:
    report = assemble(make_journal(STUDY_MODELS[:3], ("cpu",), (1,), pace_hz=2))
    models = tuple(model.model_copy(update={"year": 2018}) for model in report.models)
    return report.model_copy(update={"models": models})


REPORTS = {make.__name__: make for make in (energy, occupancy, gaps, two, one_year)}


@pytest.fixture
def timeline(request: pytest.FixtureRequest) -> Timeline:
    """The timeline of the report that a test is parametrised with."""
    return timeline_of(REPORTS[request.param]())


def shown(timeline: Timeline, format_name: str = "table", width: int = 100, *, details: bool = False) -> str:
    stream = io.StringIO()
    write_timeline(timeline, format_name, stream, details=details, width=width)
    return stream.getvalue()


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("timeline", REPORTS, indirect=True)
def test_tables(timeline: Timeline, width: int, file_regression: FileRegressionFixture) -> None:
    file_regression.check(shown(timeline, width=width), extension=".txt", encoding="utf-8")


@pytest.mark.parametrize("timeline", ["energy"], indirect=True)
def test_details(timeline: Timeline, file_regression: FileRegressionFixture) -> None:
    file_regression.check(shown(timeline, details=True), extension=".txt", encoding="utf-8")


@pytest.mark.parametrize("timeline", ["gaps"], indirect=True)
def test_markdown(timeline: Timeline, file_regression: FileRegressionFixture) -> None:
    file_regression.check(shown(timeline, "md"), extension=".md", encoding="utf-8")


@pytest.mark.parametrize("width", [60, 80, 100, 120])
@pytest.mark.parametrize("timeline", REPORTS, indirect=True)
def test_no_line_is_wider_than_the_terminal(timeline: Timeline, width: int) -> None:
    assert max(map(len, shown(timeline, width=width, details=True).splitlines())) <= width


@pytest.mark.parametrize("timeline", REPORTS, indirect=True)
def test_at_80_columns_every_column_is_there(timeline: Timeline) -> None:
    assert "not shown at this width" not in shown(timeline, width=80)


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("timeline", ["gaps"], indirect=True)
def test_every_format_holds_every_model_and_no_escape(timeline: Timeline, format_name: str) -> None:
    text = shown(timeline, format_name)
    for model in YEARS:
        assert model in text
    assert timeline.report_id in text
    if format_name != "csv":  # a file for programs holds names as they are
        assert "\x1b" not in text


@pytest.mark.parametrize("timeline", REPORTS, indirect=True)
def test_csv_and_json_have_the_same_row_per_model_in_full_precision(timeline: Timeline) -> None:
    rows = list(csv.DictReader(io.StringIO(shown(timeline, "csv"))))
    data = json.loads(shown(timeline, "json"))
    assert [row["model"] for row in rows] == [row["model"] for row in data["models"]]
    for row, other in zip(rows, data["models"], strict=True):
        for name, value in other.items():
            assert row[name] == ("" if value is None else str(value)), name
    energy = timeline.basis.metric == "energy_per_image"
    own, other = "energy_per_image_j", "cpu_s_per_image"
    if not energy:
        own, other = other, own
    for row, point in zip(data["models"], timeline.points, strict=False):
        cost = point.network.cost_per_image
        assert (row[own], row[f"low_{own}"], row[f"high_{own}"]) == (cost.mean, cost.low, cost.high)
        assert row[other] is None
        assert row["images_per_j" if energy else "images_per_cpu_s"] == 1 / cost.mean
        assert row["images_per_cpu_s" if energy else "images_per_j"] is None
        assert row["on_front"] == point.on_front
    left_out = [(row["model"], row["left_out"]) for row in data["models"] if row["left_out"]]
    assert left_out == [(left.model, left.reason) for left in timeline.left_out]
    assert data["cpu_occupancy"] == timeline.basis.occupancy
    assert {row["batch_size"] for row in rows} == {str(data["batch_size"])}
    assert [finding["verdict"] for finding in data["findings"]] == [
        finding.verdict for finding in timeline.findings
    ]
    growth = timeline.growth
    assert (data["growth"] is None) == (growth is None)
    if growth:
        assert data["growth"]["cost_per_year_ratio"]["mean"] == growth.cost_per_year_ratio.mean


@pytest.mark.parametrize("timeline", ["gaps"], indirect=True)
def test_what_is_left_out_is_told_with_its_reason(timeline: Timeline) -> None:
    text = one_line(shown(timeline))
    assert f"vit_b_16 is left out: {': '.join(OVERLOADED)}" in text
    assert f"{HOSTILE_MODEL} is left out: no published year".replace("\x1b", "?") in text
    assert "acc@1 of alexnet, shufflenet_v2_x0_5, convnext_base is an architecture reference" in text
    assert "Of the study's networks these are not here: vit_b_16" in text
    assert "The threads of cpu spin after each inference" in text
    assert "This run is interrupted" in text


@pytest.mark.parametrize("timeline", ["occupancy"], indirect=True)
def test_occupancy_is_in_brackets_and_says_what_would_be_a_cost(timeline: Timeline) -> None:
    text = shown(timeline)
    rows = [line.split() for line in text.splitlines() if line.startswith(tuple(YEARS))]
    assert len(rows) == 5
    assert all(cell.startswith("(") and cell.endswith(")") for row in rows for cell in row[4:6])
    assert "occupancy, threads x latency, which is no cost (--pace 2 measures one)" in one_line(text)
    assert "front" not in text
    assert one_line(text).count("cannot be checked:") == 2


@pytest.mark.parametrize("timeline", ["energy"], indirect=True)
def test_joules_name_what_they_count(timeline: Timeline) -> None:
    text = one_line(shown(timeline))
    assert "energy per image, measured, idle power included: CPU package + DRAM + GPU" in text
