from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from runner.errors import AbsentError, UsageError
from runner.modelfile import STUDY_MODELS
from runner.report.archive import load
from runner.report.assemble import assemble
from runner.report.schema import Cell, Interval, ModelEntry, Report
from runner.report.timeline import OUTSTANDING, Timeline, timeline_of
from tests.fakes import ACCURACIES, YEARS, Outcome, cell_key, make_journal
from tests.processes import ROOT

REFERENCE = ROOT / "reports" / "reference" / "2026-11-24T02-49-53-b9yx"


def with_models(report: Report, change: Callable[[ModelEntry], Mapping[str, object]]) -> Report:
    models = tuple(model.model_copy(update=dict(change(model))) for model in report.models)
    return report.model_copy(update={"models": models})


def with_cells(report: Report, change: Callable[[Cell], Mapping[str, object]]) -> Report:
    """Return the report with what changes in the summaries of its cells."""
    cells = []
    for cell in report.cells:
        assert cell.summary is not None
        summary = cell.summary.model_copy(update=dict(change(cell)))
        cells.append(cell.model_copy(update={"summary": summary}))
    return report.model_copy(update={"cells": tuple(cells)})


def paced(costs_s: Mapping[str, float], years: Mapping[str, int] = YEARS) -> Report:
    """Return a report in which an image costs this much CPU time, by model, at a pace."""
    report = assemble(make_journal(tuple(costs_s), ("cpu",), (1,), pace_hz=2))
    report = with_models(report, lambda model: {"year": years[model.name]})

    def cost(cell: Cell) -> Mapping[str, object]:
        mean_s = costs_s[cell.model]
        return {"cpu_s_per_image": Interval(mean=mean_s, low=0.9 * mean_s, high=1.1 * mean_s)}

    return with_cells(report, cost)


def verdicts(timeline: Timeline) -> list[str]:
    return [finding.verdict for finding in timeline.findings]


def cells(timeline: Timeline) -> list[str]:
    return [point.network.cell for point in timeline.points]


def test_a_real_report_of_the_five_networks() -> None:
    report = load(REFERENCE)
    timeline = timeline_of(report)
    assert [(point.network.model, point.network.year) for point in timeline.points] == list(YEARS.items())
    assert cells(timeline) == [cell_key(model, "cpu", 1, 2) for model in YEARS]
    assert [point.network.accuracy_ratio for point in timeline.points] == pytest.approx(
        list(ACCURACIES.values())
    )
    assert (timeline.basis.metric, timeline.basis.load.pace_hz) == ("cpu_s_per_image", 2)
    assert not timeline.basis.occupancy
    assert (timeline.left_out, timeline.missing_of_study) == ((), ())
    archived = {cell.key: cell.summary for cell in report.cells}
    for point in timeline.points:
        summary = archived[point.network.cell]
        assert summary is not None
        assert point.network.cost_per_image.mean == summary.cpu_s_per_image.mean
        assert point.images_per_cost.mean == 1 / summary.cpu_s_per_image.mean
        assert point.images_per_cost.low == pytest.approx(1 / (summary.cpu_s_per_image.high or 0))
        assert not point.network.measured_weights


def test_growth_and_trend_are_those_of_numpy_s_fit() -> None:
    timeline = timeline_of(load(REFERENCE))
    growth = timeline.growth
    assert growth is not None
    years = list(YEARS.values())
    costs = [point.network.cost_per_image.mean for point in timeline.points]
    accuracies = [point.network.accuracy_ratio for point in timeline.points]
    slope, start = np.polyfit(years, np.log(costs), 1)
    rise, level = np.polyfit(years, accuracies, 1)
    relative = np.polyfit(years, np.log(accuracies), 1)[0]
    assert (growth.model_count, growth.first_year, growth.last_year) == (5, 2012, 2022)
    assert growth.cost_per_year_ratio.mean == pytest.approx(np.exp(slope))
    assert growth.cost_span_ratio == pytest.approx(np.exp(10 * slope))
    assert growth.accuracy_per_year_ratio.mean == pytest.approx(rise)
    assert growth.accuracy_span_ratio == pytest.approx(np.exp(10 * relative))
    assert growth.cost_per_accuracy_per_year_ratio.mean == pytest.approx(np.exp(slope - relative))
    assert growth.cost_per_accuracy_span_ratio == pytest.approx(np.exp(10 * (slope - relative)))
    for point, year, cost, accuracy in zip(timeline.points, years, costs, accuracies, strict=True):
        assert point.cost_to_trend_ratio == pytest.approx(cost / np.exp(start + slope * year))
        assert point.accuracy_off_trend_ratio == pytest.approx(accuracy - level - rise * year, abs=1e-9)


