"""Each rule sees its difference, and what it does then."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.report.comparison.compare import compare, make_side
from runner.report.comparison.rules import IDENTITY, RULES
from runner.report.schema import Report
from tests.fakes import GPU
from tests.processes import ROOT
from tests.runner.report.comparison.runs import changed, make_run

PAGE = Path(ROOT / "docs" / "compare.md")


def _gpus(**facts: object) -> Callable[[Report], Report]:
    return lambda report: changed(report, "environment", gpus=(GPU.model_copy(update=facts),))


def _sessions(**facts: str) -> Callable[[Report], Report]:
    return lambda report: report.model_copy(
        update={
            "sessions": tuple(
                each.model_copy(update={"facts": each.facts | facts}) for each in report.sessions
            )
        }
    )


def _energy(report: Report) -> Report:
    cells = []
    for cell in report.cells:
        assert cell.summary
        assert cell.summary.energy
        energy = cell.summary.energy.model_copy(update={"sources": ("other",)})
        cells.append(cell.model_copy(update={"summary": cell.summary.model_copy(update={"energy": energy})}))
    return report.model_copy(update={"cells": tuple(cells)})


CHANGES: dict[str, Callable[[Report], Report]] = {
    "model-hash": lambda report: changed(report, "models", sha256="1" * 64),
    "weights": lambda report: changed(report, "models", weights="random, seed 1"),
    "provider": lambda report: changed(report, "sessions", nodes_by_provider={"OtherExecutionProvider": 12}),
    "backend-options": lambda report: changed(report, "backends", spec="cuda:tf32=off"),
    "threads": _sessions(intra_op_num_threads="7"),
    "cpu": lambda report: changed(report, "environment", cpu="another"),
    "usable-cores": lambda report: changed(report, "environment", usable_cores=1.5),
    "gpu": _gpus(name="NVIDIA A100"),
    "power-limit": _gpus(power_limit_w=400.0),
    "gpu-driver": _gpus(driver="1.2"),
    "inputs": lambda report: changed(report, "provenance", config={"shapes": {"x": [3, 8, 8]}}),
    "meters": _energy,
    "onnxruntime-version": _sessions(onnxruntime="9.9"),
    "interpreter": _sessions(python="3.99"),
    "governor": lambda report: changed(report, "environment", governor="powersave"),
    "host": lambda report: changed(report, "environment", host="another"),
    "profile": lambda report: changed(report, "provenance", profile="quick"),
    "joulebatch-version": lambda report: report.model_copy(update={"joulebatch": "9.9"}),
}


@pytest.fixture(scope="module")
def reference() -> Report:
    run = make_run(backends=("cuda",), slowness={"cuda": 1.0}, energy="measured")
    known = _sessions(intra_op_num_threads="2", onnxruntime="1.32.0", python="3.11.7")(run)
    return changed(known, "environment", governor="performance")


@pytest.mark.parametrize("name", CHANGES)
def test_a_rule_sees_its_difference_and_no_other_does(name: str, reference: Report) -> None:
    new = CHANGES[name](reference)
    found = compare(make_side([reference]), make_side([new]), None, frozenset())
    for cell in found.matched:
        assert [breach.rule.name for breach in cell.breaches] == [name]
        metrics = {figure.metric for figure in cell.figures}
        rule = RULES[name]
        barred = set(rule.metrics) if rule.action == "refuse" else set()
        assert metrics == {"latency", "cpu", "energy"} - barred
    allowed = compare(make_side([reference]), make_side([new]), None, frozenset({name}))
    assert all(len(cell.figures) == 3 for cell in allowed.matched)
    assert {breach.action for cell in allowed.matched for breach in cell.breaches} == {"warn"}


def test_every_rule_is_tried_here_but_that_of_queues() -> None:
    assert {*CHANGES, "requests"} == set(RULES)


def test_runs_that_are_alike_break_no_rule(reference: Report) -> None:
    found = compare(make_side([reference]), make_side([reference]), None, frozenset())
    assert all(not cell.breaches for cell in found.matched)
    assert found.figures


def test_a_label_and_an_interpreter_are_no_options() -> None:
    reference = make_run()
    for spec in ("A=cpu", "cpu@old"):
        new = changed(reference, "backends", spec=spec)
        found = compare(make_side([reference]), make_side([new]), None, frozenset())
        assert not any(cell.breaches for cell in found.matched), spec


def test_options_in_another_order_are_the_same() -> None:
    one = changed(make_run(), "backends", spec="cpu:threads=1,spin=off")
    two = changed(make_run(), "backends", spec="cpu:spin=off,threads=1")
    found = compare(make_side([one]), make_side([two]), None, frozenset())
    assert not any(cell.breaches for cell in found.matched)


def test_another_gpu_is_nothing_to_a_cell_on_the_processor() -> None:
    reference = make_run()
    found = compare(make_side([reference]), make_side([_gpus()(reference)]), None, frozenset())
    assert not any(cell.breaches for cell in found.matched)


def test_what_an_old_report_does_not_say_is_no_difference(reference: Report) -> None:
    old = changed(reference, "sessions", facts={})
    found = compare(make_side([old]), make_side([reference]), None, frozenset())
    # The interpreter is known from elsewhere, and differs from the worker's here.
    assert {breach.rule.name for cell in found.matched for breach in cell.breaches} <= {"interpreter"}


def test_the_page_lists_every_rule_with_what_it_does() -> None:
    rows = re.findall(
        r"^\| `([a-z-]+)` \| (.+?) \| (refuses|warns|refuses energy) \|", PAGE.read_text(), re.MULTILINE
    )
    done = {"refuse": "refuses", "warn": "warns"}
    assert rows == [
        (rule.name, rule.what, done[rule.action] + (" energy" if rule.metrics == ("energy",) else ""))
        for rule in RULES.values()
    ]


def test_runs_of_one_thing_share_all_that_refuses() -> None:
    assert set(IDENTITY) == {name for name, rule in RULES.items() if rule.action == "refuse"}
