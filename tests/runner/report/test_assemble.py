from collections.abc import Sequence
from statistics import NormalDist, fmean, mean, median, quantiles, stdev
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t, ttest_1samp

from runner.errors import FileError
from runner.meters.interface import Energy, Estimated, Measured, Unavailable
from runner.report.assemble import assemble
from runner.report.lines import (
    BlockLine,
    CellLine,
    EndLine,
    HeaderLine,
    Line,
    ResumeLine,
    SessionLine,
    WindowLine,
)
from runner.report.schema import Cell, Interval, Report
from tests.fakes import GPU, cell_key, make_journal

CPU_B1, CPU_B4 = cell_key("alexnet", "cpu", 1), cell_key("alexnet", "cpu", 4)
TORCH_B1, TORCH_B4 = cell_key("alexnet", "torch", 1), cell_key("alexnet", "torch", 4)
MIXED: dict[str, Any] = {"backends": ("cpu", "torch", "cuda"), "batch_sizes": (1, 4), "energy": "measured"}
PROCESSES_REACH = (NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)) * 0.01
"""what one fresh process of each backend may differ by is added to what a run could see: an SD of 1 %"""


def cell_of(report: Report, key: str) -> Cell:
    return next(cell for cell in report.cells if cell.key == key)


def metrics_of(report: Report, key: str) -> set[str]:
    return {comparison.metric for comparison in report.comparisons if comparison.cell == key}


def best_members(report: Report, metric: str) -> list[set[str]]:
    return [{best.best, *best.members} for best in report.best_sets if best.metric == metric]


def with_energy(lines: Sequence[Line], key: str, energy: tuple[Energy, ...]) -> tuple[Line, ...]:
    """Returns the journal with another energy in every window of the cells whose key contains this text."""
    return tuple(
        line.model_copy(update={"entry": line.entry.model_copy(update={"energy": energy})})
        if isinstance(line, WindowLine) and key in line.entry.cell
        else line
        for line in lines
    )


def expected_interval(values: Sequence[float]) -> Any:
    half = t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return pytest.approx((mean(values), mean(values) - half, mean(values) + half))


def as_tuple(interval: Interval) -> tuple[float, float | None, float | None]:
    return interval.mean, interval.low, interval.high


def test_every_summary_can_be_recomputed_from_the_windows_and_samples() -> None:
    lines = make_journal(models=("alexnet", "vit_b_16"), pace_hz=2, energy="measured", inferences=25)
    report = assemble(lines)
    assert len(report.cells) == 16
    for cell in report.cells:
        windows = [line for line in lines if isinstance(line, WindowLine) and line.entry.cell == cell.key]
        entries = [line.entry for line in windows]
        images = [entry.inference_count * cell.load.batch_size for entry in entries]
        pooled = [latency_s for line in windows for latency_s in line.latencies_s]
        energies_j = [
            sum(part.energy_j for part in entry.energy if isinstance(part, Measured)) for entry in entries
        ]
        summary = cell.summary
        assert summary is not None
        assert summary.energy is not None
        assert (summary.window_count, summary.inference_count) == (5, 125)
        assert as_tuple(summary.latency_s) == expected_interval([entry.latency_mean_s for entry in entries])
        assert summary.latency_p50_s == pytest.approx(median(pooled))
        assert summary.latency_p90_s == pytest.approx(quantiles(pooled, n=10, method="inclusive")[8])
        rates_hz = [count / entry.wall_s for count, entry in zip(images, entries, strict=True)]
        assert as_tuple(summary.images_per_s) == expected_interval(rates_hz)
        cpu_s = [entry.cpu_s / count for count, entry in zip(images, entries, strict=True)]
        assert as_tuple(summary.cpu_s_per_image) == expected_interval(cpu_s)
        assert summary.cpu_occupancy is (cell.load.pace_hz is None)
        wall_s = sum(entry.wall_s for entry in entries)
        assert summary.cpu_per_wall_ratio == pytest.approx(sum(entry.cpu_s for entry in entries) / wall_s)
        assert summary.energy.domains == ("cpu_package", "dram", "gpu")
        per_image_j = [energy_j / count for count, energy_j in zip(images, energies_j, strict=True)]
        assert as_tuple(summary.energy.per_image_j) == expected_interval(per_image_j)


