import sys
from collections.abc import Callable

import pynvml
import pytest

from runner.meters.gpu_state import SLOWDOWNS, GpuState, gpu_states
from tests.runner.meters.fake_pynvml import FakeGpu, FakeNvml
from tests.runner.meters.simulated import FakeClock

Install = Callable[..., FakeNvml]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    def install(*fakes: FakeGpu, init_error: int | None = None) -> FakeNvml:
        fake = FakeNvml(FakeClock(), *fakes, init_error=init_error)
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        return fake

    return install


def test_every_gpu_tells_its_state_in_si_units(install: Install) -> None:
    install(FakeGpu("GPU-a"), FakeGpu("GPU-b", throttle_bits=pynvml.nvmlClocksEventReasonSwPowerCap))
    with gpu_states() as read:
        assert read() == (
            GpuState("GPU-a", 41, 1.98e9, 700.0, ()),
            GpuState("GPU-b", 41, 1.98e9, 700.0, ("power cap",)),
        )


def test_nvml_stays_open_between_readings_and_is_closed_at_the_end(install: Install) -> None:
    gpu = FakeGpu()
    fake = install(gpu)
    with gpu_states() as read:
        assert read()[0].throttle_reasons == ()
        gpu.throttle_bits = 0x40
        assert read()[0].throttle_reasons == ("hardware thermal slowdown",)
        assert fake.users == 1
    assert fake.users == 0


@pytest.mark.parametrize(
    ("bit", "word"),
    [
        (pynvml.nvmlClocksEventReasonHwSlowdown, SLOWDOWNS[0]),
        (pynvml.nvmlClocksEventReasonSwThermalSlowdown, SLOWDOWNS[1]),
        (pynvml.nvmlClocksEventReasonHwThermalSlowdown, SLOWDOWNS[2]),
        (pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown, SLOWDOWNS[3]),
        (pynvml.nvmlClocksEventReasonGpuIdle, "idle"),
        (pynvml.nvmlClocksEventReasonApplicationsClocksSetting, "application clocks"),
        (pynvml.nvmlClocksEventReasonSyncBoost, "sync boost"),
        (pynvml.nvmlClocksEventReasonDisplayClockSetting, "display clocks"),
        (0x8000, "reason 0x8000"),
    ],
)
def test_each_bit_of_nvml_has_its_word_and_a_new_one_its_number(
    bit: int, word: str, install: Install
) -> None:
    install(FakeGpu(throttle_bits=bit))
    with gpu_states() as read:
        assert read()[0].throttle_reasons == (word,)


def test_reasons_come_together(install: Install) -> None:
    install(FakeGpu(throttle_bits=0x8 | 0x4 | 0x80))
    with gpu_states() as read:
        assert read()[0].throttle_reasons == ("power cap", "hardware slowdown", "hardware power brake")


@pytest.mark.parametrize(
    ("function", "field"),
    [
        ("nvmlDeviceGetTemperature", "temperature_celsius"),
        ("nvmlDeviceGetClockInfo", "clock_hz"),
        ("nvmlDeviceGetEnforcedPowerLimit", "power_limit_w"),
        ("nvmlDeviceGetCurrentClocksEventReasons", "throttle_reasons"),
    ],
)
def test_what_a_gpu_does_not_say_is_none_and_the_rest_is_there(
    function: str, field: str, install: Install
) -> None:
    install(FakeGpu(errors={function: pynvml.NVML_ERROR_NOT_SUPPORTED}))
    with gpu_states() as read:
        (state,) = read()
    fields = ("temperature_celsius", "clock_hz", "power_limit_w", "throttle_reasons")
    assert [name for name in fields if getattr(state, name) is None] == [field]


def test_without_a_driver_or_a_gpu_there_are_no_states(install: Install) -> None:
    install(init_error=pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
    with gpu_states() as read:
        assert read() == ()
    fake = install()
    with gpu_states() as read:
        assert read() == ()
    assert fake.users == 0
