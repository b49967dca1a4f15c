"""How predictions stand beside each other: limits kept, ties, fronts."""

from collections.abc import Iterable, Mapping, Sequence

from runner.twin.answers import Estimate, Kept, Prediction, Rated
from runner.twin.predict import limits

_LESS = 0.995
"""of a cost, that a step of the front must save: half a percent, below which the project claims nothing"""


def rate(
    predictions: Iterable[Prediction], limit_s: float | None, evidence: Mapping[str, int]
) -> tuple[Rated, ...]:
    """Return predictions by cost, beside the cheapest of those that keep the limit.

    Where some keep it with their whole interval, only these may win; else those do whose estimate keeps it.

    Args:
        predictions: with one seed, so that their rows are paired.
        limit_s: of the response percentile; None keeps everything that is stable.
        evidence: pieces of evidence behind each backend.
    """
    ordered = sorted(predictions, key=lambda one: (not one.stable, one.cost_per_image.mean))
    kept = [_kept(one, limit_s) for one in ordered]
    best = next(
        (
            one
            for wanted in ("yes", "perhaps")
            for one, own in zip(ordered, kept, strict=True)
            if own == wanted
        ),
        None,
    )
    return tuple(_beside(best, one, own, evidence) for one, own in zip(ordered, kept, strict=True))


def winner_of(rated: Sequence[Rated]) -> Rated | None:
    """Return the cheapest that keeps the limit, with its whole interval if any does."""
    return next((one for wanted in ("yes", "perhaps") for one in rated if one.kept == wanted), None)


def runner_up_of(rated: Sequence[Rated], winner: Rated | None) -> Rated | None:
    """Return the cheapest that keeps the limit as the winner does and costs more than it, beyond chance."""
    if winner is None:
        return None
    return next(
        (one for one in rated if one.kept == winner.kept and one is not winner and not one.tied), None
    )


def front_of(rated: Iterable[Rated]) -> tuple[Rated, ...]:
    """Return those that no faster one is as cheap as, from the fastest on."""
    found: list[Rated] = []
    stable = (one for one in rated if one.prediction.stable)
    for one in sorted(stable, key=lambda one: one.prediction.response_percentile_s.mean):
        cost = one.prediction.cost_per_image.mean
        if not found or cost < _LESS * found[-1].prediction.cost_per_image.mean:
            found.append(one)
    return tuple(found)


def _kept(prediction: Prediction, limit_s: float | None) -> Kept:
    if not prediction.stable:
        return "no"
    response_s = prediction.response_percentile_s
    if limit_s is None or response_s.high <= limit_s:
        return "yes"
    return "perhaps" if response_s.mean <= limit_s else "no"


def _beside(best: Prediction | None, one: Prediction, kept: Kept, evidence: Mapping[str, int]) -> Rated:
    if best is None or not one.stable:
        return Rated(one, kept, None, tied=False)
    pieces = min(evidence[best.backend], evidence[one.backend])
    ratios = one.cost_by_row / best.cost_by_row
    low, high = limits(ratios, pieces)
    ratio = Estimate(one.cost_per_image.mean / best.cost_per_image.mean, low, high)
    return Rated(one, kept, ratio, tied=one is not best and kept != "no" and low <= 1)
