"""Temperature, clock, power limit and throttling of every GPU, as NVML tells them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from runner.extensible import Extensible
from runner.meters.interface import MeterFault
from runner.meters.nvml_library import Handle, Nvml, ask, ask_or_none, handles, opened, power_limit_w

_HZ_PER_MHZ = 1e6

SLOWDOWNS = (
    "hardware slowdown",
    "software thermal slowdown",
    "hardware thermal slowdown",
    "hardware power brake",
)
"""what slows a GPU down because it is too hot or its supply too weak; nobody chose it, unlike a power cap"""

_REASONS: Mapping[int, str] = {
    0x1: "idle",
    0x2: "application clocks",
    0x4: "power cap",
    0x8: SLOWDOWNS[0],
    0x10: "sync boost",
    0x20: SLOWDOWNS[1],
    0x40: SLOWDOWNS[2],
    0x80: SLOWDOWNS[3],
    0x100: "display clocks",
    0x200: "board limit",
    0x400: "reliability",
}
"""by bit. Source: NVML API reference, NvmlClocksEventReasons (nvml.h); numbers, as older pynvml lack some names"""


@dataclass(frozen=True)
class GpuState(Extensible):
    """A GPU at one moment; None where it does not say."""

    uuid: str
    temperature_celsius: float | None
    clock_hz: float | None
    """of its streaming multiprocessors"""
    power_limit_w: float | None
    """that the driver enforces"""
    throttle_reasons: tuple[str, ...] | None
    """why the clock is not higher"""


@contextmanager
def gpu_states() -> Iterator[Callable[[], tuple[GpuState, ...]]]:
    """Return what reads the state of every GPU, with NVML open meanwhile; it finds none where there is no driver."""
    with ExitStack() as stack:
        yield _reader(stack)


def _reader(stack: ExitStack) -> Callable[[], tuple[GpuState, ...]]:
    try:
        nvml = stack.enter_context(opened())
        gpus = tuple((handle, ask(nvml, nvml.nvmlDeviceGetUUID, handle)) for handle in handles(nvml))
    except MeterFault:  # why there is no GPU to read is what its meter says, to all who ask
        return tuple
    return lambda: tuple(_state(nvml, handle, uuid) for handle, uuid in gpus)


def _state(nvml: Nvml, handle: Handle, uuid: str) -> GpuState:
    celsius = partial(nvml.nvmlDeviceGetTemperature, sensor=nvml.NVML_TEMPERATURE_GPU)
    clock = partial(nvml.nvmlDeviceGetClockInfo, type=nvml.NVML_CLOCK_SM)
    clock_mhz = ask_or_none(nvml, clock, handle)
    reasons = ask_or_none(nvml, nvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
    return GpuState(
        uuid=uuid,
        temperature_celsius=ask_or_none(nvml, celsius, handle),
        clock_hz=None if clock_mhz is None else clock_mhz * _HZ_PER_MHZ,
        power_limit_w=power_limit_w(nvml, handle),
        throttle_reasons=None if reasons is None else _words(reasons),
    )


def _words(reasons: int) -> tuple[str, ...]:
    """Return a word for every bit that is set; newer drivers may set bits that have none here."""
    bits = (1 << position for position in range(reasons.bit_length()))
    return tuple(_REASONS.get(bit, f"reason {bit:#x}") for bit in bits if reasons & bit)