def test_another_backend_is_shown_by_its_label() -> None:
    timeline = timeline_of(load(REFERENCE), "torch")
    assert (timeline.backend, timeline.spinning) == ("torch", False)
    assert cells(timeline) == [cell_key(model, "torch", 1, 2) for model in YEARS]
    assert timeline_of(load(REFERENCE)).spinning


def test_an_unknown_backend_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="Did you mean torch"):
        timeline_of(load(REFERENCE), "torhc")


def test_measured_energy_of_all_goes_first_at_the_load_that_costs_least() -> None:
    report = assemble(make_journal(STUDY_MODELS, ("cpu", "cuda"), (1, 4), pace_hz=2, energy="measured"))
    timeline = timeline_of(report)
    # Of the simulated loads, back to back at batch 4 leaves the idle machine the least time per image.
    assert cells(timeline) == [cell_key(model, "cpu", 4) for model in YEARS]
    assert timeline.basis.metric == "energy_per_image"
    assert timeline.basis.domains == ("cpu_package", "dram", "gpu")
    summaries = {cell.key: cell.summary for cell in report.cells}
    for point in timeline.points:
        summary = summaries[point.network.cell]
        assert summary is not None
        assert summary.energy is not None
        assert point.network.cost_per_image.mean == summary.energy.per_image_j.mean
    assert cells(timeline_of(report, "cuda")) == [cell_key(model, "cuda", 4) for model in YEARS]


def test_cpu_time_of_all_goes_before_energy_of_some() -> None:
    report = assemble(make_journal(STUDY_MODELS, ("cpu",), (1,), pace_hz=2, energy="measured"))
    report = with_cells(report, lambda cell: {"energy": None} if cell.model == "alexnet" else {})
    timeline = timeline_of(report)
    assert timeline.basis.metric == "cpu_s_per_image"
    assert cells(timeline) == [cell_key(model, "cpu", 1, 2) for model in YEARS]


def test_energy_of_some_leaves_the_others_out_where_cpu_time_is_no_cost() -> None:
    report = assemble(make_journal(STUDY_MODELS, ("cpu",), (1,), energy="measured"))
    report = with_cells(report, lambda cell: {"energy": None} if cell.model == "alexnet" else {})
    timeline = timeline_of(report)
    assert timeline.basis.metric == "energy_per_image"
    assert [(left.model, left.reason) for left in timeline.left_out] == [
        ("alexnet", "no measured energy of the same domains")
    ]


def test_an_estimate_of_energy_is_never_a_cost() -> None:
    report = assemble(make_journal(STUDY_MODELS, ("cpu",), (1,), pace_hz=2, energy="estimated"))
    assert all(cell.summary and cell.summary.energy for cell in report.cells)
    assert timeline_of(report).basis.metric == "cpu_s_per_image"


def test_back_to_back_cpu_time_is_occupancy_and_ranks_nothing() -> None:
    timeline = timeline_of(assemble(make_journal(STUDY_MODELS, ("cpu",), (1, 4))))
    assert timeline.basis.occupancy
    assert {point.on_front for point in timeline.points} == {None}
    assert {point.cost_to_trend_ratio for point in timeline.points} == {None}
    assert timeline.growth is not None
    assert verdicts(timeline) == ["cannot be checked"] * 2
    assert all("--pace" in finding.missing for finding in timeline.findings)


def test_a_cost_of_few_goes_before_occupancy_of_all() -> None:
    slow: Outcome = "overloaded", "2 images/s is above its capacity of 1.1"
    outcomes = {cell_key(model, "cpu", 1, 2): slow for model in ("densenet121", "vit_b_16", "convnext_base")}
    report = assemble(make_journal(STUDY_MODELS, ("cpu",), (1,), pace_hz=2, outcomes=outcomes))
    timeline = timeline_of(report)
    assert not timeline.basis.occupancy
    assert [point.network.model for point in timeline.points] == ["alexnet", OUTSTANDING]
    assert {left.reason for left in timeline.left_out} == {": ".join(slow)}
    assert timeline.missing_of_study == ("densenet121", "vit_b_16", "convnext_base")


def test_the_load_is_one_that_the_most_models_have() -> None:
    lost: dict[str, Outcome] = {cell_key("vit_b_16", "cpu", 4, 2): ("failed", "worker killed by signal 9")}
    report = assemble(make_journal(STUDY_MODELS, ("cpu",), (1, 4), pace_hz=2, outcomes=lost))
    timeline = timeline_of(report)
    assert (timeline.basis.load.batch_size, timeline.left_out) == (1, ())