def test_every_latency_ratio_is_a_paired_t_test_on_logs() -> None:
    report = assemble(make_journal(backends=("cpu", "torch", "cpu:threads=1"), blocks=8))
    latencies = {
        cell.key: np.log(
            [w.latency_mean_s for w in sorted(report.windows, key=lambda w: w.block) if w.cell == cell.key]
        )
        for cell in report.cells
    }
    assert [comparison.metric for comparison in report.comparisons] == ["latency"] * 4
    detectable = []
    for comparison in report.comparisons:
        logs = latencies[comparison.cell] - latencies[comparison.baseline_cell]
        low, high = ttest_1samp(logs, 0).confidence_interval(0.95)
        assert comparison.ratio == pytest.approx(np.exp(fmean(logs)))
        assert (comparison.low, comparison.high) == pytest.approx((np.exp(low), np.exp(high)))
        assert (comparison.pair_count, comparison.verdict) == (8, "more")
        reach = (t.ppf(0.975, 7) + t.ppf(0.8, 7)) * stdev(logs) / 8**0.5
        detectable.append(float(np.exp(np.hypot(reach, PROCESSES_REACH))))
    assert report.minimum_detectable_ratio == pytest.approx(median(detectable))


def test_a_report_of_a_whole_run_says_what_header_and_end_said() -> None:
    lines = make_journal(notes=("Random weights",))
    report, header, end = assemble(lines), lines[0], lines[-1]
    assert isinstance(header, HeaderLine)
    assert isinstance(end, EndLine)
    assert (report.report_id, report.started_at) == (header.report_id, header.started_at)
    assert (report.status, report.ended_at, report.measured_s) == ("complete", end.ended_at, end.measured_s)
    assert report.notes == ("Random weights",)
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_a_killed_run_is_interrupted_and_its_open_block_is_unpaired() -> None:
    lines = [
        line
        for line in make_journal(blocks=4, ending=None)
        if not (isinstance(line, BlockLine) and line.block == 3)
        and not (isinstance(line, WindowLine) and line.entry.block == 3 and line.entry.cell == TORCH_B1)
    ]
    report = assemble(lines)
    assert (report.status, report.ended_at) == ("interrupted", None)
    last = max(window.started_s + window.wall_s for window in report.windows)
    assert report.measured_s == pytest.approx(last - report.windows[0].started_s)
    assert {window.paired for window in report.windows if window.block == 3} == {False}
    assert {window.paired for window in report.windows if window.block < 3} == {True}
    summary = cell_of(report, CPU_B1).summary
    assert summary is not None
    assert summary.window_count == 3
    assert {comparison.pair_count for comparison in report.comparisons} == {3}


def test_without_a_finished_block_figures_are_made_of_all_windows() -> None:
    lines = [line for line in make_journal(blocks=2, ending=None) if not isinstance(line, BlockLine)]
    report = assemble(lines)
    assert {window.paired for window in report.windows} == {False}
    assert {cell.summary.window_count for cell in report.cells if cell.summary} == {2}
    assert report.comparisons == ()


def places(report: Report, block: int) -> list[tuple[bool, int | None]]:
    return sorted({(window.paired, window.repeated_by) for window in report.windows if window.block == block})


def test_a_repeated_block_is_kept_and_in_no_figure_but_the_ratio_with_disturbed_ones() -> None:
    report = assemble(make_journal(blocks=6, disturbed={1: "foreign CPU time 31 %", 4: "throttled"}))
    assert {block: places(report, block) for block in (0, 1, 4, 6, 7)} == {
        0: [(True, None)],
        1: [(False, 6)],
        4: [(False, 7)],
        6: [(True, None)],
        7: [(True, None)],
    }
    assert {cell.summary.window_count for cell in report.cells if cell.summary} == {6}
    assert len(report.windows) == 4 * 8
    for comparison in report.comparisons:
        assert comparison.pair_count == 6
        assert comparison.with_disturbed is not None
        assert comparison.with_disturbed.pair_count == 8
        assert comparison.with_disturbed.ratio != comparison.ratio


