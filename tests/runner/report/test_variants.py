"""Variants of one model in a report: compared in the same blocks, and allowed to win or not."""

from itertools import chain

import pytest

from runner.contender import Contender
from runner.report.assemble import assemble
from runner.report.lines import HeaderLine, Line
from runner.report.schema import Quality, Report
from tests.fakes import make_journal
from tests.variants import split_variants

MODEL = "alexnet"


def measured(
    fp16: Quality = "verified", *, allow_unverified: bool = False, parity_failed: tuple[str, ...] = ()
) -> Report:
    """Return a run in which fp16 is clearly the fastest, and int8-static faster still with its quality lost."""
    lines = make_journal(
        (MODEL,),
        ("cpu", "torch", "cpu#fp16", "cpu#int8-static"),
        pace_hz=2,
        blocks=12,
        slowness={"cpu#fp16": 0.6, "cpu#int8-static": 0.3},
        parity_failed=parity_failed,
    )
    lines = split_variants(lines, {"fp16": fp16, "int8-static": "lost"})
    return assemble(_allowing(line) if allow_unverified else line for line in lines)


def _allowing(line: Line) -> Line:
    if not isinstance(line, HeaderLine):
        return line
    return line.model_copy(
        update={"provenance": line.provenance.model_copy(update={"allow_unverified": True})}
    )


def winners(report: Report) -> set[str]:
    """Return the variants of all that any best set or choice names."""
    chosen = ((choice.most_images, choice.least_cost) for choice in report.choices)
    keys = {*chain.from_iterable(best.members for best in report.best_sets), *chain.from_iterable(chosen)}
    return {cell.variant for cell in report.cells if cell.key in keys and cell.backend == "cpu"}


def test_everyone_is_compared_with_the_first_variant_of_the_baseline_backend() -> None:
    report = measured()
    assert report.baselines == {MODEL: Contender("fp32", "cpu")}
    cells = {cell.key: cell for cell in report.cells}
    compared = [each for each in report.comparisons if each.metric == "latency"]
    assert {cells[each.baseline_cell].contender for each in compared} == {Contender("fp32", "cpu")}
    ratios = {cells[each.cell].contender: each.ratio for each in compared if cells[each.cell].load.pace_hz}
    assert ratios.keys() == {
        Contender("fp32", "torch"),
        Contender("fp16", "cpu"),
        Contender("int8-static", "cpu"),
    }
    assert ratios[Contender("fp16", "cpu")] == pytest.approx(0.6, rel=0.05)
    assert {each.pair_count for each in compared} == {12}, (
        "windows of one block are paired, whatever the file"
    )


def test_a_verified_variant_may_win_and_one_that_lost_its_quality_never_does() -> None:
    report = measured("verified")
    assert winners(report) == {"fp16"}
    assert {best.variant for best in report.best_sets} == {None}, "several variants competed"
    assert winners(measured("verified", allow_unverified=True)) == {"fp16"}


def test_a_variant_of_unverified_quality_wins_only_when_it_is_allowed_to() -> None:
    strict, allowing = measured("unverified"), measured("unverified", allow_unverified=True)
    assert winners(strict) == {"fp32"}
    assert {best.variant for best in strict.best_sets} == {"fp32"}
    assert winners(allowing) == {"fp16"}
    assert strict.comparisons == allowing.comparisons, "they are compared all the same"


def test_a_parity_that_the_file_itself_fails_says_nothing_against_the_backend() -> None:
    report = measured(parity_failed=("cpu#int8-static", "cpu#fp16"))
    keys = {each.cell.split("#")[-1].split("/")[0] for each in report.comparisons}
    assert keys >= {"int8-static"}, "known to be off, and compared"
    assert "fp16" not in keys, "the file was near when it was made, so that here the backend is to blame"


def test_a_choice_is_made_over_the_variants_of_a_backend() -> None:
    report = measured("verified")
    choices = {choice.backend: choice for choice in report.choices}
    assert (choices["cpu"].variant, choices["torch"].variant) == (None, "fp32")
    assert choices["cpu"].most_images is not None
    assert "#fp16" in choices["cpu"].most_images


def test_a_run_of_one_variant_says_which_it_was_of() -> None:
    report = assemble(make_journal((MODEL,), blocks=12))
    assert {best.variant for best in report.best_sets} == {"fp32"}
    assert {choice.variant for choice in report.choices} == {"fp32"}
