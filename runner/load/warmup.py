"""Warm-up: until a cell is ready to be measured, and before every visit."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from time import perf_counter

from runner.stats.stability import STRETCHES, is_steady

VISIT_S = 0.02
"""A visit begins with this, or one inference, untimed: after another worker ran, the first inference took 1.2 to 1.6
times as long, those up to 20 ms 1.03 times, and later ones showed nothing (ShuffleNet and AlexNet on 2 cores)."""
STRETCH_S = 0.1
"""Longer ones would scatter no less: windows of 0.05 to 2 s all did by 7 to 16 % on 2 shared cores. What a warm-up has
to outlast is over by then (arenas, first touches, clocks that rise); a machine that slows down over minutes is none of
its business, because the windows of a block share that."""
STRETCH_INFERENCES = 2
"""The fewest that are a mean; with more, slow networks would reach the cap before the fifth stretch."""


FRESH_INFERENCES = 1
"""warm-up of a later worker, after the first of each shape; with the visit's own begin an arena has seen three"""


@dataclass(frozen=True, slots=True)
class WarmUpRule:
    """When a cell counts as warm: after so many inferences or so long, or in steady state before the cap."""

    inferences: int
    cap_s: float
    steady: bool

    def least_s(self, inference_s: float) -> float:
        """Return the predicted time of the shortest warm-up: steady at once, or not steady before the cap."""
        stretches_s = STRETCHES * max(STRETCH_S, STRETCH_INFERENCES * inference_s)
        return min(self.cap_s, stretches_s if self.steady else self.inferences * inference_s)


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What a warm-up did."""

    inferences: int
    inference_s: float
    """mean of the last stretch: the prediction for planning"""
    unsteady: bool
    """steady state was asked for and not seen before the cap, in stretches that were enough to see it"""


def warm_up(run: Callable[[], object], rule: WarmUpRule, clock: Callable[[], float] = perf_counter) -> WarmUp:
    """Call ``run`` until the rule is met, and return what was seen."""
    return _until_steady(run, rule.cap_s, clock) if rule.steady else _fixed(run, rule, clock)


def warm_visit(run: Callable[[], object], clock: Callable[[], float] = perf_counter) -> None:
    """Call ``run`` untimed at the begin of a visit."""
    end_s = clock() + VISIT_S
    run()
    while clock() < end_s:
        run()


def _fixed(run: Callable[[], object], rule: WarmUpRule, clock: Callable[[], float]) -> WarmUp:
    started_s = clock()
    times: list[float] = []
    while not times or (len(times) < rule.inferences and clock() - started_s < rule.cap_s):
        before_s = clock()
        run()
        times.append(clock() - before_s)
    return WarmUp(len(times), times[-1], unsteady=False)


def _until_steady(run: Callable[[], object], cap_s: float, clock: Callable[[], float]) -> WarmUp:
    started_s = clock()
    means: list[float] = []
    count = 0
    while not is_steady(means):
        if means and clock() - started_s >= cap_s:
            return WarmUp(count, means[-1], unsteady=len(means) >= STRETCHES)
        times: list[float] = []
        stretch_end_s = clock() + STRETCH_S
        while len(times) < STRETCH_INFERENCES or clock() < stretch_end_s:
            before_s = clock()
            run()
            times.append(clock() - before_s)
        means.append(fmean(times))
        count += len(times)
    return WarmUp(count, means[-1], unsteady=False)
