"""What the twin says of the queue cells of a report, calibrated from the report's own windows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from runner.arrivals.interface import Arrivals
from runner.arrivals.registry import parse_arrivals
from runner.arrivals.trace import KIND as TRACES
from runner.arrivals.trace import Trace
from runner.meters.interface import Domain
from runner.policies.registry import parse_policy
from runner.report.schema import Interval, QueueCell, QueuePrediction, Report
from runner.stats.summary import Numbers
from runner.twin.answers import Estimate
from runner.twin.calibrate import calibrate
from runner.twin.calibration import Calibration
from runner.twin.predict import predict

ROWS = 64
"""replays of a prediction; its 2.5 % point is then the second lowest"""
SEED_OFFSET = 1_000_003
"""Added to the run's seed, so that the twin never sees the arrivals of the run. Any number but 0 does."""


class Twins:
    """The twins of a report's backends, each calibrated once."""

    def __init__(self, report: Report, latencies_s: Sequence[Numbers]) -> None:
        self._report, self._latencies_s = report, latencies_s
        self._known: dict[tuple[str, str, str, tuple[Domain, ...]], Calibration | None] = {}

    def predict(
        self, cell: QueueCell, domains: tuple[Domain, ...], recorded_s: NDArray[np.float64] | None
    ) -> QueuePrediction | None:
        """Return what the twin says of a cell; None where it cannot be calibrated, or has no such batch.

        Nothing of a cell that decodes images: only batches that are ready were measured.

        Args:
            cell: with its rate.
            domains: whose joules are the cost; CPU time where none is given.
            recorded_s: arrivals of one of its windows: what a trace said, whatever became of its file.
        """
        twin, policy = self._twin(cell, domains), parse_policy(cell.load.policy)
        arrivals, rate_hz = _arrivals(cell.load.arrivals, recorded_s), cell.load.request_rate_hz
        if twin is None or policy.largest_batch > twin.sizes[-1] or cell.load.decoded:
            return None
        if arrivals is None or rate_hz is None:
            return None
        told = predict(
            twin,
            policy,
            arrivals,
            rate_hz if arrivals.takes_rate else None,
            requests=cell.load.request_count,
            warm_up=0,
            rows=ROWS,
            seed=self._report.provenance.seed + SEED_OFFSET,
        )
        # As many requests as a window has may be too few to see that a queue grows.
        within = cell.capacity_hz is None or rate_hz < cell.capacity_hz
        return QueuePrediction(
            stable=told.stable and within,
            response_mean_s=_interval(told.response_s),
            response_p95_s=_interval(told.response_p95_s),
            service_mean_s=_interval(told.service_s),
            batch_mean=told.images_per_batch.mean,
            utilisation_ratio=told.utilisation_ratio.mean,
            cost_per_image=_interval(told.cost_per_image),
            cost_metric=twin.metric,
            interpolation_ratio=twin.error_ratio,
        )

    def _twin(self, cell: QueueCell, domains: tuple[Domain, ...]) -> Calibration | None:
        key = (cell.model, cell.variant, cell.backend, domains)
        if key not in self._known:
            found = calibrate(self._report, self._latencies_s, *key)
            self._known[key] = found if isinstance(found, Calibration) else None
        return self._known[key]


def _arrivals(spec: str, recorded_s: NDArray[np.float64] | None) -> Arrivals | None:
    """Return arrivals like those of a cell; None for a trace of which nothing was replayed."""
    if not spec.startswith(f"{TRACES.name}:"):
        return parse_arrivals(spec)
    return None if recorded_s is None else Trace(spec, recorded_s)


def _interval(estimate: Estimate) -> Interval:
    return Interval(mean=estimate.mean, low=estimate.low, high=estimate.high)
