from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from runner.arrivals.registry import parse_arrivals
from runner.arrivals.trace import Trace
from runner.contender import Contender
from runner.errors import AbsentError, UsageError
from runner.policies.registry import parse_policy
from runner.report.assemble import Assembled
from runner.report.schema import Quality
from runner.twin.answers import Rated, Recommendation, Side
from runner.twin.eligible import find_eligible
from runner.twin.recommend import Ask, predict_policies, recommend_policy
from tests.runner.twin.synthetic import Law, Run, Server, measure

RUN = Run(blocks=6, inferences=10, workers=6)


def ask(
    rate_hz: float | None = 32.0, limit_s: float | None = 0.2, arrivals: str = "uniform", p: float = 0.95
) -> Ask:
    return Ask(parse_arrivals(arrivals), rate_hz, p, limit_s, 0)


def linear(base_s: float, each_s: float) -> Law:
    return lambda count, gap_s: base_s + each_s * count


def costs(time_s: Law, gap_cost: float = 0.0, per_batch: float = 0.0) -> Law:
    """Return CPU time of the services, of each batch, and of gaps up to 50 ms, a share of their time."""
    return lambda count, gap_s: time_s(count, gap_s) + per_batch + gap_cost * min(gap_s, 0.05)


FAST = linear(0.002, 0.001)


def answer(measured: Assembled, question: Ask | None = None) -> Recommendation:
    eligible = find_eligible(measured.report, measured.latencies_s)
    return recommend_policy(measured.report, eligible, question or ask(), lambda _text, _share: None)


@cache
def plain() -> Assembled:
    """One backend that saves by batching."""
    return measure({"cpu": Server(FAST, costs(FAST, per_batch=0.01))}, RUN)


@cache
def plain_answer() -> Recommendation:
    return answer(plain())


def named(rated: Rated | None) -> str:
    assert rated is not None
    return f"{rated.prediction.policy} on {rated.prediction.backend}"


def test_the_winner_is_the_cheapest_that_keeps_the_limit() -> None:
    found = plain_answer()
    assert found.winner is not None
    assert found.winner.kept == "yes"
    best = found.winner.prediction
    assert best.response_percentile_s.high <= 0.2
    kept = [one.prediction.cost_per_image.mean for one in found.rated if one.kept == "yes"]
    assert best.cost_per_image.mean == min(kept)
    # The longest waits that the limit allows form the largest batches, which cost least here.
    assert best.policy in {"deadline:8@200ms", "timeout:8@150ms", "deadline:8@180ms"}
    assert found.infeasible == ""
    assert (found.metric, found.domains) == ("cpu_s_per_image", ())


def test_a_runner_up_costs_more_than_the_winner_and_ties_do_not() -> None:
    found = plain_answer()
    assert found.runner_up is not None
    assert not found.runner_up.tied
    assert found.runner_up.cost_ratio is not None
    assert found.runner_up.cost_ratio.low > 1
    for one in found.rated:
        assert one.cost_ratio is not None
        if one.tied:
            assert one.cost_ratio.low <= 1
            assert one.kept != "no"
    kept = [one for one in found.rated if one.kept == "yes" and not one.tied and one is not found.winner]
    assert found.runner_up is kept[0]


def test_naive_choices_are_batches_of_one_and_the_largest() -> None:
    found = plain_answer()
    by_name = {each.name: each.rated for each in found.naive}
    assert named(by_name["batch 1"]) == "greedy:1 on cpu"
    assert named(by_name["largest batch"]) == "fixed:8 on cpu"
    alone = by_name["batch 1"].cost_ratio
    assert alone is not None
    winner = found.winner
    assert winner is not None
    # A batch of one costs its 3 ms of service and 10 ms more, and n share the 2 ms and the 10.
    expected = (FAST(1, 0) + 0.01) / winner.prediction.cost_per_image.mean
    assert alone.mean == pytest.approx(expected, rel=0.01)


def test_on_the_front_nothing_is_both_faster_and_cheaper() -> None:
    front = [one.prediction for one in plain_answer().front]
    assert len(front) >= 4
    times_s = [one.response_percentile_s.mean for one in front]
    paid = [one.cost_per_image.mean for one in front]
    assert times_s == sorted(times_s)
    assert paid == sorted(paid, reverse=True)
    for one in plain_answer().rated:
        each = one.prediction
        assert not any(
            each.response_percentile_s.mean < time_s and each.cost_per_image.mean < 0.99 * cost
            for time_s, cost in zip(times_s, paid, strict=True)
        )


