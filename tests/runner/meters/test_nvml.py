import inspect
import os
import subprocess
import sys
from collections.abc import Callable

import pynvml
import pytest

from runner.meters import nvml_library
from runner.meters.interface import Measured, Meter, Unavailable
from runner.meters.nvml import gpus, open_domains, why_no_gpu
from tests.runner.meters.fake_pynvml import FakeGpu, FakeNvml
from tests.runner.meters.simulated import FakeClock, Waveform

Install = Callable[..., FakeNvml]

COUNTER = "nvmlDeviceGetTotalEnergyConsumption"
AVERAGE = "nvmlDeviceGetPowerUsage"
INSTANT = "NVML_FI_DEV_POWER_INSTANT"
HIDDEN = 2**22 + 1  # above the largest process number (proc_sys_kernel(5)): what a container hides
INIT = 1
PULSES = Waveform(((0.7, 60.0), (0.9, 400.0)))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> Install:
    def install(*fakes: FakeGpu, init_error: int | None = None) -> FakeNvml:
        fake = FakeNvml(clock, *fakes, init_error=init_error)
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        return fake

    return install


def opened(clock: FakeClock) -> Meter:
    (meter,) = open_domains(clock)
    assert not isinstance(meter, Unavailable)
    return meter


def measure(
    meter: Meter, clock: FakeClock, event: Callable[[], None] = lambda: None
) -> tuple[object, float, float]:
    """Run a window of 3 s; ``event`` happens in its middle."""
    meter.start()
    started_s = clock.now_s() + 0.253
    for poll in range(350):
        clock.sleep_s(0.01)
        if poll == 170:
            event()
        meter.poll()
    ended_s = started_s + 3.0
    return meter.energy(started_s, ended_s), started_s, ended_s


def test_every_function_of_the_fake_is_as_in_the_real_module() -> None:
    fakes = {name: value for name, value in vars(FakeNvml).items() if name.startswith("nvml")}
    assert len(fakes) > 10
    for name, fake in fakes.items():
        real = inspect.signature(getattr(pynvml, name)).parameters
        assert list(inspect.signature(fake).parameters)[1:] == list(real), name


def test_every_known_error_is_a_return_value_of_nvml() -> None:
    for name in nvml_library._ERRORS:
        assert isinstance(getattr(pynvml, f"NVML_ERROR_{name}"), int)


def test_the_counter_is_measured_on_all_gpus_idle_ones_included(install: Install, clock: FakeClock) -> None:
    idle = Waveform(((1.0, 50.0),))
    install(FakeGpu("GPU-a", PULSES), FakeGpu("GPU-b", idle, update_period_s=0.02))
    meter = opened(clock)
    assert meter.status.devices == ("GPU-a", "GPU-b")
    assert meter.status.source == "nvml-counter"
    assert meter.minimum_window_s == 2.0
    energy, started_s, ended_s = measure(meter, clock)
    assert isinstance(energy, Measured)
    expected_j = PULSES.between(started_s, ended_s) + idle.between(started_s, ended_s)
    assert abs(energy.energy_j - expected_j) <= energy.bound_j
    assert energy.bound_j < 0.15 * expected_j
    assert energy.flags == ()


@pytest.mark.parametrize(
    ("errors", "gain", "minimum_window_s"),
    [
        ({COUNTER: pynvml.NVML_ERROR_NOT_SUPPORTED}, 1.0, 2.0),
        ({}, 0.0, 2.0),
        ({COUNTER: pynvml.NVML_ERROR_NOT_SUPPORTED, INSTANT: pynvml.NVML_ERROR_NOT_SUPPORTED}, 1.0, 10.0),
        (
            {
                COUNTER: pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
                "nvmlDeviceGetFieldValues": pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
            },
            1.0,
            10.0,
        ),
    ],
)
def test_without_a_counter_power_is_integrated_and_says_so(
    install: Install, clock: FakeClock, errors: dict[str, int], gain: float, minimum_window_s: float
) -> None:
    install(FakeGpu(wave=PULSES, errors=errors, counter_gain=gain))
    meter = opened(clock)
    assert meter.status.source == "nvml-power"
    assert meter.minimum_window_s == minimum_window_s
    energy, started_s, ended_s = measure(meter, clock)
    assert isinstance(energy, Measured)
    assert abs(energy.energy_j - PULSES.between(started_s, ended_s)) <= energy.bound_j


