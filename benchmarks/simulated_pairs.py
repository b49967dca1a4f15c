"""Log ratios of two backends, block by block, on machines that misbehave in a known way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import stdtrit

from runner.profiles import PROFILES
from runner.stats.intervals import CONFIDENCE

SPEED_SD = 0.1
"""of the machine's log speed: windows of a shared machine scatter by 7 to 16 % (docs/measurement.md, section 4)"""
WINDOW_SD = 0.03
"""of what a window has for itself, so that 70 pairs give a ratio to 1 %"""
SPIKE_RATIO = 0.3
"""mean of the exponential spikes of a window"""
INFERENCES = 10
"""of a window, where their own skew is drawn"""
TARGET_RATIO = 0.02
"""the default of --target-ci"""
STANDARD = PROFILES["standard"]
"""the profile that goes on until its target is met"""
BLOCKS_EACH = int(STANDARD.blocks_each)
"""by one set of its workers"""

Floats = NDArray[np.float64]
Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Drawn:
    """Simulated runs."""

    logs: Floats
    """log ratio of every block, less the true one: a row per run"""
    counts: Sequence[int] | None = None
    """at how many blocks each run stopped; None is all"""
    workers: Sequence[int] | None = None
    """which pair of processes took each block"""


Draw = Callable[[Rng, int, int], Drawn]
"""of so many runs of so many blocks"""


def autocorrelated(rng: Rng, shape: tuple[int, ...], rho: float) -> Floats:
    """Return stationary AR(1) series of unit variance along the last axis."""
    innovations = rng.standard_normal(shape) * np.sqrt(1 - rho**2)
    innovations[..., 0] /= np.sqrt(1 - rho**2)
    return np.asarray(lfilter([1.0], [1.0, -rho], innovations, axis=-1))


def noise(rng: Rng, runs: int, blocks: int) -> Floats:
    """Return what two windows of a pair have for themselves."""
    return np.asarray(np.sqrt(2) * WINDOW_SD * rng.standard_normal((runs, blocks)))


def paired(rng: Rng, log_speed: Floats) -> Drawn:
    """Return pairs of windows taken one after the other, in random order, at these speeds of the machine."""
    steps = log_speed[:, 1::2] - log_speed[:, ::2]
    return Drawn(steps * rng.choice([-1, 1], steps.shape) + noise(rng, *steps.shape))


def wandering_machine(rng: Rng, runs: int, blocks: int, rho: float) -> Drawn:
    """Draw a machine whose speed is autocorrelated from window to window."""
    return paired(rng, SPEED_SD * autocorrelated(rng, (runs, 2 * blocks), rho))


def slowing_machine(rng: Rng, runs: int, blocks: int, change_ratio: float) -> Drawn:
    """Draw a machine that grows slower by so much from the first window to the last."""
    return paired(rng, np.tile(np.linspace(0, change_ratio, 2 * blocks), (runs, 1)))


def walking_machine(rng: Rng, runs: int, blocks: int, step_sd: float) -> Drawn:
    """Draw a machine whose speed takes a random step at every window."""
    return paired(rng, step_sd * rng.standard_normal((runs, 2 * blocks)).cumsum(axis=1))


def wandering_pair(rng: Rng, runs: int, blocks: int, rho: float) -> Drawn:
    """Draw an autocorrelated ratio: something lasts over blocks and hits one backend only."""
    return Drawn(SPEED_SD * autocorrelated(rng, (runs, blocks), rho))


def skewed_latencies(rng: Rng, runs: int, blocks: int, sigma: float) -> Drawn:
    """Draw windows that are means of lognormal latencies."""
    own, base = rng.lognormal(0, sigma, (2, runs, blocks, INFERENCES)).mean(axis=-1)
    return Drawn(np.log(own / base))


def spiky_windows(rng: Rng, runs: int, blocks: int, share: float, *, both: bool) -> Drawn:
    """Draw windows some of which take longer, by an exponential spike, on both sides or on one."""
    hit = rng.random((2, runs, blocks)) < share
    own, base = np.where(hit, rng.exponential(SPIKE_RATIO, hit.shape), 0.0)
    # Spikes of one side belong to that backend: the true mean log ratio holds their mean.
    return Drawn(noise(rng, runs, blocks) + own - (base if both else share * SPIKE_RATIO))


