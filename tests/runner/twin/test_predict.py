from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from runner.arrivals.registry import parse_arrivals
from runner.arrivals.trace import Trace
from runner.errors import AbsentError
from runner.policies.registry import parse_policy
from runner.twin.answers import Prediction
from runner.twin.calibration import Calibration
from runner.twin.predict import estimate_rows, predict, stretch_ratio
from runner.twin.service import Counts, Floats, Rows
from runner.twin.simulate import simulate
from tests.runner.twin.synthetic import Run, Server, affine_s, calibrated, spinning

SERVICE_S = affine_s(1, 0.0)
WORKERS = Run(blocks=30, workers=5)
"""enough processes that none is assumed to differ from what was measured"""


def ask(
    calibration: Calibration, spec: str, rate_hz: float, arrivals: str = "poisson", **how: int
) -> Prediction:
    return predict(calibration, parse_policy(spec), parse_arrivals(arrivals), rate_hz, **how)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_windows_of_equal_services_predict_pollaczek_and_khinchine(load: float) -> None:
    predicted = ask(calibrated(Server(), WORKERS), "greedy:1", load / SERVICE_S, rows=500)
    expected_s = SERVICE_S * load / (2 * (1 - load))
    assert predicted.wait_s.mean == pytest.approx(expected_s, rel=0.03)
    assert predicted.service_s.mean == pytest.approx(SERVICE_S)
    assert predicted.response_s.mean == pytest.approx(predicted.wait_s.mean + SERVICE_S)
    assert predicted.utilisation_ratio.mean == pytest.approx(load, rel=0.01)
    assert predicted.images_per_batch.mean == 1
    assert list(predicted.batch_ratios) == [0, 1]
    assert predicted.stable


def test_the_scatter_of_windows_makes_requests_wait_longer() -> None:
    server = Server(noise=lambda rng, count: rng.exponential(1, count))
    calibration = calibrated(server, replace(WORKERS, inferences=300))
    predicted = ask(calibration, "greedy:1", 0.5 / calibration.mean_service_s(1, 0.0), rows=300)
    assert predicted.wait_s.mean == pytest.approx(calibration.mean_service_s(1, 0.0), rel=0.06)


@pytest.mark.parametrize("size", [1, 4, 8])
def test_regular_arrivals_in_full_batches_wait_for_half_of_the_others(size: int) -> None:
    predicted = ask(calibrated(Server(), WORKERS), f"fixed:{size}", 10.0, "constant")
    assert predicted.wait_s.mean == pytest.approx((size - 1) / 2 / 10)
    assert predicted.service_s.mean == pytest.approx(affine_s(size, 0))
    assert predicted.images_per_batch.mean == size
    gap_s = size / 10 - affine_s(size, 0)
    assert predicted.idle_gap_s == pytest.approx(gap_s, rel=1e-3)
    assert predicted.cost_per_image.mean == pytest.approx(spinning(affine_s)(size, gap_s) / size)


HALF_LIFE = 20


