"""NVML: the energy counter and the sampled power of every GPU of the machine.

All GPUs are metered, the idle ones and those that ``CUDA_VISIBLE_DEVICES`` hides included: a machine pays for
each of them, so joules that rank CPU against GPU must count them all. They are named by UUID, never by index.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from runner.clock import Clock
from runner.meters.counter import Counter, CounterTrack, take
from runner.meters.domain import DomainMeter, Share, shortest_window_s
from runner.meters.interface import Meter, MeterFault, Unavailable
from runner.meters.nvml_library import (
    W_PER_MW,
    Handle,
    Nvml,
    ask,
    ask_or_none,
    handles,
    has_mig,
    is_foreign,
    load,
    opened,
    pids,
    power_limit_w,
)
from runner.meters.power import PowerTrack
from runner.meters.tick import CounterSource, WatchedCounter, watch

_J_PER_MJ = 1e-3
# Counters update every 20 to 100 ms, power each 100 ms or so; nvmlDeviceGetPowerUsage averages over up to 1 s
# on recent GPUs (docs/measurement.md, section 3; NVML API reference).
_UPDATE_PERIOD_S = 0.1
_AVERAGING_PERIOD_S = 1.0
_MINIMUM_WINDOW_S = 2.0  # tick-aligned (docs/measurement.md, section 4)
_MINIMUM_AVERAGED_WINDOW_S = 10.0
_DISAGREEMENT_RATIO = 0.05  # docs/measurement.md, section 3


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """A GPU as NVML names it."""

    uuid: str
    name: str
    driver: str
    memory_bytes: int
    """the machine's where the GPU has none of its own"""
    power_limit_w: float | None
    has_mig: bool
    """its counters cover all instances together"""
    foreign_pids: tuple[int, ...]
    """processes that compute on it, our own left out; host numbers where a container hides them"""


def gpus() -> tuple[GpuFacts, ...]:
    """Return every GPU of the machine; none without a driver."""
    found = _facts()
    return () if isinstance(found, Unavailable) else found


def why_no_gpu() -> Unavailable:
    """Return why ``gpus`` found none; asked only then."""
    found = _facts()
    return found if isinstance(found, Unavailable) else Unavailable("gpu", "a GPU has appeared since")


def open_domains(clock: Clock) -> tuple[Meter | Unavailable, ...]:
    """Return the meter of the domain ``gpu``, or why there is none."""
    try:
        nvml = load()
        try:
            channels = _open_channels(nvml, clock)
        except MeterFault:
            nvml.nvmlShutdown()
            raise
    except MeterFault as fault:
        return (Unavailable("gpu", fault.reason, fault.remedy),)
    return (DomainMeter("gpu", channels, on_close=nvml.nvmlShutdown),)


def _open_channels(nvml: Nvml, clock: Clock) -> tuple["GpuChannel", ...]:
    """Return every GPU; the counters of all are watched at once."""
    found = handles(nvml)
    sources = {index: source for index, handle in enumerate(found) if (source := _counter_of(nvml, handle))}
    watched = dict(zip(sources, watch(tuple(sources.values()), clock), strict=True))
    return tuple(GpuChannel(nvml, handle, watched.get(index), clock) for index, handle in enumerate(found))


def _counter_of(nvml: Nvml, handle: Handle) -> CounterSource | None:
    read = _counter_reader(nvml, handle)
    try:
        count = read()
    except MeterFault:  # no counter; power alone is another source, and says so
        return None
    if count == 0:  # what some GPUs without a counter answer; a real one never stands at 0
        return None
    uuid = ask(nvml, nvml.nvmlDeviceGetUUID, handle)
    return CounterSource(Counter(uuid, _J_PER_MJ, _J_PER_MJ, _UPDATE_PERIOD_S), read)


def _counter_reader(nvml: Nvml, handle: Handle) -> Callable[[], int]:
    return partial(ask, nvml, nvml.nvmlDeviceGetTotalEnergyConsumption, handle)