def stopped_early(rng: Rng, runs: int, blocks: int, pair_sd: float, layout_sd: float) -> Drawn:
    """Draw runs that stop, as a standard run does, once the worse of two ratios to one baseline meets the target."""
    of_block = np.arange(blocks) // BLOCKS_EACH
    windows = pair_sd / np.sqrt(2) * rng.standard_normal((3, runs, blocks))
    layouts = layout_sd / np.sqrt(2) * rng.standard_normal((3, runs, of_block[-1] + 1))
    figures = windows + layouts[..., of_block]
    logs = figures[:2] - figures[2]
    return Drawn(logs[0], counts=stops(logs), workers=tuple(of_block.tolist()))


def stops(logs: Floats) -> Sequence[int]:
    """Return at how many blocks each run stops; the axes of ``logs`` are ratios, runs and blocks.

    Asked where a set of workers took all its blocks, for there the interval is that of their equally long means.
    """
    sets = logs.shape[-1] // BLOCKS_EACH
    means = logs[..., : sets * BLOCKS_EACH].reshape(*logs.shape[:-1], sets, BLOCKS_EACH).mean(axis=-1)
    taken = np.arange(STANDARD.workers, sets + 1)
    sums, squares = (part.cumsum(axis=-1)[..., taken - 1] for part in (means, means**2))
    variances = np.maximum(squares - sums**2 / taken, 0) / (taken - 1)
    half = stdtrit(taken - 1, (1 + CONFIDENCE) / 2) * np.sqrt(variances / taken)
    content = np.expm1(half).max(axis=0) <= TARGET_RATIO
    content[:, -1] = True
    return tuple((BLOCKS_EACH * taken[content.argmax(axis=1)]).tolist())


def fresh_workers(rng: Rng, runs: int, blocks: int, workers: int, layout_sd: float) -> Drawn:
    """Draw blocks that several pairs of processes share out, each pair with a memory layout of its own."""
    of_block = np.arange(blocks) * workers // blocks
    layouts = layout_sd * rng.standard_normal((runs, workers))
    return Drawn(noise(rng, runs, blocks) + layouts[:, of_block], workers=tuple(of_block.tolist()))


DRAWS: Mapping[str, Draw] = {
    **{f"machine wanders, AR(1) {rho:g}": partial(wandering_machine, rho=rho) for rho in (0, 0.5, 0.9, 0.99)},
    **{
        f"machine slows by {change:.0%}": partial(slowing_machine, change_ratio=change)
        for change in (0.1, 0.5)
    },
    **{f"machine walks, {sd:.0%} a window": partial(walking_machine, step_sd=sd) for sd in (0.02, 0.1)},
    **{f"ratio itself wanders, AR(1) {rho:g}": partial(wandering_pair, rho=rho) for rho in (0.1, 0.3)},
    **{f"lognormal latencies, sigma {sd:g}": partial(skewed_latencies, sigma=sd) for sd in (0.5, 1)},
    "10% of windows spike, both sides": partial(spiky_windows, share=0.1, both=True),
    "10% of windows spike, one side": partial(spiky_windows, share=0.1, both=False),
    "3% of windows spike, one side": partial(spiky_windows, share=0.03, both=False),
    **{
        f"stopped at 2%, pair SD {pair:.0%}, layout SD {layout:.0%}": partial(
            stopped_early, pair_sd=pair, layout_sd=layout
        )
        for pair, layout in ((0.02, 0), (0.05, 0), (0.1, 0), (0.02, 0.01), (0.05, 0.02))
    },
    **{
        f"workers: {workers}, layout SD {sd:g}%": partial(fresh_workers, workers=workers, layout_sd=sd / 100)
        for sd in (0, 1, 3)
        for workers in (1, 3, 5)
    },
}
"""by what misbehaves"""