def test_a_disturbed_block_that_was_never_repeated_stays_paired() -> None:
    lines = [
        line
        for line in make_journal(blocks=4, disturbed={2: "foreign CPU time 31 %"}, ending=None)
        if not (isinstance(line, WindowLine) and line.entry.block == 4)
        and not (isinstance(line, BlockLine) and line.block == 4)
    ]
    report = assemble(lines)
    assert {window.paired for window in report.windows} == {True}
    assert any(window.disturbed for window in report.windows)
    assert {comparison.with_disturbed for comparison in report.comparisons} == {None}


def test_a_repeat_that_is_repeated_in_its_turn_leaves_the_last_one_paired() -> None:
    *lines, end = make_journal(blocks=3, disturbed={0: "throttled"})
    again = [
        line.model_copy(update={"entry": line.entry.model_copy(update={"block": 4})})
        for line in lines
        if isinstance(line, WindowLine) and line.entry.block == 3
    ]
    last = BlockLine(model="alexnet", variant="fp32", block=4, repeats=3)
    report = assemble((*lines, *again, last, end))
    paired = {window.block for window in report.windows if window.paired}
    assert paired == {1, 2, 4}
    assert (places(report, 0), places(report, 3)) == ([(False, 3)], [(False, 4)])


def test_the_block_that_a_kill_left_open_stays_unpaired_though_its_number_is_finished_later() -> None:
    report = assemble(make_journal(models=("alexnet", "vit_b_16"), blocks=3, killed_in=1))
    undisturbed = assemble(make_journal(models=("alexnet", "vit_b_16"), blocks=3))
    third = [window for window in report.windows if window.cell == CPU_B1 and window.block == 1]
    assert len(report.windows) == len(undisturbed.windows) + 2
    assert [window.paired for window in third] in ([True], [False, True])
    assert [window.paired for window in report.windows].count(False) == 2
    assert {cell.summary.window_count for cell in report.cells if cell.summary} == {3}
    assert {comparison.pair_count for comparison in report.comparisons} == {3}
    assert len(report.sessions) == len(undisturbed.sessions)


def test_a_resumed_run_adds_up_its_stretches_and_forgets_the_end_of_the_first() -> None:
    whole = make_journal(blocks=3, killed_in=1)
    at = next(place for place, line in enumerate(whole) if isinstance(line, ResumeLine))
    stopped = EndLine(status="interrupted", ended_at="2026-11-23T21:35:05+00:00", measured_s=60.0)
    report = assemble((*whole[:at], stopped, *whole[at:]))
    assert (report.status, report.measured_s) == ("complete", 60 + 300)
    assert [resume.dropped_bytes for resume in report.resumes] == [37]
    killed_again = assemble((*whole[:at], stopped, *whole[at:-1]))
    since = [line.entry for line in whole[at:] if isinstance(line, WindowLine)]
    span_s = max(window.started_s + window.wall_s for window in since) - since[0].started_s
    assert (killed_again.status, killed_again.ended_at) == ("interrupted", None)
    assert killed_again.measured_s == pytest.approx(60 + span_s)


@given(st.data())
def test_every_window_is_kept_once_and_every_finished_block_counts_once(data: st.DataObject) -> None:
    """Whatever is disturbed and wherever the run was killed."""
    blocks = data.draw(st.integers(1, 5))
    disturbed = dict.fromkeys(data.draw(st.sets(st.integers(0, blocks - 1))), "throttled")
    killed_in = data.draw(st.none() | st.integers(0, blocks + len(disturbed) - 1))
    lines = make_journal(batch_sizes=(1,), blocks=blocks, disturbed=disturbed, killed_in=killed_in)
    report = assemble(lines)
    assert [(window.cell, window.block) for window in report.windows] == [
        (line.entry.cell, line.entry.block) for line in lines if isinstance(line, WindowLine)
    ]
    counted = {*range(blocks + len(disturbed))} - disturbed.keys()
    for key in (CPU_B1, TORCH_B1):
        paired = [window.block for window in report.windows if window.cell == key and window.paired]
        assert paired == sorted(counted)


def test_what_was_measured_at_rest_is_kept() -> None:
    report = assemble(make_journal(idle_w=(20.0, 21.0), energy="measured"))
    assert [idle.moment for idle in report.idle] == ["before", "after"]