def test_equal_questions_have_equal_answers() -> None:
    assert answer(plain()) == plain_answer()


def test_a_rate_above_every_capacity_is_infeasible() -> None:
    found = answer(plain(), ask(rate_hz=900.0))
    assert (found.infeasible, found.winner, found.rated) == ("rate", None, ())
    assert found.fit[0].capacity_hz == pytest.approx(8 / FAST(8, 0))


def test_a_limit_below_every_response_is_infeasible() -> None:
    found = answer(plain(), ask(limit_s=0.0025))
    assert (found.infeasible, found.winner, found.runner_up) == ("latency", None, None)
    fastest = min(one.prediction.response_percentile_s.mean for one in found.rated)
    assert fastest == pytest.approx(FAST(1, 0), rel=0.01)
    assert all(one.kept == "no" and one.cost_ratio is None for one in found.rated)


def test_an_estimate_within_the_limit_wins_only_where_no_interval_is() -> None:
    shaky = measure({"cpu": Server(FAST, costs(FAST), wander=0.3, sizes=(1, 2))}, RUN)
    found = answer(shaky, ask(limit_s=0.0036))
    assert found.winner is not None
    assert found.winner.kept == "perhaps"
    assert found.winner.prediction.response_percentile_s.high > 0.0036


@pytest.mark.parametrize("failed", ["torch", "cpu"])
def test_a_backend_that_failed_parity_never_wins(failed: str) -> None:
    servers = {
        "cpu": Server(FAST, costs(FAST), sizes=(1, 2)),
        "torch": Server(FAST, costs(FAST, per_batch=1.0), sizes=(1, 2)),
    }
    cheap, dear = ("cpu", "torch")
    found = answer(measure(servers, replace(RUN, parity_failed=(failed,))))
    assert {one.prediction.backend for one in found.rated} == {cheap, dear} - {failed}
    assert [(each.backend, each.reason) for each in found.excluded] == [(failed, "failed parity")]


SPINNING = costs(FAST, gap_cost=1.0)
"""cheap in service, dear in gaps"""
SLEEPING = linear(0.003, 0.0012)


@cache
def two() -> Assembled:
    """One backend costs its services, twice as much, and the other its services and its gaps."""
    return measure(
        {
            "spinning": Server(FAST, SPINNING, sizes=(1,)),
            "sleeping": Server(SLEEPING, lambda count, gap_s: 2.5 * SLEEPING(count, gap_s), sizes=(1,)),
        },
        RUN,
    )


def test_another_backend_takes_over_where_the_costs_cross() -> None:
    """With batches of one at r/s the first costs 3 + min(1000 / r - 3, 50) ms and the second 10.5 ms."""
    found = answer(two())
    assert named(found.winner) == "greedy:1 on sleeping"
    [takeover] = found.takeovers
    assert takeover.rate_hz.mean == pytest.approx(CROSSING_HZ, rel=0.02)
    assert takeover.rate_hz.low <= CROSSING_HZ <= takeover.rate_hz.high
    assert takeover.below is not None
    assert takeover.above is not None
    assert (takeover.below.backend, takeover.above.backend) == ("sleeping", "spinning")
    above = answer(two(), ask(rate_hz=120.0))
    assert named(above.winner) == "greedy:1 on spinning"
    assert above.takeovers[0].rate_hz.mean == pytest.approx(CROSSING_HZ, rel=0.02)


CROSSING_HZ = 1 / 0.0105


def test_above_a_rate_nothing_keeps_the_limit() -> None:
    question = ask(rate_hz=100.0, limit_s=0.009, arrivals="poisson")
    found = answer(two(), question)
    last = found.takeovers[-1]
    assert last.above is None
    assert last.below == Side("spinning", "greedy:1")
    measured = two()
    eligible = find_eligible(measured.report, measured.latencies_s, None, ("spinning",))
    for rate_hz, kept in ((0.95 * last.rate_hz.low, ("yes", "perhaps")), (1.05 * last.rate_hz.high, ("no",))):
        [one] = predict_policies(
            measured.report,
            eligible,
            replace(question, rate_hz=rate_hz),
            [parse_policy("greedy:1")],
            lambda _text, _share: None,
        ).rated
        assert one.kept in kept


