import numpy as np
import pytest

from runner.policies.interface import Policy
from runner.policies.registry import parse_policy
from runner.twin.simulate import simulate
from tests.runner.twin.queueing import Scattered, constant, poisson, regular

SERVICE_S = 0.01
WITHIN_RATIO = 0.01
"""what the twin promises; the runs below are long enough that chance is a third of it"""


def policy(spec: str) -> Policy:
    return parse_policy(spec).policy(np.full(200, SERVICE_S))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_poisson_arrivals_and_equal_services_wait_as_long_as_pollaczek_and_khinchine_say(load: float) -> None:
    arrivals = poisson(load / SERVICE_S, 1000, seed=1)
    figures = simulate(policy("greedy:1"), constant(SERVICE_S), arrivals, 4500, rng(), warm_up=500)
    expected_s = SERVICE_S * load / (2 * (1 - load))
    assert figures.mean_wait_s.mean() == pytest.approx(expected_s, rel=WITHIN_RATIO)
    assert figures.mean_service_s == pytest.approx(SERVICE_S)
    assert figures.mean_response_s == pytest.approx(figures.mean_wait_s + SERVICE_S)
    assert figures.utilisation_ratio.mean() == pytest.approx(load, rel=WITHIN_RATIO)
    # Little's law: what waits at a time is the rate times the wait.
    assert figures.mean_queue.mean() == pytest.approx(load / SERVICE_S * expected_s, rel=2 * WITHIN_RATIO)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_poisson_arrivals_and_exponential_services_wait_as_long_as_erlang_says(load: float) -> None:
    arrivals = poisson(load / SERVICE_S, 1000, seed=2)
    figures = simulate(policy("greedy:1"), Scattered(SERVICE_S), arrivals, 6500, rng(), warm_up=500)
    assert figures.mean_wait_s.mean() == pytest.approx(SERVICE_S * load / (1 - load), rel=WITHIN_RATIO)


@pytest.mark.parametrize("p", [0.5, 0.95, 0.99])
def test_the_response_to_poisson_arrivals_of_exponential_services_is_exponential(p: float) -> None:
    arrivals = poisson(0.5 / SERVICE_S, 250, seed=3)
    figures = simulate(policy("greedy:1"), Scattered(SERVICE_S), arrivals, 20_000, rng(), warm_up=500)
    expected_s = -np.log(1 - p) * SERVICE_S / (1 - 0.5)
    assert figures.response_quantile_s(p).mean() == pytest.approx(expected_s, rel=WITHIN_RATIO)


def test_regular_arrivals_slower_than_the_service_never_wait() -> None:
    figures = simulate(policy("greedy:1"), constant(0.75), regular(1.0, 1000), 1000, rng())
    assert figures.mean_wait_s[0] == 0
    assert figures.mean_queue[0] == 0
    assert figures.max_response_s[0] == 0.75
    assert figures.end_s[0] == 1000.75
    assert (figures.busy_s[0], figures.idle_s[0], figures.cost[0]) == (750, 250.75, 1500)
    assert figures.utilisation_ratio[0] == 750 / 1000.75


@pytest.mark.parametrize("size", [1, 4, 16, 100])
def test_full_batches_of_regular_arrivals_wait_for_half_of_the_others(size: int) -> None:
    figures = simulate(policy(f"fixed:{size}"), constant(0.5), regular(1.0, 800), 800, rng())
    assert figures.mean_wait_s[0] == (size - 1) / 2
    assert figures.max_response_s[0] == size - 1 + 0.5
    assert figures.batch_counts[0, size] == figures.dispatches[0] == 800 / size


def test_the_last_batch_is_what_is_left() -> None:
    figures = simulate(policy("fixed:16"), constant(0.5), regular(1.0, 40), 40, rng())
    assert figures.batch_counts[0].nonzero()[0].tolist() == [8, 16]
    assert figures.batch_counts[0, [8, 16]].tolist() == [1, 2]


def test_a_timeout_and_a_deadline_bound_the_wait_exactly() -> None:
    waiting = simulate(policy("timeout:64@4s"), constant(0.5), regular(1.0, 500), 500, rng())
    assert waiting.max_response_s[0] == 4.5
    in_time = simulate(policy("deadline:64@4s"), constant(SERVICE_S), regular(1.0, 500), 500, rng())
    assert in_time.max_response_s[0] == pytest.approx(4.0, rel=1e-12)