def test_outliers_are_flagged_within_the_windows_of_the_figures() -> None:
    lines = [
        line.model_copy(update={"entry": line.entry.model_copy(update={"latency_mean_s": 10.0})})
        if isinstance(line, WindowLine) and line.entry.block == 5 and line.entry.cell == CPU_B1
        else line
        for line in make_journal(blocks=12, disturbed={3: "throttled"})
    ]
    report = assemble(lines)
    assert [window.outlier for window in report.windows if window.latency_mean_s == 10.0] == [True]
    for cell in report.cells:
        assert cell.summary is not None
        flagged = [window for window in report.windows if window.cell == cell.key and window.outlier]
        assert cell.summary.outlier_count == len(flagged)
        assert all(window.paired for window in flagged)


def test_rank_tests_come_with_the_publication_profile_only() -> None:
    assert assemble(make_journal(blocks=12)).tests == ()
    tests = assemble(make_journal(blocks=12, profile="publication")).tests
    assert {test.test for test in tests} == {"wilcoxon"}
    assert {test.block_count for test in tests} == {12}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            make_journal(("vit_b_16",), blocks=1)[-4],
            "expected windows of planned cells, got one of vit_b_16/",
        ),
        (
            BlockLine(model="alexnet", variant="fp32", block=9, repeats=7),
            "expected repeats of finished blocks, got one of block 7 of alexnet",
        ),
    ],
)
def test_a_journal_that_contradicts_itself_is_refused(line: Line, said: str) -> None:
    with pytest.raises(FileError, match=said):
        assemble((*make_journal(), line))


def test_a_block_is_finished_for_one_model_only() -> None:
    lines = [
        line
        for line in make_journal(models=("alexnet", "vit_b_16"), blocks=3)
        if not (isinstance(line, BlockLine) and line.model == "vit_b_16")
    ]
    report = assemble(lines)
    assert {window.cell.partition("/")[0] for window in report.windows if window.paired} == {"alexnet"}
    assert {comparison.cell.partition("/")[0] for comparison in report.comparisons} == {"alexnet"}
    assert {best.model for best in report.best_sets} == {"alexnet"}


def test_a_journal_without_a_header_is_refused() -> None:
    with pytest.raises(FileError, match="begins with a header"):
        assemble(())


def test_a_header_alone_gives_a_report_of_skipped_cells() -> None:
    report = assemble(make_journal()[:1])
    assert {(cell.status, cell.reason, cell.summary) for cell in report.cells} == {
        ("skipped", "interrupted before it was reached", None)
    }
    assert (report.comparisons, report.best_sets, report.measured_s) == ((), (), 0.0)
    assert report.minimum_detectable_ratio is None
    assert {choice.cost_candidates for choice in report.choices} == {0}


def test_what_became_of_each_cell_is_kept_with_its_reason() -> None:
    outcomes = {
        CPU_B4: ("failed", "out of memory"),
        TORCH_B1: ("skipped", "budget"),
        TORCH_B4: ("unvisited", ""),
    }
    report = assemble(make_journal(outcomes=outcomes, ending="interrupted"))  # type: ignore[arg-type]
    assert [(cell.status, cell.reason) for cell in report.cells] == [
        ("measured", ""),
        ("skipped", "budget"),
        ("failed", "out of memory"),
        ("skipped", "interrupted before it was reached"),
    ]
    assert cell_of(report, TORCH_B1).predicted_inference_s is not None


def test_a_cell_without_a_window_is_not_measured_whatever_its_line_says() -> None:
    lines = make_journal(blocks=0)
    claims = [
        line.model_copy(update={"entry": line.entry.model_copy(update={"status": "measured", "reason": ""})})
        if isinstance(line, CellLine) and line.entry.backend == "cpu"
        else line
        for line in lines
    ]
    report = assemble(claims)
    assert {(cell.status, cell.reason) for cell in report.cells} == {("skipped", "no window was taken")}


def test_a_measured_cell_has_no_reason() -> None:
    assert {(cell.status, cell.reason) for cell in assemble(make_journal()).cells} == {("measured", "")}


