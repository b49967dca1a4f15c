"""The recommendation: which policy on which backend costs least within a latency limit, found by simulation."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from runner.arrivals.interface import Arrivals
from runner.contender import Contender
from runner.policies.registry import PolicySpec
from runner.report.schema import Report
from runner.stats.summary import TAIL_SAMPLES
from runner.twin.answers import (
    Fitness,
    Infeasible,
    Naive,
    NaiveName,
    Prediction,
    Question,
    Rated,
    Recommendation,
    Side,
    Takeover,
)
from runner.twin.calibration import Calibration
from runner.twin.eligible import Eligible
from runner.twin.predict import REQUESTS, WARM_UP, policy_on, predict
from runner.twin.rating import front_of, rate, runner_up_of
from runner.twin.search import REQUESTS as TRIAL_REQUESTS
from runner.twin.search import Candidate, Trial, candidates, rate_grid, shortlist, trial
from runner.twin.takeovers import find_takeovers

_EACH = 6
"""candidates of each kind that are simulated at length"""
_RATES = 20
"""that takeovers are looked for at: with a capacity of a thousand times the lowest each is 1.4 times the one before"""
_BELOW_CAPACITY = 0.98
"""the highest of them, as a share of the capacity: at capacity itself no queue comes to rest"""
_CLOSER = 4
"""times the requests of a short trial, where a takeover is closed in on"""
_MOST_REQUESTS = 20_000
"""of a simulated queue: 64 of them take some seconds per policy"""

Say = Callable[[str, float | None], None]
"""told what is done now, and how much of the steps like it is done, where that is known"""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of the twin."""

    arrivals: Arrivals
    rate_hz: float | None
    percentile_ratio: float
    limit_s: float | None
    seed: int

    @property
    def requests(self) -> int:
        """How many a queue needs so that enough of them lie beyond the percentile."""
        if self.arrivals.available is not None:
            return min(self.arrivals.available, _MOST_REQUESTS)
        beyond = WARM_UP + ceil(TAIL_SAMPLES / (1 - self.percentile_ratio))
        return min(max(REQUESTS, beyond), _MOST_REQUESTS)


def recommend_policy(report: Report, eligible: Eligible, ask: Ask, say: Say) -> Recommendation:
    """Return the policy and backend of least cost whose response percentile stays within the limit.

    All policies are tried in short at the rate that is asked for and at twenty others; those that may win, and those
    that none is both faster and cheaper than, are then simulated at length beside the naive choices.

    Args:
        report: that the calibrations are from.
        eligible: backends.
        ask: with a limit.
        say: is told what is done.
    """
    assert ask.limit_s is not None
    found = [each for own in eligible.calibrations for each in candidates(own, ask.limit_s)]
    capacity_hz = max(each.capacity_hz for each in found)
    if ask.rate_hz is not None and ask.rate_hz >= capacity_hz:
        return _answer(report, eligible, ask, (), capacity_hz)
    rates_hz: list[float | None] = [None]
    if ask.rate_hz is not None:
        rates_hz = list(rate_grid(_BELOW_CAPACITY * capacity_hz, ask.rate_hz, _RATES))
    trials = []
    for number, each in enumerate(found, start=1):
        say(f"{number} of {len(found)} policies tried in short: {each}", (number - 1) / len(found))
        trials.append(trial(each, ask.arrivals, rates_hz, ask.percentile_ratio, ask.seed))
    chosen = [*shortlist(trials, ask.limit_s, 0, _EACH), *_naive_candidates(eligible)]
    predictions = _predictions(ask, list({str(each): each for each in chosen}.values()), say)
    others = _other_rates(trials, eligible, ask, say)
    return _answer(report, eligible, ask, predictions, capacity_hz, others)


def predict_policies(
    report: Report, eligible: Eligible, ask: Ask, specs: Sequence[PolicySpec], say: Say
) -> Recommendation:
    """Return what these policies do on every eligible backend; with a limit, the best of them wins.

    Raises:
        AbsentError: a policy forms larger batches than were measured.
    """
    chosen = [Candidate(own, spec) for own in eligible.calibrations for spec in specs]
    for each in chosen:
        policy_on(each.calibration, each.spec)
    capacity_hz = max(each.capacity_hz for each in chosen)
    return _answer(report, eligible, ask, _predictions(ask, chosen, say), capacity_hz)


