"""Which policies are worth a long simulation: all of them tried in short, at many request rates together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from runner.arrivals.interface import Arrivals
from runner.policies.registry import PolicySpec
from runner.twin.calibration import Calibration
from runner.twin.predict import arrival_rng, simulate_policy
from runner.twin.rating import ALIKE_RATIO, LEAST_SAVING_RATIO
from runner.twin.service import Floats
from runner.twin.simulate import STRETCH

DELAY_RATIOS = (0.125, 0.25, 0.5, 0.75)
"""delays of ``timeout`` as shares of the limit: what is left of it has to hold the service and some queueing"""
DEADLINE_RATIOS = (0.9, 1.0)
"""of ``deadline``: at the limit itself a service that takes longer than expected comes too late"""
_DIGITS = 3
"""significant ones of a delay, as people write them"""
REPLICATIONS = 12
"""queues of each rate, enough for the spread of paired differences"""
REQUESTS, WARM_UP = 448, 64
"""of each queue"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy on a backend."""

    calibration: Calibration
    spec: PolicySpec

    @property
    def capacity_hz(self) -> float:
        """Requests per second above which its queue grows: full batches, one after the other."""
        size = self.spec.largest_batch
        return size / self.calibration.mean_service_s(size, 0.0)

    def __str__(self) -> str:
        """As people say it."""
        return f"{self.spec} on {self.calibration.contender}"


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate tried in short: by rate and replication; those of other candidates are paired with them."""

    candidate: Candidate
    rates_hz: tuple[float | None, ...]
    percentile_s: Floats
    """of the response; infinite at and above capacity"""
    cost: Floats
    """per image"""

    def keeps(self, limit_s: float, place: int, slack: float = 1.0) -> bool:
        """Return whether its response percentile is within so many times the limit, at the rate of this place."""
        return bool(self.percentile_s[place].mean() <= slack * limit_s)


def candidates(calibration: Calibration, limit_s: float) -> tuple[Candidate, ...]:
    """Return the policies that are searched: measured batch sizes and powers of two, delays as shares of the limit."""
    largest = calibration.sizes[-1]
    powers = (1 << exponent for exponent in range(largest.bit_length()))
    sizes = sorted({*calibration.sizes, *powers})
    specs = [PolicySpec("greedy", size, 0.0) for size in sizes]
    for size in sizes[1:]:
        specs.append(PolicySpec("fixed", size, 0.0))
        specs += (PolicySpec("timeout", size, _rounded(share * limit_s)) for share in DELAY_RATIOS)
        specs += (PolicySpec("deadline", size, _rounded(share * limit_s)) for share in DEADLINE_RATIOS)
    return tuple(Candidate(calibration, spec) for spec in specs)


def _rounded(seconds: float) -> float:
    return float(f"{seconds:.{_DIGITS}g}")


def trial(  # noqa: PLR0913 - what is tried, and how long
    candidate: Candidate,
    arrivals: Arrivals,
    rates_hz: Sequence[float | None],
    percentile_ratio: float,
    seed: int,
    *,
    requests: int = REQUESTS,
) -> Trial:
    """Return a short simulation of one candidate at these rates; None is the rate of a trace."""
    size = candidate.spec.largest_batch
    requests = size * ceil(requests / size)
    if arrivals.available is None:
        rates = np.repeat(np.array(rates_hz, np.float64), REPLICATIONS)
        figures = simulate_policy(
            candidate.calibration,
            candidate.spec,
            arrivals.chunks(rates, rates.size, STRETCH, arrival_rng(seed)),
            requests=requests,
            warm_up=WARM_UP,
            seed=seed,
        )
    else:
        pieces_s = _pieces(arrivals, min(requests, arrivals.available))
        figures = simulate_policy(
            candidate.calibration,
            candidate.spec,
            [pieces_s],
            requests=pieces_s.shape[1],
            warm_up=0,
            seed=seed,
        )
    percentile_s = figures.response_quantile_s(percentile_ratio).reshape(-1, REPLICATIONS)
    too_much = [rate_hz is not None and rate_hz >= candidate.capacity_hz for rate_hz in rates_hz]
    percentile_s[np.array(too_much)] = np.inf
    cost = (figures.cost / figures.counted).reshape(-1, REPLICATIONS)
    return Trial(candidate, tuple(rates_hz), percentile_s, cost)


def _pieces(arrivals: Arrivals, requests: int) -> Floats:
    """Return pieces of a trace from its beginning to its end, a row each, as if each began with an idle server."""
    assert arrivals.available is not None
    times_s = arrivals.times_s(None, arrivals.available, np.random.default_rng(0))
    begins = np.linspace(0, times_s.size - requests, REPLICATIONS).astype(np.int64)
    before_s = np.append(0.0, times_s)[begins]
    pieces_s: Floats = times_s[begins[:, np.newaxis] + np.arange(requests)] - before_s[:, np.newaxis]
    return pieces_s


def shortlist(trials: Iterable[Trial], limit_s: float, place: int, each: int) -> tuple[Candidate, ...]:
    """Return who is worth a long simulation at the rate of this place.

    Args:
        trials: of all.
        limit_s: of the response percentile.
        place: of the rate.
        each: how many of the cheapest that seem to keep the limit, and of those that a longer simulation may find to;
            then those which none is both faster and cheaper than; and, where none seems to keep it, the fastest.
    """
    ordered = sorted(_distinct(trials, place), key=lambda one: float(one.cost[place].mean()))
    finite = [one for one in ordered if np.isfinite(one.percentile_s[place]).all()]
    sure = [one for one in finite if one.keeps(limit_s, place, _SURE)]
    maybe = [
        one for one in finite if not one.keeps(limit_s, place, _SURE) and one.keeps(limit_s, place, _MAYBE)
    ]
    fastest = sorted(finite, key=lambda one: float(one.percentile_s[place].mean()))
    chosen = [*sure[:each], *maybe[:each], *_front(fastest, place), *([] if sure else fastest[:each])]
    return tuple({id(one): one.candidate for one in chosen}.values())


def _distinct(trials: Iterable[Trial], place: int) -> list[Trial]:
    """Return them without those that do what a smaller batch size does, because larger batches hardly ever form."""
    found: list[Trial] = []
    for one in sorted(trials, key=lambda one: one.candidate.spec.largest_batch):
        contender = one.candidate.calibration.contender
        if not any(
            other.candidate.calibration.contender == contender
            and np.allclose(one.cost[place], other.cost[place], rtol=ALIKE_RATIO)
            and np.allclose(one.percentile_s[place], other.percentile_s[place], rtol=ALIKE_RATIO)
            for other in found
        ):
            found.append(one)
    return found


_SURE, _MAYBE = 0.95, 1.15
"""of the limit: a percentile of a short simulation may be off by as much"""


def _front(fastest: Iterable[Trial], place: int) -> list[Trial]:
    """Return those that cost clearly less than all faster ones."""
    found: list[Trial] = []
    for one in fastest:
        if not found or one.cost[place].mean() < (1 - LEAST_SAVING_RATIO) * found[-1].cost[place].mean():
            found.append(one)
    return found


def rate_grid(highest_hz: float, asked_hz: float, count: int) -> NDArray[np.float64]:
    """Return rates around the one that is asked for, each a fixed ratio above the one before; it comes first."""
    lowest_hz = min(asked_hz, highest_hz) / _SPREAD
    return np.append(asked_hz, np.geomspace(lowest_hz, highest_hz, count))


_SPREAD = 16
"""from a sixteenth of the rate on: a service that is asked for 32 images/s sees 2/s at night"""
