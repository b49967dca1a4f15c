"""How predictions stand beside each other: limits kept, ties, fronts."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf

from runner.contender import Contender
from runner.twin.answers import Estimate, Kept, Prediction, Rated
from runner.twin.predict import limits

ALIKE_RATIO = 0.005
"""of costs below which the project claims nothing, whatever their limits: of two so close the faster is better"""
LEAST_SAVING_RATIO = 0.02
"""of a cost, that a step of a front must save. Ours, so that a front stays readable"""


def rate(
    predictions: Iterable[Prediction], limit_s: float | None, evidence: Mapping[Contender, int]
) -> tuple[tuple[Rated, ...], Rated | None]:
    """Return predictions by cost, and the best of those that keep the limit, beside which all stand.

    Where some keep it with their whole interval, only these may win; else those do whose estimate keeps it. The best
    has the least cost; of those that cost the same, the lowest response percentile.

    Args:
        predictions: with one seed, so that their rows are paired.
        limit_s: of the response percentile; None keeps everything that is stable.
        evidence: pieces of evidence behind each contender.
    """
    ordered = sorted(predictions, key=lambda one: (not one.stable, one.cost_per_image.mean))
    kept = {id(one): _kept(one, limit_s) for one in ordered}
    sure = [one for one in ordered if kept[id(one)] == "yes"]
    best = _best(sure or [one for one in ordered if kept[id(one)] == "perhaps"])
    rated = tuple(_beside(best, one, kept[id(one)], evidence) for one in ordered)
    return rated, next((one for one in rated if one.prediction is best), None)


def runner_up_of(rated: Sequence[Rated], winner: Rated | None) -> Rated | None:
    """Return the cheapest that keeps the limit as the winner does and costs more than it, beyond chance."""
    return next((one for one in rated if winner and one.kept == winner.kept and _is_beyond(one)), None)


def _best(ordered: Sequence[Prediction]) -> Prediction | None:
    if not ordered:
        return None
    most = (1 + ALIKE_RATIO) * ordered[0].cost_per_image.mean
    alike = [one for one in ordered if one.cost_per_image.mean <= most]
    return min(alike, key=lambda one: one.response_percentile_s.mean)


def _is_beyond(one: Rated) -> bool:
    """Return whether it costs more than the winner, beyond chance."""
    return one.cost_ratio is not None and one.cost_ratio.low > 1 and not one.tied


def front_of(rated: Iterable[Rated]) -> tuple[Rated, ...]:
    """Return those that no faster one is as cheap as, from the fastest on."""
    found: list[Rated] = []
    stable = (one for one in rated if one.prediction.stable)
    for one in sorted(stable, key=lambda one: one.prediction.response_percentile_s.mean):
        cost = one.prediction.cost_per_image.mean
        most = (1 - LEAST_SAVING_RATIO) * found[-1].prediction.cost_per_image.mean if found else inf
        if cost < most:
            found.append(one)
    return tuple(found)


def _kept(prediction: Prediction, limit_s: float | None) -> Kept:
    if not prediction.stable:
        return "no"
    response_s = prediction.response_percentile_s
    if limit_s is None or response_s.high <= limit_s:
        return "yes"
    return "perhaps" if response_s.mean <= limit_s else "no"


def _beside(best: Prediction | None, one: Prediction, kept: Kept, evidence: Mapping[Contender, int]) -> Rated:
    if best is None or not one.stable:
        return Rated(one, kept, None, tied=False)
    pieces = min(evidence[best.contender], evidence[one.contender])
    ratios = one.cost_by_row / best.cost_by_row
    low, high = limits(ratios, pieces)
    ratio = Estimate(one.cost_per_image.mean / best.cost_per_image.mean, low, high)
    return Rated(one, kept, ratio, tied=one is not best and kept != "no" and low <= 1 <= high)