def test_a_domain_of_both_kinds_names_both_sources(install: Install, clock: FakeClock) -> None:
    install(FakeGpu("GPU-a"), FakeGpu("GPU-b", errors={COUNTER: pynvml.NVML_ERROR_NOT_SUPPORTED}))
    meter = opened(clock)
    energy, _, _ = measure(meter, clock)
    assert isinstance(energy, Measured)
    assert energy.source == "nvml-counter+nvml-power"
    assert energy.energy_j == pytest.approx(1200, abs=energy.bound_j)


@pytest.mark.parametrize(("gain", "flagged"), [(1.0, False), (1.04, False), (1.07, True), (0.9, True)])
def test_counter_and_power_that_disagree_by_more_than_a_twentieth_are_flagged(
    install: Install, clock: FakeClock, gain: float, flagged: bool
) -> None:
    install(FakeGpu(counter_gain=gain))
    energy, _, _ = measure(opened(clock), clock)
    assert isinstance(energy, Measured)
    assert energy.energy_j == pytest.approx(600 * gain, abs=energy.bound_j)
    assert energy.sampled_ratio == pytest.approx(1 / gain, rel=0.01)
    assert bool(energy.flags) is flagged
    assert all("GPU-aaaa gives" in flag for flag in energy.flags)


def test_the_sampled_ratio_of_several_gpus_is_weighted_by_energy(install: Install, clock: FakeClock) -> None:
    small, large = Waveform(((1.0, 100.0),)), Waveform(((1.0, 300.0),))
    install(
        FakeGpu("GPU-a", small, counter_gain=0.5),
        FakeGpu("GPU-b", large),
        FakeGpu("GPU-c", large, errors={COUNTER: pynvml.NVML_ERROR_NOT_SUPPORTED}),
    )
    energy, _, _ = measure(opened(clock), clock)
    assert isinstance(energy, Measured)
    assert energy.sampled_ratio == pytest.approx((100 + 300) / (50 + 300), rel=0.01)


@pytest.mark.parametrize("errors", [{INSTANT: 3, AVERAGE: 3}, {COUNTER: 3}])
def test_one_way_of_reading_alone_has_no_ratio(
    install: Install, clock: FakeClock, errors: dict[str, int]
) -> None:
    install(FakeGpu(errors=errors))
    energy, _, _ = measure(opened(clock), clock)
    assert isinstance(energy, Measured)
    assert energy.sampled_ratio is None


def test_power_that_fails_costs_the_check_and_not_the_counter(install: Install, clock: FakeClock) -> None:
    gpu = FakeGpu()
    install(gpu)
    meter = opened(clock)
    energy, _, _ = measure(meter, clock, lambda: gpu.errors.update({INSTANT: pynvml.NVML_ERROR_UNKNOWN}))
    assert isinstance(energy, Measured)
    assert energy.energy_j == pytest.approx(600, abs=energy.bound_j)
    assert energy.sampled_ratio is None
    assert "not checked" in energy.flags[0]


def test_mig_and_processes_of_others_are_named(install: Install, clock: FakeClock) -> None:
    gpu = FakeGpu(has_mig=True, pids=(HIDDEN, os.getpid()))
    install(gpu)
    meter = opened(clock)
    gpu.pids = (HIDDEN, HIDDEN + 1)  # the second may be a worker of ours, by the number the host gives it
    energy, _, _ = measure(meter, clock)
    assert isinstance(energy, Measured)
    assert energy.scope == "whole_device"
    assert energy.flags == (
        "MIG is on: the counters of GPU-aaaa cover all instances",
        "1 other processes compute on GPU-aaaa",
    )
    gpu.pids = (HIDDEN + 1,)
    energy, _, _ = measure(meter, clock)
    assert isinstance(energy, Measured)
    assert len(energy.flags) == 1


