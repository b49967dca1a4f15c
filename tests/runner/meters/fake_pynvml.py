"""A pynvml without a driver: GPUs of known power on a virtual clock, which fail as they are told to."""

# ruff: noqa: N802, N803 - the names are those of the real module

import math
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml

from tests.runner.meters.simulated import FakeClock, Waveform

STEADY = Waveform(((1.0, 200.0),))


@dataclass(slots=True)
class FakeGpu:
    uuid: str = "GPU-aaaa"
    wave: Waveform = STEADY
    update_period_s: float = 0.1
    counter_mj: int = 5_000_000
    """what the counter showed when the driver was loaded"""
    counter_gain: float = 1.0
    errors: dict[str, int] = field(default_factory=dict)
    """return value by the name of the function, or of the field for field values"""
    frozen_at_s: float = math.inf
    """after it nothing changes any more"""
    has_mig: bool = False
    pids: tuple[int, ...] = ()
    throttle_bits: int = 0


class FakeNvml:
    """The functions that we call; constants and exceptions are the real module's."""

    def __init__(self, clock: FakeClock, *gpus: FakeGpu, init_error: int | None = None) -> None:
        self._clock, self._gpus, self._init_error = clock, gpus, init_error
        self.users = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("NVML_", "NVMLError")):
            return getattr(pynvml, name)
        raise AttributeError(name)

    def nvmlInit(self) -> None:
        if self._init_error is not None:
            raise pynvml.NVMLError(self._init_error)
        self.users += 1

    def nvmlShutdown(self) -> None:
        self._answer(None, "nvmlShutdown")
        self.users -= 1

    def nvmlSystemGetDriverVersion(self) -> str:
        self._answer(None, "nvmlSystemGetDriverVersion")
        return "570.1"

    def nvmlDeviceGetCount(self) -> int:
        self._answer(None, "nvmlDeviceGetCount")
        return len(self._gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeGpu:
        self._answer(self._gpus[index], "nvmlDeviceGetHandleByIndex")
        return self._gpus[index]

    def nvmlDeviceGetUUID(self, handle: FakeGpu) -> str:
        self._answer(handle, "nvmlDeviceGetUUID")
        return handle.uuid

    def nvmlDeviceGetName(self, handle: FakeGpu) -> str:
        self._answer(handle, "nvmlDeviceGetName")
        return "NVIDIA Imaginary"

    def nvmlDeviceGetMemoryInfo(self, handle: FakeGpu, version: int | None = None) -> SimpleNamespace:
        self._answer(handle, "nvmlDeviceGetMemoryInfo")
        return SimpleNamespace(total=80 * 2**30)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: FakeGpu) -> int:
        self._answer(handle, "nvmlDeviceGetEnforcedPowerLimit")
        return 700_000

    def nvmlDeviceGetTemperature(self, handle: FakeGpu, sensor: int) -> int:
        self._answer(handle, "nvmlDeviceGetTemperature")
        assert sensor == pynvml.NVML_TEMPERATURE_GPU
        return 41

    def nvmlDeviceGetClockInfo(self, handle: FakeGpu, type: int) -> int:  # noqa: A002 - as in the real module
        self._answer(handle, "nvmlDeviceGetClockInfo")
        assert type == pynvml.NVML_CLOCK_SM
        return 1980

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: FakeGpu) -> int:
        self._answer(handle, "nvmlDeviceGetCurrentClocksEventReasons")
        return handle.throttle_bits

    def nvmlDeviceGetMigMode(self, device: FakeGpu) -> list[int]:
        self._answer(device, "nvmlDeviceGetMigMode")
        return [int(device.has_mig)] * 2

    def nvmlDeviceGetComputeRunningProcesses(self, handle: FakeGpu) -> list[SimpleNamespace]:
        self._answer(handle, "nvmlDeviceGetComputeRunningProcesses")
        return [SimpleNamespace(pid=pid) for pid in handle.pids]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: FakeGpu) -> int:
        self._answer(handle, "nvmlDeviceGetTotalEnergyConsumption")
        energy_j = handle.wave.energy_j(self._updated_s(handle)) * handle.counter_gain
        return handle.counter_mj + int(energy_j * 1000) if handle.counter_gain else 0

    def nvmlDeviceGetPowerUsage(self, handle: FakeGpu) -> int:
        self._answer(handle, "nvmlDeviceGetPowerUsage")
        now_s = self._updated_s(handle)
        return int(handle.wave.between(now_s - 1.0, now_s) * 1000)

    def nvmlDeviceGetFieldValues(self, handle: FakeGpu, fieldIds: list[int]) -> list[SimpleNamespace]:
        self._answer(handle, "nvmlDeviceGetFieldValues")
        assert fieldIds == [pynvml.NVML_FI_DEV_POWER_INSTANT]
        code = handle.errors.get("NVML_FI_DEV_POWER_INSTANT", pynvml.NVML_SUCCESS)
        power_mw = int(handle.wave.power_w(self._updated_s(handle)) * 1000)
        return [SimpleNamespace(nvmlReturn=code, value=SimpleNamespace(uiVal=power_mw))]

    def _updated_s(self, handle: FakeGpu) -> float:
        now_s = min(self._clock.now_s(), handle.frozen_at_s)
        return math.floor(now_s / handle.update_period_s) * handle.update_period_s

    def _answer(self, handle: FakeGpu | None, function: str) -> None:
        if self.users == 0:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)
        if handle is not None and function in handle.errors:
            raise pynvml.NVMLError(handle.errors[function])
