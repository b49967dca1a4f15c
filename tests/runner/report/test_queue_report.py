"""The queue's part of a report, from the lines of a journal."""

import numpy as np
import pytest

from runner.errors import FileError
from runner.report.assemble import assemble, collect
from runner.report.derive import without_figures
from runner.report.lines import QueueBlockLine, QueueWindowLine
from runner.report.queue_figures import BUSY_LIMIT_RATIO, LATE_LIMIT_RATIO
from runner.report.schema import QueueCell, QueueStudy, QueueSummary, Report
from tests.fakes import make_journal
from tests.queues import BUSY_W, IDLE_W, with_queue


def report_of(**facts: object) -> Report:
    return assemble(with_queue(make_journal(backends=("cpu", "cpu:spin=off")), **facts))  # type: ignore[arg-type]


def study_of(**facts: object) -> QueueStudy:
    study = report_of(**facts).queue
    assert study
    return study


def cell_of(study: QueueStudy, policy: str, backend: str = "cpu") -> QueueCell:
    (cell,) = (each for each in study.cells if (each.load.policy, each.backend) == (policy, backend))
    return cell


def summary_of(study: QueueStudy, policy: str) -> QueueSummary:
    summary = cell_of(study, policy).summary
    assert summary
    return summary


def test_a_report_without_a_queue_has_none() -> None:
    assert assemble(make_journal()).queue is None


def test_every_request_of_a_cell_is_in_its_figures() -> None:
    summary = summary_of(study_of(blocks=4, requests=150), "fixed:4")
    assert (summary.window_count, summary.request_count, summary.served_count) == (4, 600, 600)
    assert sum(size * count for size, count in summary.batch_counts) == 600
    assert summary.batch_counts[-1][0] == 4
    mean_s = summary.wait.mean_s.mean + summary.service.mean_s.mean
    assert summary.response.mean_s.mean == pytest.approx(mean_s)
    assert summary.response.p50_s < summary.response.p95_s < summary.response.max_s  # type: ignore[operator]
    assert summary.response.p99_s is None, "600 requests are too few"
    assert summary.decode_mean_s is None
    assert summary.utilisation_ratio.low < summary.utilisation_ratio.mean < 1  # type: ignore[operator]
    # Little's law.
    assert summary.queue_mean.mean == pytest.approx(
        summary.images_per_s.mean * summary.wait.mean_s.mean, rel=0.05
    )
    assert np.mean(summary.queue_lengths) == pytest.approx(summary.queue_mean.mean)


def test_a_policy_that_waits_makes_larger_batches_and_longer_responses() -> None:
    study = study_of(blocks=6)
    fixed, greedy = summary_of(study, "fixed:4"), summary_of(study, "greedy:4")
    assert fixed.batch_mean == pytest.approx(4, rel=0.02)
    assert greedy.batch_mean < 2
    assert greedy.response.mean_s.mean < fixed.response.mean_s.mean
    against = {(c.cell, c.against, c.metric): c for c in study.comparisons}
    ratio = against[cell_of(study, "greedy:4").key, "policy", "response"]
    assert ratio.baseline_cell == cell_of(study, "fixed:4").key
    assert (ratio.verdict, ratio.pair_count) == ("less", 6)
    assert ratio.high < 1  # type: ignore[operator]
    other = against[cell_of(study, "fixed:4", "cpu:spin=off").key, "backend", "response"]
    assert other.baseline_cell == cell_of(study, "fixed:4").key
    assert other.ratio > 1, "the second backend is slower"


def test_rank_tests_compare_policies_and_batch_sizes_once_there_are_enough_blocks() -> None:
    policies = ("fixed:2", "greedy:4", "fixed:8")
    assert study_of(policies=policies, blocks=5).tests == ()
    study = study_of(policies=policies, blocks=8)
    kinds = {(test.factor, test.test, len(test.cells)) for test in study.tests}
    assert kinds == {("policy", "friedman", 3), ("policy", "wilcoxon", 2), ("batch size", "wilcoxon", 2)}
    for test in study.tests:
        policies_of = [next(c for c in study.cells if c.key == key).load.policy for key in test.cells]
        if test.factor == "batch size":
            assert policies_of == ["fixed:8", "fixed:2"]
        if test.metric == "response":
            assert test.p < 0.05


