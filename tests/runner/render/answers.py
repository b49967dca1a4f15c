"""Recommendations as the twin might answer them, for the tests of what shows them."""

from collections.abc import Callable

import numpy as np

from runner.twin.answers import (
    Estimate,
    Excluded,
    Fitness,
    Kept,
    Naive,
    Prediction,
    Question,
    Rated,
    Recommendation,
    Side,
    Takeover,
)


def about(mean: float, half_ratio: float = 0.02) -> Estimate:
    return Estimate(mean, mean * (1 - half_ratio), mean * (1 + half_ratio))


def predicted(  # noqa: PLR0913 - what a test varies
    policy: str, backend: str, percentile_s: float, cost: float, *, batch: float = 1.0, stable: bool = True
) -> Prediction:
    return Prediction(
        backend=backend,
        policy=policy,
        arrivals="uniform",
        rate_hz=32.0,
        requests=4096,
        warm_up=1024,
        rows=64,
        percentile_ratio=0.95,
        stable=stable,
        response_s=about(percentile_s * 0.6),
        response_p50_s=about(percentile_s * 0.5),
        response_p95_s=about(percentile_s),
        response_p99_s=about(percentile_s * 1.1),
        response_percentile_s=about(percentile_s),
        wait_s=about(percentile_s * 0.4),
        service_s=about(percentile_s * 0.2),
        cost_per_image=about(cost),
        images_per_batch=about(batch, 0.001),
        utilisation_ratio=about(0.07),
        idle_gap_s=batch / 32 * 0.93,
        batch_ratios=(0.0, 1.0),
        cost_by_row=np.full(64, cost),
    )


def rated(each: Prediction, kept: Kept = "yes", ratio: float | None = None, *, tied: bool = False) -> Rated:
    return Rated(each, kept, None if ratio is None else about(ratio), tied=tied)


CPU = Fitness("cpu", 986.4, (1, 2, 4, 8, 16, 32), 0.2, 0.032, 10, 5)
SPIN_OFF = Fitness("cpu:spin=off", 1025.1, (1, 2, 4, 8), 0.2, 0.0, 7, 1)


def answered(**facts: object) -> Recommendation:
    """Return one without a winner, otherwise where these facts say so."""
    plain: dict[str, object] = {
        "report_id": "2026-11-26T20-02-45-q69m",
        "model": "shufflenet_v2_x0_5",
        "variant": "fp32",
        "question": Question("uniform", 32.0, 0.2, 0.95, 0),
        "metric": "cpu_s_per_image",
        "domains": (),
        "capacity_hz": 1025.1,
        "fit": (CPU, SPIN_OFF),
        "excluded": (),
        "rated": (),
        "winner": None,
        "runner_up": None,
        "naive": (),
        "front": (),
        "takeovers": (),
        "throughout": None,
        "searched_hz": None,
        "infeasible": "",
    }
    return Recommendation(**(plain | facts))  # type: ignore[arg-type] # facts are named in full by the tests


def found() -> Recommendation:
    """Everything that there may be, on two backends and one that takes no part."""
    off, on = "cpu:spin=off", "cpu"
    winner = rated(predicted("deadline:8@180ms", off, 0.179, 0.00187, batch=6.2), "yes", 1.0)
    tied = [
        rated(
            predicted(f"timeout:8@{delay}ms", off, delay / 950, 0.00188, batch=5.0), "yes", 1.006, tied=True
        )
        for delay in (100, 125, 140, 150, 160)
    ]
    unsure = rated(predicted("deadline:8@195ms", off, 0.1952, 0.00178, batch=6.7), "perhaps", 0.95)
    maybe = rated(predicted("deadline:8@200ms", off, 0.1992, 0.00186, batch=6.6), "perhaps", 0.99, tied=True)
    alone = rated(predicted("greedy:1", off, 0.0029, 0.00262), "yes", 1.4)
    base = rated(predicted("greedy:1", on, 0.003, 0.0338), "yes", 18.1)
    full = [
        rated(predicted("fixed:32", on, 0.965, 0.0032, batch=32), "no", 1.7),
        rated(predicted("fixed:8", off, 0.233, 0.00184, batch=8), "no", 0.984),
    ]
    grows = rated(predicted("greedy:2", on, 9.0, 0.004, stable=False), "no")
    everything = sorted(
        (winner, *tied, unsure, maybe, alone, base, *full), key=lambda one: one.prediction.cost_per_image.mean
    )
    return answered(
        rated=(*everything, grows),
        winner=winner,
        runner_up=alone,
        naive=(
            Naive("batch 1", base),
            Naive("largest batch", full[0]),
            Naive("batch 1", alone),
            Naive("largest batch", full[1]),
        ),
        front=(alone, tied[0], winner, maybe, full[1]),
        takeovers=(
            Takeover(Estimate(610.0, 540.0, 700.0), Side(off, "fixed:8"), Side(on, "greedy:32")),
            Takeover(Estimate(958.0, 950.0, 966.0), Side(on, "greedy:32"), None),
        ),
        searched_hz=(2.0, 1005.0),
        excluded=(Excluded("torch", "failed parity"),),
    )


def energy() -> Recommendation:
    """Joules rank, one backend is best throughout, and its gaps are longer than any that was measured."""
    winner = rated(predicted("timeout:32@12.5s", "cuda", 12.6, 0.83, batch=400.0), "yes", 1.0)
    return answered(
        question=Question("poisson", 32.0, 15.0, 0.999, 7),
        metric="energy_per_image",
        domains=("cpu_package", "dram", "gpu"),
        fit=(Fitness("cuda", 4012.0, (1, 8, 32), 0.2, 0.11, 30, 10),),
        rated=(winner,),
        winner=winner,
        front=(winner,),
        throughout=Side("cuda", "timeout:32@12.5s"),
        searched_hz=(2.0, 3932.0),
    )


def too_slow() -> Recommendation:
    everything = tuple(
        rated(predicted(f"greedy:{size}", "cpu", 0.23 + size / 100, 0.002 / size, batch=size), "no")
        for size in (16, 8, 4, 2, 1, 32)
    )
    return answered(rated=everything, infeasible="latency", searched_hz=(2.0, 966.0), front=everything[:2])


def too_much() -> Recommendation:
    return answered(infeasible="rate", question=Question("uniform", 5000.0, 0.2, 0.95, 0))


def predictions() -> Recommendation:
    return answered(
        question=Question("trace:FILE", None, None, 0.95, 0),
        rated=(
            rated(predicted("greedy:8", "cpu", 0.0042, 0.0121)),
            rated(predicted("fixed:8", "cpu", 0.24, 0.0134, batch=8)),
            rated(predicted("greedy:1", "cpu", 9.0, 0.004, stable=False), "no"),
        ),
    )


def chosen() -> Recommendation:
    """Policies that were asked for, with a limit."""
    winner = rated(predicted("greedy:8", "cpu", 0.0042, 0.0121), "yes", 1.0)
    other = rated(predicted("fixed:8", "cpu", 0.24, 0.0134, batch=8), "no", 1.11)
    return answered(rated=(winner, other), winner=winner, front=(winner,))


ANSWERS: dict[str, Callable[[], Recommendation]] = {
    each.__name__: each for each in (found, energy, too_slow, too_much, predictions, chosen)
}
