"""What was predicted beside what was measured."""

import numpy as np

from runner.render.verification import verification_section
from runner.report.assemble import assemble
from runner.twin.answers import Estimate, Prediction, Question, Recommendation
from tests.fakes import make_journal
from tests.queues import with_queue

ANSWER = Recommendation(
    report_id="2026-11-23T21-34-05-k3f9",
    model="alexnet",
    variant="fp32",
    question=Question("poisson", 50.0, 0.2, 0.95, 0),
    metric="cpu_s_per_image",
    domains=(),
    capacity_hz=400.0,
    fit=(),
    excluded=(),
    rated=(),
    winner=None,
    runner_up=None,
    naive=(),
    front=(),
    takeovers=(),
    throughout=None,
    searched_hz=None,
    infeasible="",
)


def predicted(policy: str) -> Prediction:
    estimate = Estimate(0.02, 0.018, 0.023)
    ratio = Estimate(1.0, 0.9, 1.1)
    return Prediction(
        backend="cpu",
        policy=policy,
        arrivals="poisson",
        rate_hz=50.0,
        requests=4096,
        warm_up=1024,
        rows=64,
        percentile_ratio=0.95,
        stable=True,
        response_s=estimate,
        response_p50_s=estimate,
        response_p95_s=estimate,
        response_p99_s=estimate,
        response_percentile_s=estimate,
        wait_s=estimate,
        service_s=estimate,
        cost_per_image=estimate,
        images_per_batch=ratio,
        utilisation_ratio=ratio,
        idle_gap_s=0.01,
        batch_ratios=(0.0, 1.0),
        cost_by_row=np.full(64, 0.02),
    )


def test_every_figure_stands_beside_what_was_measured() -> None:
    live = assemble(with_queue(make_journal(backends=("cpu",)), ("greedy:4", "fixed:4")))
    section = verification_section(ANSWER, (predicted("greedy:4"), predicted("fixed:4")), live)
    (table,) = section.tables
    assert [(row[1], row[2]) for row in table.rows] == [
        (policy, figure)
        for policy in ("greedy:4", "fixed:4")
        for figure in ("mean response", "p95 response", "service", "CPU per image")
    ]
    assert live.queue
    summary = live.queue.cells[0].summary
    assert summary
    ratio = float(table.rows[0][5].rstrip("x"))
    assert abs(ratio - summary.response.mean_s.mean / 0.02) < 0.01
    assert table.rows[0][3] == "20 [18, 23] ms"


def test_what_was_not_replayed_says_why() -> None:
    outcomes = {"fixed:4": ("overloaded", "50 requests/s, capacity 41/s")}
    live = assemble(with_queue(make_journal(backends=("cpu",)), ("greedy:4", "fixed:4"), outcomes=outcomes))  # type: ignore[arg-type]
    section = verification_section(ANSWER, (predicted("fixed:4"),), live)
    assert section.tables == ()
    assert section.notes[0] == "fixed:4 on cpu: overloaded: 50 requests/s, capacity 41/s"
