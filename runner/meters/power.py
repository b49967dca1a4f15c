"""Sampled power over one window, integrated with zero-order hold out to both edges."""

from bisect import bisect_right
from itertools import pairwise

from runner.meters.counter import MINIMUM_TICKS, check_gap
from runner.meters.interface import MeterFault


class PowerTrack:
    """The power samples of one device since ``start``.

    Args:
        device: its name in messages.
        update_period_s: the time over which the device averages, or between its updates, whichever is longer.
    """

    def __init__(self, device: str, update_period_s: float) -> None:
        self.device, self.update_period_s = device, update_period_s
        self._times_s: list[float] = []
        self._powers_w: list[float] = []

    def start(self) -> None:
        """Forget the last window."""
        self._times_s.clear()
        self._powers_w.clear()

    def add(self, at_s: float, power_w: float) -> None:
        """Keep a sample, equal to the one before or not: that it was read says how long it held.

        Raises:
            MeterFault: the one before is too old to have held until now.
        """
        if self._times_s:
            check_gap(at_s - self._times_s[-1], f"power of {self.device}")
        self._times_s.append(at_s)
        self._powers_w.append(power_w)

    def has_changed_since(self, moment_s: float) -> bool:
        """Return whether a sample was taken at or after a moment."""
        return bool(self._times_s) and self._times_s[-1] >= moment_s

    def energy(self, started_s: float, ended_s: float) -> tuple[float, float]:
        """Return the joules between two moments and the error that the update period allows.

        Raises:
            MeterFault: no sample before the window, or too few within.
        """
        first = bisect_right(self._times_s, started_s) - 1
        last = bisect_right(self._times_s, ended_s)
        if first < 0:
            raise MeterFault(f"the power of {self.device} was not sampled before the window")
        if last - first - 1 < MINIMUM_TICKS:
            raise MeterFault(f"below resolution: {last - first - 1} samples of the power of {self.device}")
        powers_w = self._powers_w[first:last]
        edges_s = [started_s, *self._times_s[first + 1 : last], ended_s]
        held_s = [b - a for a, b in pairwise(edges_s)]
        energy_j = sum(power_w * time_s for power_w, time_s in zip(powers_w, held_s, strict=True))
        period_s = max(self.update_period_s, *held_s)
        return energy_j, 2 * period_s * (max(powers_w) - min(powers_w))
