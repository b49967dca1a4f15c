from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import friedmanchisquare, wilcoxon

from runner.report.assemble import assemble
from runner.report.lines import WindowLine
from runner.report.schema import Comparison, Report, SupplementaryTest
from runner.stats.effect import cliffs_delta
from runner.stats.intervals import ratio_interval
from runner.stats.ranktests import holm
from tests.fakes import cell_key, make_journal

THREE = ("cpu", "torch", "cpu:threads=1")
CPU, TORCH, ONE_THREAD = (cell_key("alexnet", backend, 1) for backend in THREE)


def latencies(report: Report, key: str, *, paired: bool = True) -> list[float]:
    """Returns the windows' means by block."""
    windows = [w for w in report.windows if w.cell == key and (w.paired or not paired)]
    return [window.latency_mean_s for window in sorted(windows, key=lambda window: window.block)]


def only(comparisons: Sequence[Comparison]) -> Comparison:
    (one,) = comparisons
    return one


def test_a_comparison_has_the_effect_size_of_its_windows() -> None:
    report = assemble(make_journal(batch_sizes=(1,), slowness={"cpu": 1, "torch": 1.05}))
    found = only(report.comparisons)
    assert found.cliffs_delta == cliffs_delta(latencies(report, TORCH), latencies(report, CPU))
    assert -1 < (found.cliffs_delta or 1) < 1


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_the_worker_is_a_level_of_the_interval(workers: int) -> None:
    report = assemble(make_journal(batch_sizes=(1,), blocks=15, workers=workers))
    found = only(report.comparisons)
    own, base = latencies(report, TORCH), latencies(report, CPU)
    names = [w.worker for w in sorted(report.windows, key=lambda w: w.block) if w.cell == CPU]
    expected = ratio_interval(own, base, names)
    assert (found.low, found.high, found.worker_count) == (expected.low, expected.high, workers)


def test_a_backend_that_was_replaced_alone_is_no_fresh_pair() -> None:
    lines = make_journal(batch_sizes=(1,), blocks=15, workers=5)
    # The baseline's process lived on: its memory layout is in every pair.
    kept = [
        line.model_copy(update={"entry": line.entry.model_copy(update={"worker": 0})})
        if line.kind == "window" and line.entry.cell == CPU
        else line
        for line in lines
    ]
    assert only(assemble(kept).comparisons).worker_count == 1


def test_ratios_with_the_disturbed_blocks_stand_beside_those_without() -> None:
    report = assemble(make_journal(batch_sizes=(1,), blocks=6, disturbed={1: "throttled"}))
    found = only(report.comparisons)
    both = found.with_disturbed
    assert both is not None
    everything = ratio_interval(latencies(report, TORCH, paired=False), latencies(report, CPU, paired=False))
    assert (both.ratio, both.low, both.high) == (everything.ratio, everything.low, everything.high)
    assert (both.pair_count, found.pair_count) == (7, 6)


def test_what_one_worker_each_may_explain_is_no_claim_and_nothing_is_thrown_out() -> None:
    near = {"cpu": 1.0, "torch": 1.005}
    one, five = (
        assemble(
            make_journal(
                batch_sizes=(1,), blocks=200, inferences=100, slowness=near, noise_ratio=1e-4, workers=workers
            )
        )
        for workers in (1, 5)
    )
    assert (only(one.comparisons).verdict, only(five.comparisons).verdict) == ("too few workers", "more")
    assert [set(report.best_sets[0].members) for report in (one, five)] == [{CPU, TORCH}, {CPU}]


def publication(blocks: int) -> Report:
    slowness = {"cpu": 1, "torch": 1.02, "cpu:threads=1": 1.3}
    return assemble(
        make_journal(
            backends=THREE, batch_sizes=(1,), profile="publication", blocks=blocks, slowness=slowness
        )
    )


def by_name(report: Report, name: str) -> list[SupplementaryTest]:
    return [test for test in report.tests if test.test == name]


def test_a_family_has_friedman_s_test_and_one_wilcoxon_per_backend() -> None:
    report = publication(blocks=12)
    columns = {key: np.array(latencies(report, key)) for key in (CPU, TORCH, ONE_THREAD)}
    (overall,) = by_name(report, "friedman")
    statistic, p = friedmanchisquare(*columns.values())
    assert (overall.statistic, overall.p) == pytest.approx((statistic, p))
    assert overall.p_holm is None
    assert (overall.cells, overall.block_count) == ((CPU, TORCH, ONE_THREAD), 12)
    found = by_name(report, "wilcoxon")
    assert [test.cells for test in found] == [(TORCH, CPU), (ONE_THREAD, CPU)]
    expected = [
        wilcoxon(np.log(columns[own] / columns[base])).pvalue for own, base in (t.cells for t in found)
    ]
    assert [test.p for test in found] == pytest.approx(expected)
    assert tuple(test.p_holm for test in found) == holm([test.p for test in found])


def test_other_profiles_and_few_blocks_have_no_tests() -> None:
    assert assemble(make_journal(backends=THREE, blocks=12)).tests == ()
    assert publication(blocks=5).tests == ()


def test_two_backends_are_wilcoxon_s_alone() -> None:
    report = assemble(make_journal(blocks=8, profile="publication"))
    assert {test.test for test in report.tests} == {"wilcoxon"}
    assert all(test.p == test.p_holm for test in report.tests)


def test_what_ranks_separately_is_a_family_of_its_own() -> None:
    report = assemble(
        make_journal(
            backends=("cpu", "torch", "cuda"), batch_sizes=(1,), pace_hz=2, blocks=8, profile="publication"
        )
    )
    cost = [test for test in report.tests if test.metric == "cpu_s_per_image"]
    assert [test.cells for test in cost] == [
        (cell_key("alexnet", "torch", 1, 2), cell_key("alexnet", "cpu", 1, 2))
    ]
    # The device-resident cell has no baseline and stands alone.
    assert {test.io for test in report.tests} == {"host"}


def test_a_mixed_load_is_compared_and_never_chosen() -> None:
    """Its images/s are the highest of all here, and its cost the lowest: a pass is no batch size to choose."""
    lines = make_journal(batch_sizes=(1, 4), mixed=(4, 1), energy="measured")
    fast = tuple(
        line.model_copy(update={"entry": line.entry.model_copy(update={"wall_s": line.entry.wall_s / 1000})})
        if isinstance(line, WindowLine) and "/mix" in line.entry.cell
        else line
        for line in lines
    )
    report = assemble(fast)
    mixed = cell_key("alexnet", "torch", 5, mixed=(4, 1))
    assert {each.metric for each in report.comparisons if each.cell == mixed} >= {"latency"}
    for choice in report.choices:
        chosen = {choice.most_images, choice.least_cost}
        assert None not in chosen
        assert not any("/mix" in (key or "") for key in chosen)
        assert choice.cost_candidates == 2