def test_cells_that_do_not_compute_the_reference_outputs_are_no_cost() -> None:
    report = assemble(make_journal(STUDY_MODELS, ("cpu", "torch"), (1,), pace_hz=2, parity_failed=("torch",)))
    assert len(timeline_of(report).points) == 5
    with pytest.raises(AbsentError, match=r"convnext_base: failed parity\. Pass --backend cpu\."):
        timeline_of(report, "torch")


def test_one_model_that_fails_parity_is_left_out_with_the_reason() -> None:
    report = assemble(make_journal(STUDY_MODELS, ("cpu",), (1,), pace_hz=2))
    failed = assemble(make_journal(("alexnet",), ("cpu",), (1,), pace_hz=2, parity_failed=("cpu",)))
    sessions = tuple(
        failed.sessions[0] if session.model == "alexnet" else session for session in report.sessions
    )
    timeline = timeline_of(report.model_copy(update={"sessions": sessions}))
    assert [(left.model, left.year, left.reason) for left in timeline.left_out] == [
        ("alexnet", 2012, "failed parity")
    ]
    assert [point.network.model for point in timeline.points] == list(YEARS)[1:]


def test_cpu_time_is_no_cost_of_a_gpu() -> None:
    report = assemble(make_journal(STUDY_MODELS, ("cpu", "cuda"), (1,), pace_hz=2))
    with pytest.raises(AbsentError, match=r"leaves out what a GPU does\. Pass --backend cpu\.") as caught:
        timeline_of(report, "cuda")
    assert caught.value.exit_code == 3


def test_files_of_which_nothing_is_published_are_left_out() -> None:
    report = assemble(make_journal((*STUDY_MODELS, "detector"), ("cpu",), (1,), pace_hz=2))
    bare = with_models(report, lambda model: {} if model.year else {"published_accuracy": {}})
    timeline = timeline_of(bare)
    assert [(left.model, left.year, left.accuracy_ratio) for left in timeline.left_out] == [
        ("detector", None, None)
    ]
    assert timeline.left_out[0].reason == "no published year and acc@1"
    assert len(timeline.points) == 5


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (("alexnet",), "got only alexnet"),
        (("detector", "segmenter"), "got detector: no published year; segmenter: no published year"),
        (("alexnet", "detector"), "got only alexnet; detector: no published year"),
    ],
)
def test_a_timeline_takes_two_networks(models: tuple[str, ...], said: str) -> None:
    report = assemble(make_journal(models, ("cpu",), (1,), pace_hz=2))
    with pytest.raises(AbsentError) as caught:
        timeline_of(report)
    assert said in str(caught.value)
    assert "Run: joulebatch run --pace 2" in str(caught.value)
    assert caught.value.exit_code == 3


def test_only_published_weights_make_the_accuracy_that_of_the_file() -> None:
    report = with_models(
        load(REFERENCE),
        lambda model: {"weights_kind": "pretrained" if model.name == "alexnet" else "local"},
    )
    measured = [point.network.model for point in timeline_of(report).points if point.network.measured_weights]
    assert measured == ["alexnet"]


def test_the_accuracy_of_the_reference_is_not_that_of_a_variant() -> None:
    report = with_models(
        load(REFERENCE), lambda model: {"variant": "int8"} if model.name == "vit_b_16" else {}
    )
    timeline = timeline_of(report)
    assert [(left.model, left.reason) for left in timeline.left_out] == [
        ("vit_b_16", "the published accuracy is not that of int8")
    ]


def test_variants_beside_the_reference_leave_the_timeline_as_it_is() -> None:
    report = load(REFERENCE)
    halves = tuple(model.model_copy(update={"variant": "fp16"}) for model in report.models)
    beside = report.model_copy(update={"models": (*halves, *report.models)})
    assert timeline_of(beside) == timeline_of(report)


RISING = {"alexnet": 0.05, "densenet121": 0.07, OUTSTANDING: 0.03, "vit_b_16": 0.24, "convnext_base": 0.22}


@pytest.mark.parametrize(
    ("costs_s", "expected"),
    [
        (RISING, ["holds", "holds"]),
        (dict.fromkeys(YEARS, 0.05), ["does not hold", "does not hold"]),
        # A falling cost grows no faster than anything.
        ({name: 1 / cost for name, cost in RISING.items()}, ["does not hold", "does not hold"]),
        (RISING | {OUTSTANDING: 0.3}, ["holds", "does not hold"]),
    ],
)
def test_the_findings_of_the_study_are_checked(costs_s: Mapping[str, float], expected: list[str]) -> None:
    assert verdicts(timeline_of(paced(costs_s))) == expected