def wandering(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Lognormal factors whose logarithms are an AR(1) process, with a spread of 40 %."""
    keep = 0.5 ** (1 / HALF_LIFE)
    steps = rng.normal(0, 0.4 * np.sqrt(1 - keep**2), count)
    level, found = rng.normal(0, 0.4), np.empty(count)
    for place, step in enumerate(steps):
        found[place] = level = keep * level + step
    return np.exp(found)


@dataclass(frozen=True)
class Wandering:
    """The truth that windows of ``wandering`` were cut from, without windows."""

    rng: np.random.Generator
    level: NDArray[np.float64]

    def start(self, rows: int, rng: np.random.Generator) -> "Wandering":
        return Wandering(rng, rng.normal(0, 0.4, rows))

    def draw(self, rows: Rows, counts: Counts, idle_s: Floats) -> tuple[Floats, Floats]:
        keep = 0.5 ** (1 / HALF_LIFE)
        steps = self.rng.normal(0, 0.4 * np.sqrt(1 - keep**2), rows.size)
        self.level[rows] = keep * self.level[rows] + steps
        times_s = SERVICE_S * np.exp(self.level[rows])
        return times_s, times_s


def test_the_autocorrelation_of_services_decides_the_tail() -> None:
    server = Server(noise=wandering, sizes=(1,))
    measured = calibrated(server, Run(blocks=100, inferences=300, workers=100))
    shuffled = measured.windows.relative.copy()
    np.random.default_rng(2).shuffle(shuffled)
    independent = replace(measured, windows=replace(measured.windows, relative=shuffled))
    rate_hz = LOAD / measured.mean_service_s(1, 0.0)
    in_order, out_of_order = (ask(each, "greedy:1", rate_hz, rows=200) for each in (measured, independent))
    true_s = wandering_p95_s()
    # Windows end, and what would have followed is lost: 300 inferences hold most of a half-life of 20, not all.
    assert in_order.response_p95_s.mean == pytest.approx(true_s, rel=0.12)
    assert in_order.response_p95_s.low < true_s < in_order.response_p95_s.high
    assert out_of_order.response_p95_s.high < 0.5 * true_s


LOAD = 0.7


def wandering_p95_s() -> float:
    """Return what a direct simulation of the truth says."""
    rng, policy = np.random.default_rng(0), parse_policy("greedy:1").policy()
    rate_hz = LOAD / (SERVICE_S * np.exp(0.4**2 / 2))
    arrivals = parse_arrivals("poisson").chunks(rate_hz, 200, 500, np.random.default_rng(1))
    truth = simulate(policy, Wandering(rng, np.empty(0)), arrivals, 5000, rng, warm_up=1000)
    return float(truth.response_quantile_s(0.95).mean())


def test_services_after_idle_gaps_decide_at_low_rates() -> None:
    def waking_s(count: int, gap_s: float) -> float:
        return affine_s(count, gap_s) * (1.5 if gap_s else 1.0)

    calibration = calibrated(Server(time_s=waking_s, cost=spinning(waking_s)), WORKERS)
    rare, busy = (ask(calibration, "greedy:1", rate_hz, "constant") for rate_hz in (5.0, 0.999 / SERVICE_S))
    assert rare.service_s.mean == pytest.approx(1.5 * SERVICE_S)
    assert busy.service_s.mean == pytest.approx(SERVICE_S, rel=0.01)


def test_limits_hold_the_truth_in_about_95_of_100_calibrations() -> None:
    """Of the mean service and the cost of a server whose speed wanders from block to block."""
    held = {"service": 0, "cost": 0}
    tries = 120
    for seed in range(tries):
        server = Server(sizes=(1,), gaps_s=(0.0, 0.09), wander=0.1)
        calibration = calibrated(server, Run(blocks=12, inferences=5, workers=12, seed=seed))
        found = ask(calibration, "greedy:1", 10.0, "constant", requests=300, warm_up=0, seed=seed)
        mean_s = SERVICE_S * np.exp(0.1**2 / 2)
        cost_s = 2 * mean_s + min(0.05, 0.1 - mean_s)
        held["service"] += found.service_s.low <= mean_s <= found.service_s.high
        held["cost"] += found.cost_per_image.low <= cost_s <= found.cost_per_image.high
    # Binomial: of 120, fewer than 106 or all of them would be beyond 3 standard deviations of 95 %.
    for count in held.values():
        assert 106 <= count < tries, held


def test_few_pieces_of_evidence_stretch_the_limits() -> None:
    values = np.random.default_rng(0).normal(10, 1, 100_000)
    wide, narrow = estimate_rows(values, 3), estimate_rows(values, 1000)
    assert (narrow.low, narrow.high) == pytest.approx((8.04, 11.96), abs=0.03)
    assert wide.high - wide.mean == pytest.approx(4.303 * (3 / 2) ** 0.5, rel=0.01)
    assert stretch_ratio(10_000) == pytest.approx(1, abs=1e-3)


def test_one_process_may_be_another_and_five_show_it() -> None:
    one, five = (calibrated(Server(), Run(blocks=20, workers=count)) for count in (1, 5))
    assert ask(five, "greedy:1", 10.0, "constant").service_s.high == pytest.approx(SERVICE_S, rel=1e-9)
    spread = ask(one, "greedy:1", 10.0, "constant", rows=1000).service_s
    assert spread.high / SERVICE_S == pytest.approx(1.0216, abs=0.003)


def test_batch_sizes_that_were_not_measured_are_known_less_well() -> None:
    def bent_s(count: int, gap_s: float) -> float:
        return 0.002 * float(count**0.5)

    calibration = calibrated(Server(time_s=bent_s, cost=spinning(bent_s)), WORKERS)
    measured, between = (ask(calibration, f"fixed:{size}", 10.0, "constant") for size in (4, 6))
    assert measured.service_s.high == pytest.approx(bent_s(4, 0), rel=1e-9)
    assert between.service_s.low < bent_s(6, 0) < between.service_s.high
    half = (between.service_s.high - between.service_s.low) / 2
    assert half / between.service_s.mean == pytest.approx(calibration.error_ratio * stretch_ratio(5), rel=0.3)


def test_equal_seeds_predict_the_same_and_others_otherwise() -> None:
    calibration = calibrated(Server(noise=wandering))
    first, second, third = (ask(calibration, "deadline:8@50ms", 100.0, seed=seed) for seed in (1, 1, 2))
    assert first == second
    assert first.response_s != third.response_s


def test_a_rate_above_capacity_is_told() -> None:
    calibration = calibrated(Server())
    assert calibration.capacity_hz() == pytest.approx(8 / affine_s(8, 0))
    assert calibration.capacity_hz(1) == pytest.approx(1 / SERVICE_S)
    assert not ask(calibration, "greedy:8", 1.1 * calibration.capacity_hz()).stable
    far = ask(calibration, "greedy:1", 9 * calibration.capacity_hz(1))  # stopped before its warm-up ends
    assert not far.stable
    assert np.isnan(far.cost_per_image.mean)
    assert ask(calibration, "greedy:8", 0.8 * calibration.capacity_hz()).stable


def test_larger_batches_than_measured_are_refused() -> None:
    with pytest.raises(AbsentError) as raised:
        ask(calibrated(Server()), "fixed:16", 10.0)
    assert str(raised.value) == (
        "Cannot predict fixed:16 on cpu: expected batches of at most 8, the largest measured, got 16. "
        "Measure it with --batch-sizes 1,2,4,8,16."
    )


def test_a_trace_is_replayed_from_an_empty_queue_on() -> None:
    times_s = np.array([1.0, 1.0, 1.0, 3.0, 3.001])
    calibration = calibrated(Server(), WORKERS)
    found = predict(calibration, parse_policy("greedy:8"), Trace("trace:a", times_s), None)
    assert (found.requests, found.warm_up, found.rate_hz) == (5, 0, None)
    first_s, one_s = affine_s(3, 1.0), affine_s(1, 1.0)
    waits_s = [0, 0, 0, 0, one_s - 0.001]
    assert found.wait_s.mean == pytest.approx(np.mean(waits_s))
    assert found.service_s.mean == pytest.approx((3 * first_s + 2 * one_s) / 5)
    assert found.images_per_batch.mean == pytest.approx(5 / 3)


def test_full_batches_are_asked_for_in_whole_numbers() -> None:
    found = ask(calibrated(Server()), "fixed:6", 100.0, requests=100, warm_up=10)
    assert found.requests == 102
    assert found.batch_ratios[6] == 1
    replayed = ask(calibrated(Server()), "fixed:6", 100.0, requests=100, warm_up=0)
    assert replayed.batch_ratios[4] == pytest.approx(1 / 17)


def test_deadlines_expect_what_was_measured_after_gaps() -> None:
    def waking_s(count: int, gap_s: float) -> float:
        return affine_s(count, gap_s) * (1 + gap_s)

    calibration = calibrated(Server(time_s=waking_s, cost=spinning(waking_s)), WORKERS)
    assert calibration.service_s(8)[1:] == pytest.approx([waking_s(count, 0.2) for count in range(1, 9)])
    found = ask(calibration, "deadline:8@100ms", 50.0)
    assert found.response_p99_s.high < 0.1