def test_a_cell_whose_line_was_lost_is_measured_by_its_windows() -> None:
    report = assemble(line for line in make_journal(ending=None) if not isinstance(line, CellLine))
    assert {cell.status for cell in report.cells} == {"measured"}


def test_a_cell_that_fails_later_keeps_its_windows_and_is_not_compared() -> None:
    lines = make_journal()
    failed = cell_of(assemble(lines), TORCH_B1).model_copy(
        update={"status": "failed", "reason": "the worker died", "summary": None}
    )
    report = assemble((*lines[:-1], CellLine(entry=failed), lines[-1]))
    cell = cell_of(report, TORCH_B1)
    assert (cell.status, cell.reason) == ("failed", "the worker died")
    assert cell.summary is not None
    assert metrics_of(report, TORCH_B1) == set()
    assert metrics_of(report, TORCH_B4) == {"latency"}


def test_a_missing_baseline_is_noted_and_compares_nothing() -> None:
    report = assemble(
        make_journal(outcomes={CPU_B1: ("failed", "out of memory"), CPU_B4: ("failed", "out of memory")})
    )
    assert report.comparisons == ()
    assert report.notes == (
        "alexnet: no comparison with the baseline cpu at batch 1, batch 4 (failed: out of memory)",
    )


def test_a_baseline_is_found_by_its_spec_too() -> None:
    header, *rest = make_journal()
    assert isinstance(header, HeaderLine)
    entries = tuple(
        entry.model_copy(update={"spec": "torch:threads=2"}) if entry.label == "torch" else entry
        for entry in header.backends
    )
    asked = header.provenance.model_copy(update={"baseline": "torch:threads=2"})
    report = assemble((header.model_copy(update={"backends": entries, "provenance": asked}), *rest))
    assert {comparison.baseline_cell for comparison in report.comparisons} == {TORCH_B1, TORCH_B4}


def test_a_backend_that_fails_parity_is_shown_and_never_ranked() -> None:
    report = assemble(
        make_journal(backends=("cpu", "torch", "fast"), parity_failed=("fast",), slowness={"fast": 0.1})
    )
    assert cell_of(report, cell_key("alexnet", "fast", 1)).summary is not None
    assert "fast" not in " ".join(best.model_dump_json() for best in report.best_sets)
    assert "fast" not in " ".join(comparison.cell for comparison in report.comparisons)
    choice = next(choice for choice in report.choices if choice.backend == "fast")
    assert (choice.most_images, choice.least_cost) == (None, None)


@pytest.mark.parametrize(
    ("placement", "ranked"),
    [("full", True), ("partial-shape-only", True), ("partial-compute", False), ("none", False)],
)
def test_a_session_that_computes_elsewhere_is_never_ranked(placement: str, ranked: bool) -> None:
    lines = [
        line.model_copy(update={"entry": line.entry.model_copy(update={"placement": placement})})
        if isinstance(line, SessionLine) and line.entry.backend == "torch"
        else line
        for line in make_journal()
    ]
    report = assemble(lines)
    assert bool(report.comparisons) is ranked
    assert bool(report.best_sets) is ranked


def test_least_cost_is_chosen_among_cells_of_one_pace() -> None:
    paced = assemble(make_journal(energy="measured", pace_hz=2)).choices
    assert [(choice.least_cost, choice.cost_candidates) for choice in paced] == [
        (cell_key("alexnet", "cpu", 4, 2), 2),
        (cell_key("alexnet", "torch", 4, 2), 2),
    ]
    mostly_back_to_back = make_journal(
        energy="measured", pace_hz=2, outcomes={cell_key("alexnet", "cpu", 4, 2): ("failed", "killed")}
    )
    choice = assemble(mostly_back_to_back).choices[0]
    assert (choice.least_cost, choice.cost_candidates) == (CPU_B4, 2)


def test_what_idles_between_batches_is_no_choice_of_least_cost() -> None:
    def idling(cell: Cell) -> Cell:
        gap_s = 0.02 if cell.load.batch_size == 4 else 0.0
        return cell.model_copy(update={"load": cell.load.model_copy(update={"gap_s": gap_s})})

    def changed(line: Line) -> Line:
        match line:
            case HeaderLine():
                return line.model_copy(update={"cells": tuple(map(idling, line.cells))})
            case CellLine():
                return line.model_copy(update={"entry": idling(line.entry)})
        return line

    choice = assemble([changed(line) for line in make_journal(energy="measured")]).choices[0]
    assert (choice.least_cost, choice.cost_candidates) == (cell_key("alexnet", "cpu", 1), 1)


