"""A gate over one run."""

from typing import Any

import pytest

from runner.report.assemble import assemble
from runner.report.comparison.gate import Threshold, Thresholds
from runner.report.comparison.within import judge_run
from tests.fakes import cell_key, make_journal
from tests.queues import with_queue
from tests.runner.report.comparison.runs import make_run

BOTH = ("cpu", "cpu:spin=off")


@pytest.mark.parametrize(("factor", "verdict"), [(1.4, "regression"), (0.7, "improvement"), (1.0, "ok")])
def test_each_contender_is_held_against_the_baseline(factor: float, verdict: str) -> None:
    run = make_run(backends=BOTH, slowness=dict(zip(BOTH, (1.0, factor), strict=True)))
    gate = judge_run(run, {"latency": Threshold(1 + 0.2, named=True)}, parity=False)
    assert {each.key for each in gate.judged} == {cell_key("alexnet", BOTH[1], size) for size in (1, 4)}
    assert {each.verdict for each in gate.judged} == {verdict}
    assert bool(gate.failed) is (verdict == "regression")


def test_what_the_limits_do_not_settle_is_inconclusive() -> None:
    run = make_run(backends=BOTH, slowness=dict(zip(BOTH, (1.0, 1.2), strict=True)), noise_ratio=0.3)
    gate = judge_run(run, {"latency": Threshold(1 + 0.2, named=True)}, parity=False)
    assert {each.verdict for each in gate.judged} == {"inconclusive"}
    assert len(gate.untold) == 2
    assert not gate.failed


def test_cpu_time_is_judged_where_it_is_a_cost() -> None:
    facts: dict[str, Any] = {"backends": BOTH, "slowness": dict(zip(BOTH, (1.0, 1.5), strict=True))}
    assert judge_run(make_run(**facts), {"cpu": Threshold(1 + 0.1, named=True)}, parity=False).judged == ()
    paced = judge_run(make_run(**facts, pace_hz=8.0), {"cpu": Threshold(1 + 0.1, named=True)}, parity=False)
    assert {each.verdict for each in paced.judged} == {"regression"}


def test_a_cell_that_only_the_baseline_has_fails() -> None:
    key = cell_key("alexnet", BOTH[1], 4)
    run = make_run(backends=BOTH, outcomes={key: ("failed", "crash")}, slowness=dict.fromkeys(BOTH, 1.0))
    gate = judge_run(run, {"latency": Threshold(1 + 0.2, named=True)}, parity=False)
    assert [each.key for each in gate.missed] == [key]
    assert gate.failed == 1


def test_a_cell_that_the_baseline_lacks_too_is_nobody_s_fault() -> None:
    outcomes = {cell_key("alexnet", name, 4): ("skipped", "budget") for name in BOTH}
    run = make_run(backends=BOTH, outcomes=outcomes, slowness=dict.fromkeys(BOTH, 1.0))
    assert judge_run(run, {"latency": Threshold(1 + 0.2, named=True)}, parity=False).missed == ()


def test_parity_is_judged_only_when_asked_for() -> None:
    run = make_run(backends=BOTH, parity_failed=(BOTH[1],), slowness=dict.fromkeys(BOTH, 1.0))
    assert judge_run(run, {}, parity=True).failed
    assert not judge_run(run, {}, parity=False).failed
    # Its figures count for nothing, and that is no pass.
    assert judge_run(run, {"latency": Threshold(1 + 0.2, named=True)}, parity=False).failed


def test_a_cell_whose_baseline_failed_is_said() -> None:
    key = cell_key("alexnet", BOTH[0], 4)
    run = make_run(backends=BOTH, outcomes={key: ("failed", "crash")}, slowness=dict.fromkeys(BOTH, 1.0))
    gate = judge_run(run, {"latency": Threshold(1.5, named=True)}, parity=False)
    assert [(each.key, each.fails) for each in gate.missed] == [(cell_key("alexnet", BOTH[1], 4), False)]
    assert gate.untold == ("the baseline counts for nothing there (failed: crash)",)


def test_a_metric_that_was_asked_for_by_name_and_has_no_ratio_is_said() -> None:
    run = make_run(backends=BOTH, slowness=dict.fromkeys(BOTH, 1.0))
    asked: Thresholds = {
        "latency": Threshold(1.5, named=True),
        "energy": Threshold(1.03, named=True),
    }
    assert judge_run(run, asked, parity=False).untold == ("no ratio of energy to the baseline",)


def test_a_queue_at_a_share_of_its_own_capacity_is_said_not_to_be_judged() -> None:
    report = assemble(with_queue(make_journal(backends=BOTH)))
    assert report.queue
    cells = tuple(
        each.model_copy(update={"load": each.load.model_copy(update={"relative_load": 0.5})})
        for each in report.queue.cells
    )
    relative = report.model_copy(update={"queue": report.queue.model_copy(update={"cells": cells})})
    gate = judge_run(relative, {"latency": Threshold(1.5, named=True)}, parity=False)
    assert [(each.key, each.fails) for each in gate.missed] == [
        (each.key, False) for each in cells if each.backend == BOTH[1]
    ]
    assert "at a share of its own capacity, which is no baseline's" in gate.untold