class GpuChannel:
    """One GPU: its energy counter checked against its sampled power, or the power alone without a counter.

    Raises:
        MeterFault: it has neither.
    """

    def __init__(self, nvml: Nvml, handle: Handle, watched: WatchedCounter | None, clock: Clock) -> None:
        self._nvml, self._handle, self._clock = nvml, handle, clock
        self.device: str = ask(nvml, nvml.nvmlDeviceGetUUID, handle)
        self._counter = None if watched is None else CounterTrack(watched.counter)
        self._read_counter = _counter_reader(nvml, handle)
        self._power, self._read_power, averages = self._open_power()
        if watched is None and self._power is None:
            raise MeterFault(
                f"{self.device} has neither an energy counter nor power readings",
                "Update the NVIDIA driver; a GPU that still lacks both cannot be measured",
            )
        if watched is None:
            self.source, self.tick, self.update_period_s = "nvml-power", None, _UPDATE_PERIOD_S
            self.minimum_window_s = _MINIMUM_AVERAGED_WINDOW_S if averages else _MINIMUM_WINDOW_S
        else:
            self.source, self.tick = "nvml-counter", watched.tick
            self.update_period_s = watched.counter.update_period_s
            self.minimum_window_s = shortest_window_s(_MINIMUM_WINDOW_S, watched.counter)
        self._strangers = frozenset(pids(nvml, handle))
        self._has_mig = has_mig(nvml, handle)
        self._flags: tuple[str, ...] = ()
        self._power_fault: MeterFault | None = None

    def start(self) -> None:
        """Forget the last window and look who else is on the GPU."""
        self._power_fault = None
        if self._counter is not None:
            self._counter.start()
        if self._power is not None:
            self._power.start()
        # Whoever computed here before our workers existed is not ours, whichever numbers a container shows.
        strangers = [
            pid for pid in pids(self._nvml, self._handle) if pid in self._strangers or is_foreign(pid)
        ]
        self._flags = (
            *((f"MIG is on: the counters of {self.device} cover all instances",) if self._has_mig else ()),
            *((f"{len(strangers)} other processes compute on {self.device}",) if strangers else ()),
        )

    def poll(self) -> None:
        """Take one reading of the counter and one of the power."""
        if self._counter is not None:
            self._counter.add(take(self._clock, self._read_counter))
        if self._power is not None and self._power_fault is None:
            try:
                reading = take(self._clock, self._read_power)
                self._power.add(reading.at_s, reading.count * W_PER_MW)
            except MeterFault as fault:
                if self._counter is None:
                    raise
                self._power_fault = fault

    def has_changed_since(self, moment_s: float) -> bool:
        """Return whether the counter changed, or power was sampled, at or after a moment."""
        track = self._counter or self._power
        return track is not None and track.has_changed_since(moment_s)

    def energy(self, started_s: float, ended_s: float) -> Share:
        """Return the energy between two moments; the two ways of reading are compared where there are two."""
        if self._counter is None:
            return Share(*self._sampled(started_s, ended_s), self._flags)
        energy_j, bound_j = self._counter.energy(started_s, ended_s)
        if self._power is None:
            return Share(energy_j, bound_j, self._flags)
        try:
            sampled_j, sampled_bound_j = self._sampled(started_s, ended_s)
        except MeterFault as fault:
            doubt = f"counter of {self.device} not checked against sampled power: {fault.reason}"
            return Share(energy_j, bound_j, (*self._flags, doubt))
        flags = self._flags
        if abs(sampled_j - energy_j) > max(_DISAGREEMENT_RATIO * energy_j, bound_j + sampled_bound_j):
            ratio = sampled_j / energy_j
            flags = (*flags, f"sampled power of {self.device} gives {ratio:.2f} of its counter's energy")
        return Share(energy_j, bound_j, flags, sampled_j)

    def _sampled(self, started_s: float, ended_s: float) -> tuple[float, float]:
        if self._power is None or self._power_fault is not None:
            raise self._power_fault or MeterFault(f"{self.device} has no power readings")
        return self._power.energy(started_s, ended_s)

    def _open_power(self) -> tuple[PowerTrack | None, Callable[[], int], bool]:
        """Return the track, its reader and whether it reads averages; instant power is asked for first."""
        nvml = self._nvml
        average = partial(ask, nvml, nvml.nvmlDeviceGetPowerUsage, self._handle)
        instant = partial(ask, nvml, partial(_instant_power, nvml), self._handle)
        for read, period_s in ((instant, _UPDATE_PERIOD_S), (average, _AVERAGING_PERIOD_S)):
            checked = partial(_above_zero, read, self.device)
            try:
                checked()
            except MeterFault:
                continue
            return PowerTrack(self.device, period_s), checked, read is average
        return None, average, True


def _facts() -> tuple[GpuFacts, ...] | Unavailable:
    try:
        with opened() as nvml:
            driver = ask(nvml, nvml.nvmlSystemGetDriverVersion)
            return tuple(_describe(nvml, handle, driver) for handle in handles(nvml))
    except MeterFault as fault:
        return Unavailable("gpu", fault.reason, fault.remedy)


def _describe(nvml: Nvml, handle: Handle, driver: str) -> GpuFacts:
    import psutil  # noqa: PLC0415 - only where there is a GPU

    memory = ask_or_none(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    return GpuFacts(
        uuid=ask(nvml, nvml.nvmlDeviceGetUUID, handle),
        name=ask(nvml, nvml.nvmlDeviceGetName, handle),
        driver=driver,
        memory_bytes=psutil.virtual_memory().total if memory is None else int(memory.total),
        power_limit_w=power_limit_w(nvml, handle),
        has_mig=has_mig(nvml, handle),
        foreign_pids=pids(nvml, handle),
    )


def _instant_power(nvml: Nvml, handle: Handle) -> int:
    value = nvml.nvmlDeviceGetFieldValues(handle, [nvml.NVML_FI_DEV_POWER_INSTANT])[0]
    if value.nvmlReturn != nvml.NVML_SUCCESS:
        raise nvml.NVMLError(value.nvmlReturn)
    return int(value.value.uiVal)


def _above_zero(read: Callable[[], int], device: str) -> int:
    count = read()
    if count <= 0:  # no GPU that answers draws nothing
        raise MeterFault(f"the power of {device} reads as zero")
    return count