def test_an_overloaded_pace_is_shown_and_never_ranked() -> None:
    key = cell_key("alexnet", "torch", 1, 40)
    report = assemble(make_journal(pace_hz=40, outcomes={key: ("overloaded", "35 images/s at most")}))
    assert cell_of(report, key).summary is not None
    assert metrics_of(report, key) == set()
    assert all(key not in best.members for best in report.best_sets)
    assert metrics_of(report, cell_key("alexnet", "torch", 4, 40)) == {"latency", "cpu_s_per_image"}


def test_cpu_time_ranks_at_a_pace_only() -> None:
    report = assemble(make_journal(pace_hz=2))
    assert metrics_of(report, TORCH_B1) == {"latency"}
    assert metrics_of(report, cell_key("alexnet", "torch", 1, 2)) == {"latency", "cpu_s_per_image"}
    paced = {cell.key for cell in report.cells if cell.load.pace_hz}
    assert {member for members in best_members(report, "cpu_s_per_image") for member in members} <= paced
    for choice in report.choices:
        assert (choice.cost_metric, choice.cost_candidates) == ("cpu_s_per_image", 2)
        assert choice.least_cost in paced
        assert choice.most_images == cell_key("alexnet", choice.backend, 4)


def test_without_energy_and_pace_nothing_ranks_by_cost() -> None:
    report = assemble(make_journal())
    assert {best.metric for best in report.best_sets} == {"latency"}
    assert {(choice.least_cost, choice.cost_metric, choice.cost_candidates) for choice in report.choices} == {
        (None, None, 0)
    }


def test_processor_and_gpu_rank_by_energy_when_all_of_it_is_counted() -> None:
    report = assemble(make_journal(**MIXED))
    assert metrics_of(report, cell_key("alexnet", "cuda", 1)) == {"latency", "energy_per_image"}
    assert best_members(report, "energy_per_image") == [
        {cell_key("alexnet", "cuda", 1)},
        {cell_key("alexnet", "cuda", 4)},
    ]


@pytest.mark.parametrize("missing", ["a second gpu", "the processor"])
def test_processor_and_gpu_do_not_rank_together_when_a_part_is_not_counted(missing: str) -> None:
    header, *rest = make_journal(pace_hz=2, **MIXED)
    assert isinstance(header, HeaderLine)
    if missing == "a second gpu":
        gpus = (GPU, GPU.model_copy(update={"uuid": "GPU-unmetered"}))
        header = header.model_copy(
            update={"environment": header.environment.model_copy(update={"gpus": gpus})}
        )
        cost = "energy_per_image"
    else:
        gpu_only = (Measured("gpu", "nvml-counter", 100.0, 1.0), Unavailable("cpu_package", "permission"))
        rest = list(with_energy(rest, "", gpu_only))
        cost = "cpu_s_per_image"
    report = assemble((header, *rest))
    assert metrics_of(report, cell_key("alexnet", "cuda", 1, 2)) == {"latency"}
    assert cost in metrics_of(report, cell_key("alexnet", "torch", 1, 2))
    groups = best_members(report, cost)
    assert groups
    assert all("cuda" not in member for members in groups for member in members)


def test_gpu_backends_alone_rank_on_the_gpu() -> None:
    gpu_only = (Measured("gpu", "nvml-counter", 100.0, 1.0), Unavailable("cpu_package", "permission"))
    lines = make_journal(backends=("cuda", "cuda:tf32=off"), energy="measured")
    report = assemble(with_energy(lines, "", gpu_only))
    assert metrics_of(report, cell_key("alexnet", "cuda:tf32=off", 1)) == {"latency", "energy_per_image"}
    # The same joules in every window: a tie that is kept whole.
    assert {len(members) for members in best_members(report, "energy_per_image")} == {2}


