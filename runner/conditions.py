"""What else happened on the machine while a window was taken, and which of it disturbs a window."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.extensible import Extensible
from runner.machine.cpu import TICK_S, CpuCounters, CpuTimes, allowed_cores
from runner.machine.kernel import ROOT
from runner.machine.sensors import CpuSensors
from runner.meters.gpu_state import SLOWDOWNS, GpuState
from runner.workers.protocol import Span

_FOREIGN_RATIO = 0.10  # of the cores' time; this and the next: docs/measurement.md, section 4
_STEAL_RATIO = 0.05
_ROUNDING_S = 2 * TICK_S
"""of a difference of two readings of /proc/stat, user and system time each"""


@dataclass(frozen=True)
class MachineState(Extensible):
    """The machine at one moment; None where it does not say."""

    temperature_celsius: float | None = None
    """of the hottest CPU sensor"""
    clock_hz: float | None = None
    """mean over the cores we may use"""
    governor: str | None = None
    gpus: tuple[GpuState, ...] = ()


@dataclass(frozen=True)
class Conditions(Extensible):
    """Evidence of one window; None where the machine does not say, and never 0 instead."""

    before: MachineState
    after: MachineState
    span_s: float
    """what the CPU times cover: the window and the untimed inferences before it"""
    cores: int
    """that we may run on: the CPU times are theirs"""
    foreign_cpu_s: float | None
    """CPU time of everything but the worker, rounded to steps of /proc/stat"""
    steal_s: float | None
    """CPU time that the hypervisor gave to others"""
    pressure_s: float | None
    """time in which some task of the machine waited for a CPU"""
    throttled_s: float | None
    """time in which our cgroup's CPU quota was spent"""
    voluntary_switches: int
    """of the worker, all threads, within the window; so are those below"""
    involuntary_switches: int
    minor_faults: int
    major_faults: int
    stops: int
    """how often a signal stopped the worker and another let it go on"""


class Observer:
    """Takes the evidence of windows, one after another.

    Args:
        gpus: reads the state of every GPU (`runner.meters.gpu_state.gpu_states`).
        now_s: the monotonic clock.
        root: of the file system.
    """

    def __init__(
        self,
        gpus: Callable[[], tuple[GpuState, ...]] = tuple,
        now_s: Callable[[], float] = time.monotonic,
        root: Path = ROOT,
    ) -> None:
        self._gpus, self._now_s = gpus, now_s
        self._cores = allowed_cores()
        self._counters, self._sensors = CpuCounters(root, self._cores), CpuSensors(root)
        self._began: _Moment | None = None

    def begin(self, worker_cpu_s: float | None) -> None:
        """Look at the machine just before a window, with the CPU time of its worker so far."""
        state = self._state()  # first, so that its own cost is not within the span
        self._began = _Moment(state, self._now_s(), self._counters.read(), worker_cpu_s)

    def end(self, worker_cpu_s: float | None, measured: Span) -> Conditions:
        """Return the evidence of the window that began last; called just after it."""
        began, times, ended_s = self._began, self._counters.read(), self._now_s()
        assert began is not None, "a window ends that did not begin"
        busy_s = _since(began.times.busy_s, times.busy_s)
        own_s = _since(began.worker_cpu_s, worker_cpu_s)
        return Conditions(
            before=began.state,
            after=self._state(),
            span_s=ended_s - began.at_s,
            cores=len(self._cores),
            foreign_cpu_s=None if busy_s is None or own_s is None else max(0.0, busy_s - own_s),
            steal_s=_since(began.times.steal_s, times.steal_s),
            pressure_s=_since(began.times.pressure_s, times.pressure_s),
            throttled_s=_since(began.times.throttled_s, times.throttled_s),
            voluntary_switches=measured.voluntary_switches,
            involuntary_switches=measured.involuntary_switches,
            minor_faults=measured.minor_faults,
            major_faults=measured.major_faults,
            stops=measured.stops,
        )

    def _state(self) -> MachineState:
        cpu = self._sensors
        return MachineState(cpu.temperature_celsius(), cpu.clock_hz(), cpu.governor(), self._gpus())


@dataclass(frozen=True, slots=True)
class _Moment:
    state: MachineState
    at_s: float
    times: CpuTimes
    worker_cpu_s: float | None


def _since(before_s: float | None, now_s: float | None) -> float | None:
    """Return how much a time grew; one that fell (steal can, on some hypervisors) says nothing."""
    return None if before_s is None or now_s is None or now_s < before_s else now_s - before_s


def disturbance(conditions: Conditions) -> str:
    """Return what disturbed a window, for people; empty when nothing is known to have.

    The rule is fixed beforehand and knows neither the backend nor what the window showed, so that repeating disturbed
    blocks prefers nobody (docs/measurement.md, section 4). What the machine does not say disturbs nothing. CPU
    pressure is no cause: a worker's own threads wait for each other too.
    """
    return "; ".join(_causes(conditions))


def _causes(conditions: Conditions) -> Iterator[str]:
    if conditions.stops:
        yield f"a signal stopped the worker {'once' if conditions.stops == 1 else f'{conditions.stops} times'}"
    if conditions.throttled_s:
        yield f"the CPU quota of our cgroup was spent (throttled for {conditions.throttled_s:.2g} s)"
    span = f"in {conditions.span_s:.2g} s on {conditions.cores} cores"
    core_s = conditions.cores * conditions.span_s
    if (conditions.foreign_cpu_s or 0.0) > _FOREIGN_RATIO * core_s + _ROUNDING_S:
        yield f"other processes took {conditions.foreign_cpu_s:.2g} s of CPU time {span}"
    if (conditions.steal_s or 0.0) > _STEAL_RATIO * core_s + _ROUNDING_S:
        yield f"the hypervisor took {conditions.steal_s:.2g} s of CPU time {span}"
    for uuid, reason in dict.fromkeys(
        (gpu.uuid, reason)
        for gpu in (*conditions.before.gpus, *conditions.after.gpus)
        for reason in gpu.throttle_reasons or ()
        if reason in SLOWDOWNS
    ):
        yield f"{uuid} was throttled: {reason}"
