"""At which request rates another backend gets the least cost within the limit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np

from runner.twin.answers import Estimate, Side, Takeover
from runner.twin.predict import half_width
from runner.twin.search import Candidate, Trial

Try = Callable[[Candidate, Sequence[float]], Trial]
"""tries a candidate at some rates"""

_INNER = 8
"""rates within a bracket that are tried together"""
_ROUNDS = 2
"""so a bracket of 1.4 from edge to edge ends up within half a percent, where the two can be told apart so well"""
_NOBODY = ""


@dataclass(frozen=True, slots=True)
class _At:
    """Who is best at a rate."""

    rate_hz: float
    label: str | None
    """of the contender, as people say it; empty where nobody keeps the limit, None where two cannot be told apart"""
    best: dict[str, Trial]
    """by label: its cheapest that keeps the limit"""
    place: int
    """of the rate in their arrays"""

    def cost(self, label: str) -> float:
        return float(self.best[label].cost[self.place].mean()) if label in self.best else np.inf


def find_takeovers(
    trials: Sequence[Trial], limit_s: float, evidence: int, attempt: Try
) -> tuple[tuple[Takeover, ...], Side | None]:
    """Return the rates at which the best backend changes, ascending; and who is best where it never does.

    Args:
        trials: of all candidates, at the same rates, paired.
        limit_s: of the response percentile.
        evidence: pieces of evidence behind every calibration, the fewest.
        attempt: tries a candidate at other rates.
    """
    sides = [each for each in _judge(trials, limit_s, evidence) if each.label is not None]
    found = []
    for below, above in pairwise(sides):
        if below.label != above.label:
            found.append(_refined(below, above, limit_s, evidence, attempt))
    return tuple(found), _side(sides[0]) if sides and not found else None


def _judge(trials: Sequence[Trial], limit_s: float, evidence: int) -> list[_At]:
    """Return who is best, at each rate in ascending order."""
    rates_hz = [rate_hz for rate_hz in trials[0].rates_hz if rate_hz is not None]
    places = sorted(range(len(rates_hz)), key=rates_hz.__getitem__)
    return [_at(trials, place, rates_hz[place], limit_s, evidence) for place in places]


def _at(trials: Sequence[Trial], place: int, rate_hz: float, limit_s: float, evidence: int) -> _At:
    best: dict[str, Trial] = {}
    for each in trials:
        label = str(each.candidate.calibration.contender)
        if each.keeps(limit_s, place):
            cheapest = best.get(label)
            if cheapest is None or each.cost[place].mean() < cheapest.cost[place].mean():
                best[label] = each
    ranked = sorted(best, key=lambda label: float(best[label].cost[place].mean()))
    if len(ranked) > 1:
        first, second = (best[label].cost[place] for label in ranked[:2])
        if (second - first).mean() <= half_width(second - first, evidence):
            return _At(rate_hz, None, best, place)
    return _At(rate_hz, ranked[0] if ranked else _NOBODY, best, place)


def _refined(below: _At, above: _At, limit_s: float, evidence: int, attempt: Try) -> Takeover:
    """Return the rate between two, tried ever closer together."""
    labels = [label for label in (below.label, above.label) if label]
    chosen = {id(side.best[label].candidate): side.best[label].candidate
              for side in (below, above) for label in labels if label in side.best}  # fmt: skip
    crossing_hz = sqrt(below.rate_hz * above.rate_hz)
    for _ in range(_ROUNDS):
        inner_hz = np.geomspace(below.rate_hz, above.rate_hz, _INNER + 2)[1:-1].tolist()
        found = _judge([attempt(each, inner_hz) for each in chosen.values()], limit_s, evidence)
        crossing_hz = _crossing_hz([below, *found, above])
        below = [
            below,
            *(each for each in found if each.label == below.label and each.rate_hz < crossing_hz),
        ][-1]
        above = [
            *(each for each in found if each.label == above.label and each.rate_hz > crossing_hz),
            above,
        ][0]
    return Takeover(
        Estimate(min(max(crossing_hz, below.rate_hz), above.rate_hz), below.rate_hz, above.rate_hz),
        _side(below),
        _side(above),
    )


def _crossing_hz(ordered: Sequence[_At]) -> float:
    """Return the rate from which on the last one's backend costs less than the first one's, or it alone is left."""
    first, last = str(ordered[0].label), str(ordered[-1].label)
    ahead = [each.cost(last) < each.cost(first) if last else first not in each.best for each in ordered]
    place = max(ahead.index(True) if True in ahead else len(ordered) - 1, 1)
    return sqrt(ordered[place - 1].rate_hz * ordered[place].rate_hz)


def _side(at: _At) -> Side | None:
    if not at.label:
        return None
    best = at.best[at.label].candidate
    return Side(best.calibration.backend, str(best.spec), best.calibration.variant)
