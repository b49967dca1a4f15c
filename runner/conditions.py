"""What else happened on the machine while a window was taken, and which of it disturbs a window."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GpuState:
    """A GPU at one moment; None where it does not say."""

    uuid: str
    temperature_celsius: float | None
    clock_hz: float | None
    power_limit_w: float | None
    throttle_reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MachineState:
    """The machine at one moment; None where it does not say."""

    temperature_celsius: float | None = None
    """of the hottest CPU sensor"""
    clock_hz: float | None = None
    """mean over the cores we may use"""
    governor: str | None = None
    gpus: tuple[GpuState, ...] = ()


@dataclass(frozen=True, slots=True)
class Conditions:
    """Evidence of one window; None where the machine does not say, and never 0 instead."""

    before: MachineState
    after: MachineState
    span_s: float
    """what the CPU times of the machine cover: the window and the untimed inferences before it"""
    foreign_cpu_s: float | None
    """CPU time of everything but the worker"""
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