def _predictions(ask: Ask, chosen: Sequence[Candidate], say: Say) -> list[Prediction]:
    predictions = []
    for number, each in enumerate(chosen, start=1):
        say(f"{number} of {len(chosen)} policies simulated at length: {each}", (number - 1) / len(chosen))
        predictions.append(
            predict(
                each.calibration,
                each.spec,
                ask.arrivals,
                ask.rate_hz,
                percentile_ratio=ask.percentile_ratio,
                requests=ask.requests,
                seed=ask.seed,
            )
        )
    return predictions


def _naive_candidates(eligible: Eligible) -> Iterable[Candidate]:
    for own in eligible.calibrations:
        yield Candidate(own, PolicySpec("greedy", 1, 0.0))
        yield Candidate(own, PolicySpec("fixed", own.sizes[-1], 0.0))


def _naive(eligible: Eligible, rated: Sequence[Rated], winner: Rated | None) -> tuple[Naive, ...]:
    """Return the choices without thought, on the winner's backend and on the report's baseline."""
    shown = {winner.prediction.contender} if winner else set()
    shown |= {eligible.baseline} if eligible.baseline else set()
    by_name = {f"{one.prediction.policy} on {one.prediction.contender}": one for one in rated}
    found = []
    for each in _naive_candidates(eligible):
        if each.calibration.contender in shown and str(each) in by_name:
            name: NaiveName = "batch 1" if each.spec.largest_batch == 1 else "largest batch"
            found.append(Naive(name, by_name[str(each)]))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _OtherRates:
    """What holds at other request rates than the one that is asked for."""

    takeovers: tuple[Takeover, ...] = ()
    throughout: Side | None = None
    searched_hz: tuple[float, float] | None = None


def _other_rates(trials: Sequence[Trial], eligible: Eligible, ask: Ask, say: Say) -> _OtherRates:
    if ask.rate_hz is None or ask.limit_s is None:
        return _OtherRates()

    def attempt(candidate: Candidate, rates_hz: Sequence[float]) -> Trial:
        say(f"closing in on {rates_hz[0]:.3g} to {rates_hz[-1]:.3g} requests/s: {candidate}", None)
        requests = _CLOSER * TRIAL_REQUESTS
        return trial(candidate, ask.arrivals, rates_hz, ask.percentile_ratio, ask.seed, requests=requests)

    searched = [rate_hz for rate_hz in trials[0].rates_hz if rate_hz is not None]
    fewest = min(_evidence(eligible).values())
    takeovers, throughout = find_takeovers(trials, ask.limit_s, fewest, attempt)
    return _OtherRates(takeovers, throughout, (float(min(searched)), float(max(searched))))


def _answer(  # noqa: PLR0913, PLR0917 - what was asked, and what was found
    report: Report,
    eligible: Eligible,
    ask: Ask,
    predictions: Sequence[Prediction],
    capacity_hz: float,
    others: _OtherRates | None = None,
) -> Recommendation:
    rated, best = rate(predictions, ask.limit_s, _evidence(eligible))
    winner = best if ask.limit_s is not None else None
    infeasible: Infeasible = ""
    if ask.limit_s is not None and winner is None:
        infeasible = "latency" if any(one.prediction.stable for one in rated) else "rate"
    is_search, others = others is not None, others or _OtherRates()
    return Recommendation(
        report_id=report.report_id,
        model=eligible.model,
        variant=eligible.variant,
        question=Question(ask.arrivals.spec, ask.rate_hz, ask.limit_s, ask.percentile_ratio, ask.seed),
        metric=eligible.calibrations[0].metric,
        domains=eligible.domains,
        capacity_hz=capacity_hz,
        fit=tuple(map(_fitness, eligible.calibrations)),
        excluded=eligible.excluded,
        rated=rated,
        winner=winner,
        runner_up=runner_up_of(rated, winner),
        naive=_naive(eligible, rated, winner) if is_search else (),
        front=front_of(rated),
        takeovers=others.takeovers,
        throughout=others.throughout,
        searched_hz=others.searched_hz,
        infeasible=infeasible,
    )


def _fitness(calibration: Calibration) -> Fitness:
    return Fitness(
        backend=calibration.backend,
        variant=calibration.variant,
        capacity_hz=calibration.capacity_hz(),
        sizes=calibration.sizes,
        longest_gap_s=calibration.longest_gap_s,
        error_ratio=calibration.error_ratio,
        blocks=len(calibration.windows.blocks),
        workers=len(set(calibration.windows.workers)),
    )


def _evidence(eligible: Eligible) -> dict[Contender, int]:
    return {own.contender: own.windows.evidence for own in eligible.calibrations}