def test_one_backend_alone_is_best_throughout_or_up_to_a_rate() -> None:
    found = plain_answer()
    assert found.searched_hz is not None
    assert found.searched_hz[0] == 2.0
    sides = [each for takeover in found.takeovers for each in (takeover.below, takeover.above) if each]
    assert {each.backend for each in [*sides, *([found.throughout] if found.throughout else [])]} == {"cpu"}


def test_two_names_of_one_backend_are_tied_and_neither_takes_over() -> None:
    noise = {"noise": lambda rng, count: rng.gamma(25, 1 / 25, count), "sizes": (1, 2)}
    servers = {name: Server(FAST, costs(FAST), **noise) for name in ("A", "B")}  # type: ignore[arg-type]
    found = answer(measure(servers, Run(blocks=8, inferences=10)))
    others = [one for one in found.rated if one.prediction.backend != found.winner.prediction.backend]  # type: ignore[union-attr]
    assert any(one.tied for one in others)
    assert all(takeover.above is None for takeover in found.takeovers)


def joules(time_s: Law, busy_w: float) -> Law:
    return lambda count, gap_s: busy_w * time_s(count, gap_s) + 20 * gap_s


def test_joules_rank_where_they_were_measured_for_all() -> None:
    lean = Server(SLEEPING, costs(SLEEPING, per_batch=1.0), energy_j=joules(SLEEPING, 30), sizes=(1, 2))
    hungry = Server(FAST, costs(FAST), energy_j=joules(FAST, 100), sizes=(1, 2))
    found = answer(measure({"lean": lean, "hungry": hungry}, RUN))
    assert (found.metric, found.domains) == ("energy_per_image", ("cpu_package", "dram", "gpu"))
    assert found.winner is not None
    assert found.winner.prediction.backend == "lean"
    batch = found.winner.prediction.images_per_batch.mean
    mean_s = 0.003 / batch + 0.0012
    expected_j = 30 * mean_s + 20 * (1 / 32 - mean_s)
    assert found.winner.prediction.cost_per_image.mean == pytest.approx(expected_j, rel=0.01)


def test_processors_and_gpus_are_ranked_by_joules_or_not_at_all() -> None:
    servers = {"cpu": Server(FAST, costs(FAST)), "cuda": Server(FAST, costs(FAST))}
    measured = measure(servers, RUN)
    with pytest.raises(AbsentError) as raised:
        find_eligible(measured.report, measured.latencies_s)
    assert str(raised.value) == (
        "Cannot rank cpu and cuda by cost: expected joules of the CPU package and of all GPUs for both, got CPU time, "
        "which leaves out what a GPU does. Pass --backend cpu to choose among backends of one type of device."
    )
    alone = find_eligible(measured.report, measured.latencies_s, None, ("cuda",))
    assert [each.backend for each in alone.calibrations] == ["cuda"]


def test_a_report_without_gaps_says_what_to_run() -> None:
    measured = measure({"cpu": Server(gaps_s=(0.0,)), "torch": Server(gaps_s=(0.0,))}, RUN)
    with pytest.raises(AbsentError) as raised:
        find_eligible(measured.report, measured.latencies_s)
    assert str(raised.value) == (
        f"Cannot predict alexnet from report {measured.report.report_id}: got cpu, torch: no batch size was measured "
        "both back to back and after idle gaps. Run: joulebatch run -m alexnet --backend cpu --backend torch "
        "--batch-sizes 1,2,4,8 --gaps 2ms,20ms,100ms."
    )


def test_names_that_are_not_in_the_report_are_errors() -> None:
    measured = plain()
    for arguments, said in (
        (("vit", ()), "Unknown model 'vit' in report"),
        ((None, ("cuda",)), "Unknown backend 'cuda' in report"),
    ):
        with pytest.raises(UsageError, match=said):
            find_eligible(measured.report, measured.latencies_s, *arguments)
    assert find_eligible(measured.report, measured.latencies_s, "alex").model == "alexnet"
    other = measured.report.models[0].model_copy(update={"name": "vit_b_16"})
    both = measured.report.model_copy(update={"models": (*measured.report.models, other)})
    with pytest.raises(UsageError, match="expected --model, because it holds several, got alexnet, vit_b_16"):
        find_eligible(both, measured.latencies_s)