def test_energy_is_split_by_what_the_resting_machine_draws() -> None:
    lines = make_journal(backends=("cpu",), energy="measured", idle_w=(IDLE_W, IDLE_W))
    study = assemble(with_queue(lines, energy=True)).queue
    assert study
    summary = summary_of(study, "fixed:4")
    energy = summary.energy
    assert energy
    assert energy.domains == ("cpu_package", "dram", "gpu")
    parts = (energy.active_per_image_j, energy.idle_per_image_j)
    assert all(parts)
    assert sum(part.mean for part in parts if part) == pytest.approx(energy.per_image_j.mean)
    busy_ratio = summary.utilisation_ratio.mean
    rest_w = IDLE_W + 2.5 + 70
    extra_w = (BUSY_W - IDLE_W) * busy_ratio
    assert energy.average_w.mean == pytest.approx(rest_w + extra_w * 1.125, rel=0.01)
    assert energy.busy_w
    assert energy.busy_w.mean == pytest.approx(rest_w + (BUSY_W - IDLE_W) * 1.125, rel=0.01)
    metrics = {each.metric for each in study.comparisons}
    assert metrics == {"response", "energy_per_image"}, "joules, and not CPU time"


def test_without_idle_power_there_is_no_split() -> None:
    lines = make_journal(backends=("cpu",), energy="measured")
    study = assemble(with_queue(lines, energy=True)).queue
    assert study
    energy = summary_of(study, "fixed:4").energy
    assert energy
    assert (energy.active_per_image_j, energy.idle_per_image_j, energy.busy_w) == (None, None, None)


def test_a_loop_that_is_late_itself_makes_a_cell_that_counts_for_nothing() -> None:
    limit_s = LATE_LIMIT_RATIO / 50
    for late_s, doubtful in ((limit_s * 0.9, False), (limit_s * 1.1, True)):
        study = study_of(late_s=late_s)
        assert bool(summary_of(study, "fixed:4").doubt) is doubtful
        assert bool(study.comparisons) is not doubtful


def test_a_server_without_a_pause_is_overloaded_and_not_compared() -> None:
    study = study_of(
        policies=("greedy:1", "greedy:8"), rates_hz=(300,), requests=600, slowness={"cpu:spin=off": 1.0}
    )
    assert "overloaded" in summary_of(study, "greedy:1").doubt
    assert summary_of(study, "greedy:8").doubt == ""
    assert {each.against for each in study.comparisons} == {"backend"}


def test_a_greedy_server_that_is_always_busy_and_settles_is_not_overloaded() -> None:
    study = study_of(policies=("greedy:1", "greedy:64"), rates_hz=(450,), requests=1200)
    settled = summary_of(study, "greedy:64")
    assert settled.utilisation_ratio.mean > BUSY_LIMIT_RATIO
    assert 5 < settled.batch_mean < 40
    assert settled.doubt == ""


def test_cells_that_were_not_replayed_say_why() -> None:
    outcomes = {"fixed:4": ("overloaded", "50 requests/s, capacity 41/s")}
    study = study_of(policies=("fixed:4", "greedy:4", "greedy:2"), outcomes=outcomes)
    cell = cell_of(study, "fixed:4")
    assert (cell.status, cell.reason, cell.summary) == ("overloaded", "50 requests/s, capacity 41/s", None)
    assert cell_of(study, "greedy:4").status == "measured"
    assert {each.against for each in study.comparisons} == {"backend"}, (
        "without the first policy none is compared"
    )


def test_windows_of_an_open_block_count_only_where_there_are_no_others() -> None:
    lines = [
        line
        for line in with_queue(make_journal(backends=("cpu",)), blocks=2)
        if not (isinstance(line, QueueBlockLine) and line.block == 1)
    ]
    study = assemble(lines).queue
    assert study
    assert [window.paired for window in study.windows] == [True, True, False, False]
    assert summary_of(study, "fixed:4").window_count == 1


def test_figures_can_be_taken_out_and_computed_again() -> None:
    lines = with_queue(make_journal(backends=("cpu", "torch")), blocks=7)
    report, bare = assemble(lines), without_figures(assemble(lines))
    assert bare.queue
    assert all(cell.summary is None for cell in bare.queue.cells)
    assert bare == without_figures(collect(lines).report)
    assert report.queue != bare.queue


@pytest.mark.parametrize("field", ["finished_s", "counts"])
def test_a_window_whose_batches_are_not_whole_is_refused(field: str) -> None:
    lines = [
        line.model_copy(update={field: getattr(line, field)[:-1]})
        if isinstance(line, QueueWindowLine)
        else line
        for line in with_queue(make_journal(backends=("cpu",)))
    ]
    with pytest.raises(FileError, match="expected a queue window whose batches are whole"):
        collect(lines)


def test_a_window_of_a_cell_that_nobody_planned_is_refused() -> None:
    lines = [
        line.model_copy(update={"entry": line.entry.model_copy(update={"cell": "x"})})
        if isinstance(line, QueueWindowLine)
        else line
        for line in with_queue(make_journal(backends=("cpu",)))
    ]
    with pytest.raises(FileError, match="windows of planned cells"):
        collect(lines)
