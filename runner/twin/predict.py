"""What a policy will do at a request rate, predicted by the twin, with intervals."""

from collections.abc import Iterable
from math import ceil, sqrt

import numpy as np

from runner.arrivals.interface import Arrivals
from runner.errors import AbsentError
from runner.policies.interface import Policy
from runner.policies.registry import PolicySpec
from runner.stats.estimate import NORMAL_95
from runner.stats.intervals import CONFIDENCE
from runner.twin.answers import Estimate, Prediction
from runner.twin.calibration import Calibration
from runner.twin.figures import QueueFigures
from runner.twin.service import Counts, Floats
from runner.twin.simulate import STRETCH, simulate

ROWS = 64
"""queues of a prediction, each with its own sample of the calibration: their 2.5 % point is then the second lowest"""
REQUESTS = 4096
"""of a row: twice what it takes to find that a queue grows (``QueueFigures.stable``)"""
WARM_UP = 1024
"""requests of a row that a steady state leaves out. Ours: at 95 % of capacity a queue forgets its start within some
hundred batches"""

_ARRIVALS, _SERVICES = 0, 1
"""streams of random numbers"""


def predict(  # noqa: PLR0913 - what is asked, and how well to answer
    calibration: Calibration,
    spec: PolicySpec,
    arrivals: Arrivals,
    rate_hz: float | None,
    *,
    percentile_ratio: float = 0.95,
    requests: int = REQUESTS,
    warm_up: int = WARM_UP,
    rows: int = ROWS,
    seed: int = 0,
) -> Prediction:
    """Return what happens to requests that a policy serves in batches on a calibrated backend.

    With a warm-up it is the steady state; without one the given number of requests from an empty queue on, as a live
    window replays them. Equal arguments give equal predictions. Requests are rounded up to whole batches of the largest
    size where their number is free, so that the end of the simulation forces no batch that the policy would not form.

    Args:
        calibration: of the backend.
        spec: of the policy.
        arrivals: when requests come.
        rate_hz: mean requests per second; None for a trace.
        percentile_ratio: which response percentile is asked for besides p50, p95 and p99; above 0 and below 1.
        requests: of each row; a shorter trace has fewer.
        warm_up: how many of them the figures leave out.
        rows: queues, each with its own bootstrap sample of the calibration.
        seed: of arrivals, samples and services.

    Raises:
        AbsentError: the policy's batches are larger than any that was measured.
    """
    if warm_up and arrivals.available is None:
        requests = spec.largest_batch * ceil(requests / spec.largest_batch)
    if arrivals.available is not None:
        requests, warm_up = min(requests, arrivals.available), 0
    chunks_s = arrivals.chunks(rate_hz, rows, STRETCH, arrival_rng(seed))
    figures = simulate_policy(calibration, spec, chunks_s, requests=requests, warm_up=warm_up, seed=seed)
    evidence = calibration.windows.evidence

    def estimate(values: Floats) -> Estimate:
        return estimate_rows(values, evidence)

    batches = figures.batch_counts.sum(axis=0)
    dispatches = max(1, int(batches.sum()))
    return Prediction(
        backend=calibration.backend,
        policy=str(spec),
        arrivals=arrivals.spec,
        rate_hz=rate_hz,
        requests=requests,
        warm_up=warm_up,
        rows=rows,
        percentile_ratio=percentile_ratio,
        stable=bool(figures.stable.all()),
        response_s=estimate(figures.mean_response_s),
        response_p50_s=estimate(figures.response_quantile_s(0.5)),
        response_p95_s=estimate(figures.response_quantile_s(0.95)),
        response_p99_s=estimate(figures.response_quantile_s(0.99)),
        response_percentile_s=estimate(figures.response_quantile_s(percentile_ratio)),
        wait_s=estimate(figures.mean_wait_s),
        service_s=estimate(figures.mean_service_s),
        cost_per_image=estimate(cost := _per(figures.cost, figures.counted)),
        images_per_batch=estimate(_per(figures.counted, figures.dispatches)),
        utilisation_ratio=estimate(figures.utilisation_ratio),
        idle_gap_s=float(figures.idle_s.sum()) / dispatches,
        batch_ratios=tuple((batches / dispatches).tolist()),
        cost_by_row=cost,
        variant=calibration.variant,
    )


def _per(part: Floats | Counts, whole: Counts) -> Floats:
    """Return the quotients by row, nan where nothing counted: the queue was stopped before its warm-up ended."""
    quotients = np.full(len(part), np.nan)
    np.divide(part, whole, out=quotients, where=whole > 0)
    return quotients


def arrival_rng(seed: int) -> np.random.Generator:
    """Return the generator of arrivals: equal seeds give equal ones to every policy and backend."""
    return np.random.default_rng((seed, _ARRIVALS))


def simulate_policy(  # noqa: PLR0913 - as predict
    calibration: Calibration,
    spec: PolicySpec,
    arrivals_s: Iterable[Floats],
    *,
    requests: int,
    warm_up: int,
    seed: int,
) -> QueueFigures:
    """Return the figures of the queues whose arrivals these are, a row each.

    Raises:
        AbsentError: the policy's batches are larger than any that was measured.
    """
    policy, services = policy_on(calibration, spec), np.random.default_rng((seed, _SERVICES))
    return simulate(policy, calibration, arrivals_s, requests, services, warm_up=warm_up)


def policy_on(calibration: Calibration, spec: PolicySpec) -> Policy:
    """Return the policy with the service times that it expects of this backend.

    Raises:
        AbsentError: its batches are larger than any that was measured.
    """
    largest = calibration.sizes[-1]
    if spec.largest_batch > largest:
        raise AbsentError(
            f"Cannot predict {spec} on {calibration.contender}",
            expected=f"batches of at most {largest}, the largest measured",
            got=str(spec.largest_batch),
            fix=f"Measure it with --batch-sizes {','.join(map(str, (*calibration.sizes, spec.largest_batch)))}",
        )
    return spec.policy(calibration.service_s(spec.largest_batch))


def estimate_rows(values: Floats, evidence: int) -> Estimate:
    """Return the mean of times, costs or counts over rows with its limits, none of them below 0.

    Args:
        values: by row, each from its own bootstrap sample.
        evidence: how many independent pieces the samples were drawn from.
    """
    low, high = limits(values, evidence)
    return Estimate(float(values.mean()), max(0.0, low), high)


def limits(values: Floats, evidence: int) -> tuple[float, float]:
    """Return the 95 % limits of a mean over rows, from the rows' quantiles, as far as the evidence goes."""
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    mean, stretch = float(values.mean()), stretch_ratio(evidence)
    return mean - stretch * (mean - float(low)), mean + stretch * (float(high) - mean)


def half_width(values: Floats, evidence: int) -> float:
    """Return half of the 95 % interval of a mean over rows that are too few for quantiles."""
    return stretch_ratio(evidence) * NORMAL_95 * float(values.std(ddof=1))


def stretch_ratio(evidence: int) -> float:
    """Return by how much the spread of bootstrap samples of few pieces falls short of a 95 % interval.

    Their variance is (n - 1) / n of what it should be, and few pieces know it badly: Student's t with n - 1 degrees.

    Source:
        Davison and Hinkley, Bootstrap Methods and their Application (1997), sections 2.5.1 and 2.6.
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - costs 0.1 s, which no help need pay

    t = float(stdtrit(evidence - 1, (1 + CONFIDENCE) / 2))
    return t / NORMAL_95 * sqrt(evidence / (evidence - 1))