def _as_variant(measured: Assembled, quality: Quality) -> Assembled:
    """Return the run with its second backend as the variant fp16 under the first."""
    report, (first, second) = measured.report, (each.label for each in measured.report.backends)
    half = report.models[0].model_copy(update={"variant": "fp16", "quality": quality})
    facts = {"backend": first, "variant": "fp16"}
    update = {
        "models": (*report.models, half),
        "backends": report.backends[:1],
        "sessions": tuple(
            each.model_copy(update=facts) if each.backend == second else each for each in report.sessions
        ),
        "cells": tuple(
            each.model_copy(update=facts) if each.backend == second else each for each in report.cells
        ),
    }
    return Assembled(report.model_copy(update=update), measured.latencies_s, measured.replays)


def test_a_variant_is_recommended_once_its_quality_lets_it_win() -> None:
    servers = {"cpu": Server(FAST, costs(FAST, per_batch=0.01)), "half": Server(FAST, costs(FAST))}
    measured = measure(servers, RUN)
    cases: tuple[tuple[Quality, bool, str], ...] = (
        ("verified", False, "fp16"),
        ("unverified", False, "fp32"),
        ("unverified", True, "fp16"),
        ("lost", True, "fp32"),
    )
    for quality, allowed, wins in cases:
        run = _as_variant(measured, quality)
        eligible = find_eligible(run.report, run.latencies_s, allow_unverified=allowed)
        specs = [parse_policy("greedy:8")]
        found = predict_policies(run.report, eligible, ask(), specs, lambda _text, _share: None)
        assert found.winner is not None
        assert found.winner.prediction.contender == Contender(wins, "cpu")
        assert found.variant is None, "several were in question"
        left_out = [(str(each.contender), each.reason) for each in found.excluded]
        assert left_out == ([] if wins == "fp16" else [("cpu fp16", f"quality {quality}")])


def test_a_backend_without_gaps_takes_no_part_and_says_why() -> None:
    servers = {"cpu": Server(FAST, costs(FAST)), "torch": Server(gaps_s=(0.0,))}
    measured = measure(servers, RUN)
    eligible = find_eligible(measured.report, measured.latencies_s)
    assert [each.backend for each in eligible.calibrations] == ["cpu"]
    assert [(each.backend, each.reason[:35]) for each in eligible.excluded] == [
        ("torch", "no batch size was measured both bac")
    ]


def test_policies_that_are_asked_for_are_predicted_and_no_others() -> None:
    measured = plain()
    eligible = find_eligible(measured.report, measured.latencies_s)
    specs = [parse_policy(text) for text in ("fixed:8", "greedy:1")]
    free = predict_policies(measured.report, eligible, ask(limit_s=None), specs, lambda _text, _share: None)
    assert [one.prediction.policy for one in free.rated] == ["fixed:8", "greedy:1"]
    assert (free.winner, free.infeasible, free.naive, free.takeovers) == (None, "", (), ())
    bound = predict_policies(measured.report, eligible, ask(limit_s=0.1), specs, lambda _text, _share: None)
    assert named(bound.winner) == "greedy:1 on cpu"
    tight = predict_policies(measured.report, eligible, ask(limit_s=0.001), specs, lambda _text, _share: None)
    assert (tight.winner, tight.infeasible) == (None, "latency")
    with pytest.raises(AbsentError, match="Cannot predict fixed:9 on cpu"):
        predict_policies(
            measured.report, eligible, ask(), [parse_policy("fixed:9")], lambda _text, _share: None
        )


def test_a_trace_is_searched_without_other_rates() -> None:
    measured = plain()
    eligible = find_eligible(measured.report, measured.latencies_s)
    trace = Trace("trace:t", np.arange(1, 300) / 40)
    found = recommend_policy(
        measured.report, eligible, Ask(trace, None, 0.95, 0.2, 0), lambda _text, _share: None
    )
    assert found.winner is not None
    assert found.winner.prediction.requests == 299
    assert (found.takeovers, found.searched_hz) == ((), None)
    assert found.naive
