"""CPU energy estimated from utilisation where the user gives idle and full power; never a measurement."""

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from operator import attrgetter

from runner.clock import Clock
from runner.errors import UsageError
from runner.meters.interface import Energy, Estimated, MeterStatus, Unavailable

SOURCE = "cpu-watts"
# At least a factor of two (docs/measurement.md, section 3): power is not linear in utilisation.
_BAND = 2.0
# The kernel counts CPU time in ticks of 1/USER_HZ = 10 ms (time(7)): 1 s resolves 1 % of a processor.
_TICK_S = 0.01
_MINIMUM_WINDOW_S = 1.0


def parse_cpu_watts(text: str) -> tuple[float, float]:
    """Return idle and full power in W from ``IDLE:MAX``.

    Raises:
        UsageError: anything but two numbers with 0 <= IDLE < MAX.
    """
    try:
        idle_w, max_w = (float(part) for part in text.split(":"))
    except ValueError:
        idle_w = max_w = math.nan
    if not 0 <= idle_w < max_w < math.inf:
        raise UsageError(
            "Cannot read --cpu-watts",
            expected="IDLE:MAX in watts with IDLE below MAX",
            got=repr(text),
            fix="Write for example 15:65, from the machine's data sheet or a wall meter",
        )
    return idle_w, max_w


@dataclass(frozen=True, slots=True)
class _Usage:
    at_s: float
    busy_s: float
    total_s: float


_at_s = attrgetter("at_s")


class EstimateMeter:
    """Reads how busy the machine is and turns it into energy."""

    minimum_window_s = _MINIMUM_WINDOW_S
    update_period_s = _TICK_S
    status = MeterStatus("cpu_package", "estimated", SOURCE, ("all processors",))

    def __init__(self, cpu_watts: tuple[float, float], clock: Clock) -> None:
        self._idle_w, self._max_w = cpu_watts
        self._clock = clock
        self._usages: list[_Usage] = []

    def start(self) -> None:
        """Forget the last window and take the first reading of the next."""
        self._usages.clear()
        self.poll()

    def poll(self) -> None:
        """Take one reading."""
        import psutil  # noqa: PLC0415 - not needed by a run without estimates

        times = psutil.cpu_times()
        # The guest's time is part of user and nice; stolen time was spent by somebody else.
        busy_s = times.user + times.nice + times.system + times.irq + times.softirq
        self._usages.append(
            _Usage(self._clock.now_s(), busy_s, busy_s + times.idle + times.iowait + times.steal)
        )

    def has_changed_since(self, moment_s: float) -> bool:
        """Return whether a reading was taken at or after a moment."""
        return bool(self._usages) and self._usages[-1].at_s >= moment_s

    def energy(self, started_s: float, ended_s: float) -> Energy:
        """Return the estimate between two moments, from the readings just outside them."""
        first = bisect_right(self._usages, started_s, key=_at_s) - 1
        last = bisect_left(self._usages, ended_s, key=_at_s)
        if first < 0 or last == len(self._usages):
            return Unavailable("cpu_package", "utilisation was not read around the window")
        before, after = self._usages[first], self._usages[last]
        total_s = after.total_s - before.total_s
        if total_s <= 0:
            return Unavailable("cpu_package", "below resolution: no CPU time was counted in the window")
        # Counters of CPU time may step back by a tick (proc(5)), hence the limits.
        utilisation_ratio = min(1.0, max(0.0, (after.busy_s - before.busy_s) / total_s))
        power_w = self._idle_w + (self._max_w - self._idle_w) * utilisation_ratio
        energy_j = power_w * (ended_s - started_s)
        return Estimated("cpu_package", SOURCE, energy_j, energy_j / _BAND, energy_j * _BAND)

    def close(self) -> None:
        """Hold nothing."""