def test_energy_over_different_domains_is_not_compared() -> None:
    package = (Measured("cpu_package", "pyRAPL", 5.0, 0.1),)
    report = assemble(with_energy(make_journal(energy="measured"), "torch", package))
    assert metrics_of(report, TORCH_B1) == {"latency"}
    assert best_members(report, "energy_per_image") == []
    assert next(c for c in report.choices if c.backend == "torch").cost_metric == "energy_per_image"


def with_lost_window(lines: Sequence[Line], energy: tuple[Energy, ...]) -> tuple[Line, ...]:
    """Returns the journal with another energy in the first window of one cell."""
    place = next(
        i for i, line in enumerate(lines) if isinstance(line, WindowLine) and line.entry.cell == CPU_B1
    )
    return (*lines[:place], *with_energy(lines[place : place + 1], "", energy), *lines[place + 1 :])


def test_a_window_that_lacks_a_domain_is_left_out_and_the_domain_stays() -> None:
    lines = make_journal(energy="measured")
    # One of two packages was not read: what the other read is no total.
    partial = (
        Measured("cpu_package", "pyRAPL", 5.0, 0.1),
        Unavailable("cpu_package", "below resolution"),
        Measured("dram", "pyRAPL", 1.0, 0.1),
        Measured("gpu", "nvml-counter", 2.0, 1.0),
    )
    whole, report = assemble(lines), assemble(with_lost_window(lines, partial))
    summary = cell_of(report, CPU_B1).summary
    assert summary is not None
    assert summary.energy is not None
    assert (summary.window_count, summary.energy.window_count) == (5, 4)
    assert summary.energy.domains == ("cpu_package", "dram", "gpu")
    kept_j = [
        sum(part.energy_j for part in window.energy if isinstance(part, Measured)) / 12
        for window in whole.windows
        if window.cell == CPU_B1
    ][1:]
    assert as_tuple(summary.energy.per_image_j) == expected_interval(kept_j)
    pairs = {c.metric: c.pair_count for c in report.comparisons if c.cell == TORCH_B1}
    assert pairs == {"latency": 5, "energy_per_image": 4}


def test_a_domain_that_no_window_read_is_in_no_sum() -> None:
    energy = (Measured("cpu_package", "pyRAPL", 5.0, 0.1), Unavailable("gpu", "below resolution"))
    summary = cell_of(assemble(with_energy(make_journal(energy="measured"), "", energy)), CPU_B1).summary
    assert summary is not None
    assert summary.energy is not None
    assert (summary.energy.domains, summary.energy.window_count) == (("cpu_package",), 5)


def test_an_idle_gpu_is_not_what_a_cpu_spent() -> None:
    gpu_only = (Measured("gpu", "nvml-counter", 100.0, 1.0),)
    lines = with_energy(make_journal(pace_hz=2, **MIXED), "", gpu_only)
    report = assemble(lines)
    shown = {cell.backend for cell in report.cells if cell.summary and cell.summary.energy}
    assert shown == {"cuda"}
    costs = {choice.backend: choice.cost_metric for choice in report.choices}
    assert costs == {"cpu": "cpu_s_per_image", "torch": "cpu_s_per_image", "cuda": "energy_per_image"}


def test_an_estimate_beside_a_metered_gpu_is_shown_for_the_processor_only() -> None:
    both = (
        Estimated("cpu_package", "cpu-watts", 10.0, 5.0, 20.0),
        Measured("gpu", "nvml-counter", 100.0, 1.0),
    )
    header, *rest = make_journal(**MIXED)
    assert isinstance(header, HeaderLine)
    estimate = header.meters[0].model_copy(update={"status": "estimated"})
    header = header.model_copy(update={"meters": (estimate, header.meters[2])})
    for cell in assemble((header, *with_energy(rest, "", both))).cells:
        assert cell.summary is not None
        assert cell.summary.energy is not None
        expected = ("measured", ("gpu",)) if cell.backend == "cuda" else ("estimated", ("cpu_package",))
        assert (cell.summary.energy.status, cell.summary.energy.domains) == expected


def test_two_packages_are_summed() -> None:
    energy = (Measured("cpu_package", "pyRAPL", 5.0, 0.1), Measured("cpu_package", "pyRAPL", 7.0, 0.1))
    lines = with_energy(make_journal(energy="measured"), "", energy)
    summary = cell_of(assemble(lines), CPU_B4).summary
    assert summary is not None
    assert summary.energy is not None
    assert summary.energy.per_image_j.mean == pytest.approx(12 / (4 * 12))


