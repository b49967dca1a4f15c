"""Cells of two reports beside each other."""

from math import log

import pytest

from runner.report.assemble import assemble
from runner.report.comparison.compare import compare, make_side
from runner.report.comparison.evidence import cell_evidence
from tests.fakes import cell_key, make_journal
from tests.runner.report.comparison.runs import changed, make_run

NONE: frozenset[str] = frozenset()


def test_a_slower_run_has_its_ratio_within_the_limits() -> None:
    found = compare(make_side([make_run()]), make_side([make_run("new", 1, 1.3)]), None, NONE)
    latencies = [figure for figure in found.figures if figure.metric == "latency"]
    assert len(latencies) == 2
    for figure in latencies:
        assert figure.low < figure.difference.ratio < figure.high
        assert figure.difference.ratio == pytest.approx(1.3, rel=0.1)
        assert figure.no_spread


def test_a_figure_is_made_of_the_windows_that_the_report_s_is() -> None:
    report = make_run(disturbed={3: "swapping"})
    key = cell_key("alexnet", "cpu", 1)
    windows = [window for window in report.windows if window.cell == key and window.paired]
    found = cell_evidence(report)[key].figures["latency"]
    assert len(windows) == 20
    assert found.log_mean == pytest.approx(sum(log(each.latency_mean_s) for each in windows) / 20)


def test_cells_of_one_side_only_are_listed() -> None:
    one, two = make_run(batch_sizes=(1, 4)), make_run("new", batch_sizes=(4, 16))
    found = compare(make_side([one]), make_side([two]), None, NONE)
    assert [cell.key for cell in found.matched] == [cell_key("alexnet", "cpu", 4)]
    assert [cell.key for cell in found.reference_only] == [cell_key("alexnet", "cpu", 1)]
    assert [cell.key for cell in found.new_only] == [cell_key("alexnet", "cpu", 16)]


def test_a_cell_that_failed_is_matched_and_has_no_figure() -> None:
    key = cell_key("alexnet", "cpu", 4)
    new = make_run("new", outcomes={key: ("failed", "out of memory")})
    (cell,) = (
        cell
        for cell in compare(make_side([make_run()]), make_side([new]), None, NONE).matched
        if cell.key == key
    )
    assert cell.figures == ()
    assert "out of memory" in cell.new_excluded
    assert cell.reference_excluded == ""


def test_a_session_that_failed_parity_counts_for_nothing() -> None:
    new = make_run("new", parity_failed=("cpu",))
    side = make_side([new])
    found = compare(make_side([make_run()]), side, None, NONE)
    assert found.figures == ()
    assert {cell.new_excluded for cell in found.matched} == {"failed parity"}
    assert any("failed parity" in line for line in side.distrusted)


def test_cpu_time_back_to_back_is_occupancy_and_at_a_pace_a_cost() -> None:
    one, two = (make_run(name, seed, pace_hz=8.0) for seed, name in enumerate(("ref", "new")))
    found = compare(make_side([one]), make_side([two]), None, NONE)
    occupancy = {figure.key: figure.occupancy for figure in found.figures if figure.metric == "cpu"}
    assert occupancy[cell_key("alexnet", "cpu", 1)]
    assert not occupancy[cell_key("alexnet", "cpu", 1, 8.0)]


def test_energy_is_compared_where_it_was_measured_and_never_an_estimate() -> None:
    for kind, expected in (("measured", True), ("estimated", False), ("unavailable", False)):
        sides = [make_side([make_run(name, seed, energy=kind)]) for seed, name in enumerate(("ref", "new"))]
        found = compare(sides[0], sides[1], None, NONE)
        assert any(figure.metric == "energy" for figure in found.figures) is expected


def test_runs_of_one_side_count_as_one() -> None:
    runs = [make_run(f"n{seed}", seed, 1.3) for seed in range(3)]
    one = compare(make_side([make_run()]), make_side(runs[:1]), None, NONE).figures[0]
    three = compare(make_side([make_run()]), make_side(runs), None, NONE).figures[0]
    assert three.difference.standard_error < one.difference.standard_error
    means = [cell_evidence(run)[one.key].figures["latency"].log_mean for run in (*runs, make_run())]
    assert three.difference.log_ratio == pytest.approx(sum(means[:3]) / 3 - means[3])


def test_a_side_whose_runs_differ_by_a_rule_is_like_none_of_them() -> None:
    runs = [make_run("a"), changed(make_run("b", 1), "models", sha256="1" * 64)]
    found = compare(make_side([make_run()]), make_side(runs), None, NONE)
    assert found.figures == ()
    assert {breach.rule.name for cell in found.matched for breach in cell.breaches} == {"model-hash"}


def test_a_run_that_was_killed_is_compared_by_what_it_has() -> None:
    killed = assemble(make_journal(("alexnet",), ("cpu",), ending=None, workers=5, blocks=10))
    found = compare(make_side([make_run()]), make_side([killed]), None, NONE)
    assert found.figures
