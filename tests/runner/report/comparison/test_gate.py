"""What a gate says of comparisons."""

import pytest

from runner.errors import UsageError
from runner.report.comparison.compare import compare, make_side
from runner.report.comparison.evidence import METRICS
from runner.report.comparison.gate import Gate, Threshold, judge, parse_thresholds
from runner.report.comparison.spread import Spread, calibrate
from runner.report.schema import Report
from tests.fakes import cell_key
from tests.runner.report.comparison.runs import changed, make_run

NONE: frozenset[str] = frozenset()


@pytest.fixture(scope="module")
def spread() -> Spread:
    return calibrate(make_side([make_run(f"r{seed}", seed, pace_hz=8.0) for seed in range(6)]), "0.1.0")


def _gate(new: Report, spread: Spread | None, *, parity: bool = False, **thresholds: float) -> Gate:
    asked = {
        metric: Threshold(1 + thresholds[metric], named=True) for metric in METRICS if metric in thresholds
    }
    found = compare(make_side([make_run(seed=20, pace_hz=8.0)]), make_side([new]), spread, NONE)
    return judge(found, asked, parity=parity, allowed=NONE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5%", {"latency": 0.05, "cpu": 0.05, "energy": 0.05}),
        ("latency=5%,energy=3%", {"latency": 0.05, "energy": 0.03}),
        (" CPU = 10% ", {"cpu": 0.1}),
    ],
)
def test_thresholds(text: str, expected: dict[str, float]) -> None:
    found = parse_thresholds([text], "--fail-on-regression")
    assert {metric: each.ratio - 1 for metric, each in found.items()} == pytest.approx(expected)
    assert {each.named for each in found.values()} == {"=" in text}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "0%",
        "-5%",
        "100%",
        "speed=5%",
        "latency",
        "latency=",
        "latency=5%,latency=6%",
        "5%,cpu=3%",
        "=",
    ],
)
def test_thresholds_that_are_none_are_one_line(text: str) -> None:
    with pytest.raises(UsageError, match="Cannot read --fail-on-regression"):
        parse_thresholds([text], "--fail-on-regression")


def test_thresholds_of_several_flags_add_up() -> None:
    assert parse_thresholds(["latency=5%", "cpu=3%"], "x") == {
        "latency": Threshold(1.05, named=True),
        "cpu": Threshold(1.03, named=True),
    }


def test_a_run_of_the_same_thing_passes(spread: Spread) -> None:
    gate = _gate(make_run("new", 21, pace_hz=8.0), spread, latency=0.05, cpu=0.05)
    assert not gate.failed
    assert gate.of("regression") == ()
    assert gate.detectable is not None


def test_a_slowdown_fails_with_its_cells(spread: Spread) -> None:
    gate = _gate(make_run("new", 21, 1.5, pace_hz=8.0), spread, latency=0.05)
    assert gate.failed
    assert cell_key("alexnet", "cpu", 1) in {each.figure.key for each in gate.of("regression")}
    assert all(each.low is not None and each.low > 1.05 for each in gate.of("regression"))


def test_a_speedup_is_said_and_passes(spread: Spread) -> None:
    gate = _gate(make_run("new", 21, 0.5, pace_hz=8.0), spread, latency=0.05)
    assert not gate.failed
    assert gate.of("improvement")


def test_only_what_has_a_threshold_is_judged_and_occupancy_never(spread: Spread) -> None:
    gate = _gate(make_run("new", 21, 1.5, pace_hz=8.0), spread, cpu=0.05)
    assert {(each.figure.metric, each.figure.key) for each in gate.judged} == {
        ("cpu", cell_key("alexnet", "cpu", size, 8.0)) for size in (1, 4)
    }


def test_without_a_spread_even_thrice_as_slow_is_inconclusive() -> None:
    gate = _gate(make_run("new", 21, 3.0, pace_hz=8.0), None, latency=0.05)
    assert not gate.failed
    assert gate.untold
    assert {each.verdict for each in gate.judged} == {"inconclusive"}
    assert {each.reason for each in gate.judged} == {"no spread of repeated runs is known"}
    assert gate.detectable is None


def test_a_cell_that_the_new_run_lost_fails(spread: Spread) -> None:
    key = cell_key("alexnet", "cpu", 4)
    for new in (
        make_run("new", 21, pace_hz=8.0, outcomes={key: ("failed", "crash")}),
        make_run("new", 21, pace_hz=8.0, batch_sizes=(1,)),
    ):
        gate = _gate(new, spread, latency=0.05)
        assert gate.failed
        assert key in {each.key for each in gate.missed}