def test_an_estimate_is_shown_with_its_band_and_never_compared() -> None:
    report = assemble(make_journal(energy="estimated", pace_hz=2))
    for cell in report.cells:
        assert cell.summary is not None
        energy = cell.summary.energy
        assert energy is not None
        assert energy.status == "estimated"
        band = energy.per_image_j
        assert (band.low, band.high) == pytest.approx((band.mean / 2, band.mean * 2))
    assert {comparison.metric for comparison in report.comparisons} == {"latency", "cpu_s_per_image"}
    assert {best.metric for best in report.best_sets} == {"latency", "cpu_s_per_image"}
    assert {choice.cost_metric for choice in report.choices} == {"cpu_s_per_image"}


def test_a_window_without_its_estimate_is_left_out() -> None:
    lines = with_lost_window(make_journal(energy="estimated"), (Unavailable("cpu_package", "not read"),))
    summary = cell_of(assemble(lines), CPU_B1).summary
    assert summary is not None
    assert summary.energy is not None
    assert (summary.energy.status, summary.energy.window_count) == ("estimated", 4)


def test_host_and_device_figures_are_compared_among_themselves() -> None:
    report = assemble(make_journal(backends=("cuda", "cuda:nhwc=on")))
    for comparison in report.comparisons:
        assert cell_of(report, comparison.cell).io == cell_of(report, comparison.baseline_cell).io
    ios = [{cell_of(report, key).io for key in (best.best, *best.members)} for best in report.best_sets]
    assert sorted(ios, key=str) == [{"device"}, {"device"}, {"host"}, {"host"}]
    assert {cell_of(report, choice.most_images or "").io for choice in report.choices} == {"host"}


def test_quick_names_an_apparent_best_and_claims_no_set() -> None:
    report = assemble(make_journal(profile="quick", slowness={"cpu": 1, "torch": 1}))
    assert report.best_sets
    for best in report.best_sets:
        assert best.apparent
        assert best.members == (best.best,)


def test_standard_keeps_ties_in_the_best_set() -> None:
    report = assemble(make_journal(blocks=10, slowness={"cpu": 1, "torch": 1}, noise_ratio=0.02, seed=3))
    assert [set(best.members) for best in report.best_sets] == [{CPU_B1, TORCH_B1}, {CPU_B4, TORCH_B4}]
    assert not any(best.apparent for best in report.best_sets)


def test_too_few_blocks_give_no_verdict_and_no_set() -> None:
    report = assemble(make_journal(blocks=2, ending="interrupted"))
    assert {comparison.verdict for comparison in report.comparisons} == {"too few pairs"}
    assert {best.apparent for best in report.best_sets} == {True}


def test_one_backend_has_nothing_to_win() -> None:
    report = assemble(make_journal(backends=("cpu",), pace_hz=2))
    assert (report.best_sets, report.comparisons, report.minimum_detectable_ratio) == ((), (), None)
    assert [choice.most_images for choice in report.choices] == [CPU_B4]


def test_cpu_time_below_its_clock_gives_no_ratio() -> None:
    lines = [
        line.model_copy(update={"entry": line.entry.model_copy(update={"cpu_s": 0.0})})
        if isinstance(line, WindowLine) and line.entry.block == 0
        else line
        for line in make_journal(pace_hz=2)
    ]
    assert {comparison.metric for comparison in assemble(lines).comparisons} == {"latency"}


def test_minimum_detectable_ratio_shrinks_with_more_blocks() -> None:
    few, many = (assemble(make_journal(blocks=blocks)).minimum_detectable_ratio for blocks in (4, 40))
    assert few is not None
    assert many is not None
    assert 1 < many < few
    # Two cells of 3 % each give pairs of 4.2 %, and 40 of them 0.67 %; t is close to normal there.
    pairs_reach = 0.03 * 2**0.5 / 40**0.5 * (NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8))
    assert np.log(many) == pytest.approx(np.hypot(pairs_reach, PROCESSES_REACH), rel=0.2)