@pytest.mark.parametrize(
    ("costs_s", "lowest", "on_front"),
    [
        (RISING, True, True),
        (RISING | {OUTSTANDING: 0.0459, "densenet121": 0.046, "alexnet": 0.4}, False, True),
        # DenseNet, of two years before, costs a little less and is more accurate.
        (RISING | {OUTSTANDING: 0.04, "densenet121": 0.0399, "alexnet": 0.01}, True, False),
        (RISING | {OUTSTANDING: 0.3}, False, False),
    ],
)
def test_shufflenet_stands_out_where_it_is_lowest_to_the_trend_and_on_the_front(
    costs_s: Mapping[str, float], *, lowest: bool, on_front: bool
) -> None:
    timeline = timeline_of(paced(costs_s))
    by_trend = min(timeline.points, key=lambda point: point.cost_to_trend_ratio or 0)
    [own] = [point for point in timeline.points if point.network.model == OUTSTANDING]
    assert (by_trend is own, own.on_front) == (lowest, on_front)
    assert verdicts(timeline)[1] == ("holds" if lowest and on_front else "does not hold")


def test_a_cost_that_grows_as_accuracy_does_grows_no_faster() -> None:
    assert verdicts(timeline_of(paced({name: 0.1 * ratio for name, ratio in ACCURACIES.items()})))[0] == (
        "does not hold"
    )


def test_a_cost_that_falls_less_than_accuracy_does_not_grow() -> None:
    later = {name: 4034 - year for name, year in YEARS.items()}  # the oldest last: accuracy falls
    timeline = timeline_of(paced({name: 0.2 - 0.001 * (later[name] - 2012) for name in YEARS}, later))
    growth = timeline.growth
    assert growth is not None
    assert growth.accuracy_span_ratio < growth.cost_span_ratio < 1
    assert verdicts(timeline)[0] == "does not hold"


def test_other_networks_have_a_trend_and_no_shufflenet() -> None:
    timeline = timeline_of(paced({name: cost for name, cost in RISING.items() if name != OUTSTANDING}))
    assert verdicts(timeline) == ["holds", "cannot be checked"]
    assert OUTSTANDING in timeline.findings[1].missing
    assert timeline.missing_of_study == (OUTSTANDING,)


def test_two_networks_have_a_growth_without_limits_and_no_finding() -> None:
    timeline = timeline_of(paced({"alexnet": 0.05, OUTSTANDING: 0.1}))
    assert timeline.growth is not None
    assert timeline.growth.cost_per_year_ratio.mean == pytest.approx(2 ** (1 / 6))
    assert timeline.growth.cost_per_year_ratio.low is None
    assert {point.trend_accuracy_ratio for point in timeline.points} == {None}
    assert verdicts(timeline) == ["cannot be checked"] * 2


def test_networks_of_one_year_have_no_growth() -> None:
    timeline = timeline_of(paced(RISING, dict.fromkeys(YEARS, 2020)))
    assert timeline.growth is None
    assert {point.cost_to_trend_ratio for point in timeline.points} == {None}
    assert [point.network.model for point in timeline.points] == sorted(YEARS)
    assert [finding.missing for finding in timeline.findings] == ["all networks are of one year"] * 2
    assert any(point.on_front for point in timeline.points)


def test_a_run_that_was_killed_has_the_timeline_of_what_it_measured(tmp_path: Path) -> None:
    lost: dict[str, Outcome] = {cell_key("convnext_base", "cpu", 1, 2): ("unvisited", "")}
    report = assemble(make_journal(STUDY_MODELS, ("cpu",), (1,), pace_hz=2, ending=None, outcomes=lost))
    timeline = timeline_of(report)
    assert timeline.status == "interrupted"
    assert [(left.model, left.reason) for left in timeline.left_out] == [
        ("convnext_base", "skipped: interrupted before it was reached")
    ]


def test_a_mixed_load_is_no_load_to_compare_networks_at() -> None:
    report = assemble(make_journal(("alexnet", "vit_b_16"), ("cpu",), (1, 4), mixed=(4, 1)))

    def cheaper(cell: Cell) -> Mapping[str, object]:
        return {"cpu_s_per_image": Interval(mean=1e-6, low=None, high=None)} if cell.load.mixed else {}

    assert not timeline_of(with_cells(report, cheaper)).basis.load.mixed