def test_a_cell_that_may_be_missing_is_inconclusive(spread: Spread) -> None:
    new = make_run("new", 21, pace_hz=8.0, batch_sizes=(1,))
    found = compare(
        make_side([make_run(seed=20, pace_hz=8.0)]), make_side([new]), spread, frozenset({"missing"})
    )
    gate = judge(found, {"latency": Threshold(1.5, named=True)}, parity=False, allowed=frozenset({"missing"}))
    assert not gate.failed
    assert gate.untold


def test_a_refused_cell_is_inconclusive_and_named(spread: Spread) -> None:
    new = changed(make_run("new", 21, pace_hz=8.0), "models", sha256="1" * 64)
    gate = _gate(new, spread, latency=0.05)
    assert not gate.failed
    assert {each.reason for each in gate.missed} == {"refused by model-hash"}


def test_parity_fails_only_when_asked_for(spread: Spread) -> None:
    new = make_run("new", 21, pace_hz=8.0, parity_failed=("cpu",))
    assert _gate(new, spread, parity=True).failed
    assert not _gate(new, spread).failed
    assert not _gate(make_run("new", 21, pace_hz=8.0), spread, parity=True).failed


def test_limits_hold_for_all_figures_together(spread: Spread) -> None:
    new = make_run("new", 21, pace_hz=8.0)
    one = _gate(new, spread, cpu=0.05).judged[0]
    many = next(
        each
        for each in _gate(new, spread, latency=0.05, cpu=0.05).judged
        if each.figure.key == one.figure.key and each.figure.metric == "cpu"
    )
    assert one.low is not None
    assert many.low is not None
    assert many.low < one.low


def test_a_metric_that_the_new_run_lost_is_named(spread: Spread) -> None:
    base = make_side([make_run(seed=20, energy="measured")])
    for asked in (parse_thresholds([text], "x") for text in ("energy=3%", "5%")):
        found = compare(base, make_side([make_run("new", 21)]), spread, NONE)
        gate = judge(found, asked, parity=False, allowed=NONE)
        assert "no energy in the new run" in {each.reason for each in gate.missed}
        assert {each.lacks["energy"] for each in found.matched} == {"no energy in the new run"}
        assert not any(each.fails for each in gate.missed)
        assert gate.untold


def test_a_metric_that_was_asked_for_by_name_and_nobody_measured_is_said(spread: Spread) -> None:
    gate = _gate(make_run("new", 21, pace_hz=8.0), spread, latency=0.5, energy=0.03)
    assert {each.reason for each in gate.missed} == {"no energy on either side"}
    found = compare(
        make_side([make_run(seed=20, pace_hz=8.0)]),
        make_side([make_run("new", 21, pace_hz=8.0)]),
        spread,
        NONE,
    )
    assert judge(found, parse_thresholds(["50%"], "x"), parity=False, allowed=NONE).missed == ()


def test_a_cell_that_one_run_of_the_reference_side_lacks_is_no_pass(spread: Spread) -> None:
    key = cell_key("alexnet", "cpu", 4)
    for other in (
        make_run("b", 22, outcomes={key: ("failed", "crash")}),
        make_run("b", 22, batch_sizes=(1,)),
    ):
        found = compare(make_side([make_run("a", 20), other]), make_side([make_run("new", 21)]), spread, NONE)
        gate = judge(found, {"latency": Threshold(1.5, named=True)}, parity=False, allowed=NONE)
        assert [(each.key, each.fails) for each in gate.missed] == [(key, False)]


def test_parity_that_nobody_took_is_no_pass_and_a_backend_that_did_not_open_fails(spread: Spread) -> None:
    new = make_run("new", 21)
    never = new.model_copy(
        update={"sessions": tuple(each.model_copy(update={"parity": None}) for each in new.sessions)}
    )
    broken = changed(new, "sessions", status="failed", reason="no such provider", parity=None)
    assert _gate(never, spread, parity=True).untold == ("parity of alexnet cpu: not taken",)
    assert _gate(new.model_copy(update={"sessions": ()}), spread, parity=True).untold == (
        "parity of alexnet cpu: no session",
    )
    assert _gate(broken, spread, parity=True).parity == ("alexnet cpu could not be opened: no such provider",)
