"""What the machine draws when nobody asks it for anything: the baseline that net energy subtracts."""

from collections.abc import Callable

from runner.clock import Clock
from runner.machine.cpu import CpuCounters
from runner.meters.recorder import Ahead, MeterSet
from runner.report.schema import IdleWindow, Moment

_IDLE_S = 30.0  # docs/measurement.md, section 3; so is the next
_QUICK_IDLE_S = 5.0


def _machine_busy_s() -> float | None:
    return CpuCounters().read().busy_s


def idle_duration_s(moment: Moment, profile: str, meters: MeterSet) -> float:
    """Return how long to measure: the profile's baseline, or one short window with sessions open.

    Before and after the run idle power is a figure of its own, subtracted from everything. With the sessions of a
    model open it only shows what they hold awake, once per model, so the quick duration does for every profile.
    Neither is shorter than the meters need.
    """
    is_baseline = moment != "loaded" and profile != "quick"
    return max(_IDLE_S if is_baseline else _QUICK_IDLE_S, meters.minimum_window_s)


class IdleProbe:
    """Measures the resting machine in one run.

    Args:
        meters: no window of theirs may be open meanwhile.
        clock: tells the time that the meters read; what its ``sleep_s`` raises ends the window without a result.
        busy_s: CPU time of everything on the machine so far.
    """

    def __init__(
        self,
        meters: MeterSet,
        clock: Clock,
        busy_s: Callable[[], float | None] = _machine_busy_s,
    ) -> None:
        self._meters, self._clock, self._busy_s = meters, clock, busy_s

    def measure(self, moment: Moment, duration_s: float, model: str | None = None) -> IdleWindow | None:
        """Return the energy of that long at rest; None, at no cost, where nothing is measured.

        Args:
            moment: where in the run.
            duration_s: see ``idle_duration_s``.
            model: whose sessions are open, if any are.
        """
        if not self._meters.measures:
            return None
        self._meters.begin(Ahead(0.0, duration_s))
        try:
            busy_before_s, started_s = self._busy_s(), self._clock.now_s()
            self._clock.sleep_s(duration_s)
            ended_s, busy_after_s = self._clock.now_s(), self._busy_s()
        except BaseException:
            self._meters.cancel()
            raise
        foreign_s = None
        if busy_before_s is not None and busy_after_s is not None:
            foreign_s = busy_after_s - busy_before_s
        return IdleWindow(
            moment=moment,
            model=model,
            started_s=started_s,
            wall_s=ended_s - started_s,
            foreign_cpu_s=foreign_s,
            energy=self._meters.end(started_s, ended_s),
        )
