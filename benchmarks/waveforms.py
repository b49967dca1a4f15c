"""Power of known energy, and what a device of that power shows: the ground truth of ``benchmarks.meters``."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

DURATION_S = 12.0
WINDOW_S = (1.2345, 11.3457)
"""within the trace, and on no one's beat"""


@dataclass(frozen=True, slots=True)
class Waveform:
    """Power over time with its integral from 0 in closed form."""

    name: str
    power_w: Callable[[float], float]
    energy_j: Callable[[float], float]

    def between(self, started_s: float, ended_s: float) -> float:
        """Return the energy between two moments."""
        return self.energy_j(ended_s) - self.energy_j(started_s)


def _pulses(
    period_s: float, high_s: float, low_w: float, high_w: float
) -> dict[str, Callable[[float], float]]:
    def power_w(at_s: float) -> float:
        return high_w if at_s % period_s < high_s else low_w

    def energy_j(at_s: float) -> float:
        periods, rest_s = divmod(at_s, period_s)
        return low_w * at_s + (high_w - low_w) * (periods * high_s + min(rest_s, high_s))

    return {"power_w": power_w, "energy_j": energy_j}


_RATE = 2 * math.pi * 0.7

WAVEFORMS = (
    Waveform("constant", lambda _: 150.0, lambda t: 150 * t),
    Waveform("ramp", lambda t: 50 + 20 * t, lambda t: 50 * t + 10 * t * t),
    Waveform(
        "sine",
        lambda t: 150 + 100 * math.sin(_RATE * t),
        lambda t: 150 * t + 100 / _RATE * (1 - math.cos(_RATE * t)),
    ),
    Waveform("square", **_pulses(0.7321, 0.3659, 60.0, 400.0)),
    Waveform("spikes", **_pulses(0.7013, 0.0511, 60.0, 700.0)),
)


def beats(period_s: float, seed: int) -> Iterator[float]:
    """Yield moments a period apart, as a poller meets them: each up to a tenth of it late."""
    late = random.Random(seed)  # noqa: S311 - jitter, no secret
    count = math.floor(DURATION_S / period_s)
    yield from ((n + late.uniform(0, 0.1)) * period_s for n in range(1, count))


def shown_count(waveform: Waveform, at_s: float, *, step_j: float, period_s: float) -> int:
    """Return what a counter in whole steps shows that is brought up to date once in a period."""
    return int(waveform.energy_j(math.floor(at_s / period_s) * period_s) / step_j)


def counter_reader(waveform: Waveform, step_j: float, period_s: float) -> Callable[[float], int]:
    """Return such a counter as a function of time."""
    return partial(shown_count, waveform, step_j=step_j, period_s=period_s)