def test_a_process_that_comes_later_is_foreign_unless_we_started_it(
    install: Install, clock: FakeClock
) -> None:
    gpu = FakeGpu()
    install(gpu)
    meter = opened(clock)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as worker:
        gpu.pids = (worker.pid,)
        ours, _, _ = measure(meter, clock)
        gpu.pids = (worker.pid, INIT)
        foreign, _, _ = measure(meter, clock)
        worker.communicate(b"\n")
    assert isinstance(ours, Measured)
    assert ours.flags == ()
    assert isinstance(foreign, Measured)
    assert foreign.flags == ("1 other processes compute on GPU-aaaa",)


@pytest.mark.parametrize(
    ("code", "reason", "remedy"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no NVIDIA driver is installed", "Install the driver"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "not loaded", "modprobe nvidia"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "updated while it ran", "Reboot"),
        (pynvml.NVML_ERROR_UNKNOWN, "NVML says: Unknown Error", ""),
    ],
)
def test_a_driver_that_does_not_start_says_why(
    install: Install, clock: FakeClock, code: int, reason: str, remedy: str
) -> None:
    install(init_error=code)
    (absent,) = open_domains(clock)
    assert isinstance(absent, Unavailable)
    assert reason in absent.reason
    assert remedy in absent.remedy
    assert gpus() == ()
    assert why_no_gpu() == absent


def test_a_missing_module_says_how_to_get_it(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    (absent,) = open_domains(clock)
    assert absent == Unavailable("gpu", "the module pynvml is missing", "Run: pip install nvidia-ml-py")


@pytest.mark.parametrize(
    ("fakes", "reason"),
    [
        ((), "the driver sees no GPU"),
        (
            (FakeGpu(errors={"nvmlDeviceGetHandleByIndex": pynvml.NVML_ERROR_GPU_IS_LOST}),),
            "fell off the bus",
        ),
        (
            (
                FakeGpu("GPU-a"),
                FakeGpu(
                    "GPU-b",
                    errors={
                        COUNTER: pynvml.NVML_ERROR_NOT_SUPPORTED,
                        INSTANT: pynvml.NVML_ERROR_NOT_SUPPORTED,
                        AVERAGE: pynvml.NVML_ERROR_NOT_SUPPORTED,
                    },
                ),
            ),
            "GPU-b has neither",
        ),
    ],
)
def test_a_gpu_that_cannot_be_read_leaves_no_partial_total(
    install: Install, clock: FakeClock, fakes: tuple[FakeGpu, ...], reason: str
) -> None:
    fake = install(*fakes)
    (absent,) = open_domains(clock)
    assert isinstance(absent, Unavailable)
    assert reason in absent.reason
    assert fake.users == 0


def test_closing_gives_the_library_back(install: Install, clock: FakeClock) -> None:
    fake = install(FakeGpu())
    meter = opened(clock)
    assert fake.users == 1
    meter.close()
    assert fake.users == 0


def test_the_facts_of_a_gpu(install: Install) -> None:
    fake = install(FakeGpu(pids=(os.getpid(), 7), has_mig=True))
    (gpu,) = gpus()
    assert (gpu.uuid, gpu.name, gpu.driver) == ("GPU-aaaa", "NVIDIA Imaginary", "570.1")
    assert (gpu.memory_bytes, gpu.power_limit_w) == (80 * 2**30, 700.0)
    assert (gpu.has_mig, gpu.foreign_pids) == (True, (7,))
    assert fake.users == 0


def test_facts_that_a_gpu_does_not_give_are_unknown_and_not_zero(install: Install) -> None:
    unsupported = (
        "nvmlDeviceGetMemoryInfo",
        "nvmlDeviceGetEnforcedPowerLimit",
        "nvmlDeviceGetMigMode",
        "nvmlDeviceGetComputeRunningProcesses",
    )
    install(FakeGpu(errors=dict.fromkeys(unsupported, pynvml.NVML_ERROR_NOT_SUPPORTED)))
    (gpu,) = gpus()
    assert gpu.memory_bytes > 0
    assert gpu.power_limit_w is None
    assert (gpu.has_mig, gpu.foreign_pids) == (False, ())
