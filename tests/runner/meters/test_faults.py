"""Every fault of a meter, and what the window says: a reason, and never a zero or a part of a sum."""

import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pynvml
import pytest
from pyfakefs.fake_filesystem import FakeFilesystem
from pyfakefs.helpers import set_uid

from runner.meters import nvml, nvml_library, rapl
from runner.meters.interface import Domain, Energy, Measured, Meter, Unavailable
from tests.runner.meters.fake_pynvml import FakeGpu, FakeNvml
from tests.runner.meters.simulated import POWERCAP, Machine, Waveform

COUNTER = "nvmlDeviceGetTotalEnergyConsumption"
AVERAGE = "nvmlDeviceGetPowerUsage"
INSTANT = "NVML_FI_DEV_POWER_INSTANT"
TRUE_W: dict[Domain, float] = {"cpu_package": 80.0, "dram": 10.0, "gpu": 400.0}
POLL_S = 0.08  # each is a dozen files of a pretended file system


@dataclass(slots=True)
class Bench:
    """Two packages with memory and two GPUs; faults befall the second of each."""

    machine: Machine
    monkeypatch: pytest.MonkeyPatch
    gpu: FakeGpu = field(default_factory=lambda: FakeGpu("GPU-b"))
    init_error: int | None = None
    window_s: float = 2.5

    @property
    def path(self) -> Path:
        return Path(self.machine.zones["package-1"])

    def open(self) -> tuple[Meter | Unavailable, ...]:
        fake = FakeNvml(self.machine.clock, FakeGpu("GPU-a"), self.gpu, init_error=self.init_error)
        self.monkeypatch.setitem(sys.modules, "pynvml", fake)
        return (*rapl.open_domains(self.machine.clock), *nvml.open_domains(self.machine.clock))

    def window(self, meters: tuple[Meter, ...], event: Callable[[], None] = lambda: None) -> list[Energy]:
        """Run a window in whose middle something happens."""
        clock = self.machine.clock
        for meter in meters:
            meter.start()
        started_s = clock.now_s() + 0.25
        ended_s = started_s + self.window_s
        has_happened = False
        while clock.now_s() < ended_s + 0.25:
            clock.sleep_s(POLL_S)
            if clock.now_s() > (started_s + ended_s) / 2 and not has_happened:
                has_happened = True
                event()
            for meter in meters:
                meter.poll()
        return [meter.energy(started_s, ended_s) for meter in meters]


Act = Callable[[Bench], None]


@pytest.fixture(params=["pyRAPL", "powercap"])
def bench(request: pytest.FixtureRequest, fs: FakeFilesystem, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The same machine by both readers: pyRAPL gives up at a gap in the numbering."""
    machine = Machine(fs)
    machine.cpus([0, 1])
    machine.zone(0, "package-0", ["dram"])
    machine.zone(1 if request.param == "pyRAPL" else 3, "package-1", ["dram"])
    return Bench(machine, monkeypatch)


def assert_whole_or_absent(energies: list[Energy], window_s: float, lost: Mapping[Domain, str]) -> None:
    """Assert that what is lost says why, and that the rest is all there."""
    assert [energy.domain for energy in energies] == list(TRUE_W)
    for energy in energies:
        if energy.domain in lost:
            assert isinstance(energy, Unavailable), energy
            assert re.search(lost[energy.domain], energy.reason), energy.reason
        else:
            assert isinstance(energy, Measured), energy
            assert energy.bound_j < 0.15 * TRUE_W[energy.domain] * window_s
            assert energy.energy_j == pytest.approx(TRUE_W[energy.domain] * window_s, abs=energy.bound_j)


def shows(text: str) -> Act:
    """Return the fault of a counter that shows something else, and goes on later."""

    def act(bench: Bench) -> None:
        bench.machine.frozen.add("package-1")
        (bench.path / "energy_uj").write_text(text, encoding="ascii")

    return act


def becomes_a_folder(bench: Bench) -> None:
    bench.machine.frozen.add("package-1")
    bench.machine.fs.remove(f"{bench.path}/energy_uj")
    bench.machine.fs.create_dir(f"{bench.path}/energy_uj")


def goes_away(bench: Bench) -> None:
    bench.machine.frozen.add("package-1")
    bench.machine.fs.remove(f"{bench.path}/energy_uj")


def stands_still(bench: Bench) -> None:
    bench.machine.frozen.add("package-1")


def answers(code: int, name: str = COUNTER) -> Act:
    def act(bench: Bench) -> None:
        bench.gpu.errors[name] = code

    return act


def is_reset(bench: Bench) -> None:
    bench.gpu.counter_mj -= 4_000_000


def reads_zero(bench: Bench) -> None:
    bench.gpu.counter_gain = 0.0


def freezes(bench: Bench) -> None:
    bench.gpu.frozen_at_s = bench.machine.clock.now_s()


CPU_FAULTS: dict[str, tuple[Act, str]] = {
    "empty file": (shows(""), "cannot be read"),
    "blank": (shows("\n"), "cannot be read"),
    "garbage": (shows("garbage\n"), "cannot be read"),
    "negative": (shows("-5\n"), "cannot be read|reads -5"),
    "absent, as pyRAPL puts it": (shows("-1\n"), "cannot be read|it is gone"),
    "infinite": (shows("inf\n"), "cannot be read"),
    "reset": (shows("7\n"), "jumped: it was reset or misread"),
    "far ahead": (shows("99999999999\n"), "jumped: it was reset or misread"),
    "frozen": (stands_still, "did not change around the window"),
}
# Whoever opens the file for each read sees these; pyRAPL keeps its file open, and sees a counter that stands still.
FILE_FAULTS: dict[str, tuple[Act, str]] = {
    "read error": (becomes_a_folder, "cannot be read|did not change around the window"),
    "gone": (goes_away, "cannot be read|did not change around the window"),
}
GPU_FAULTS: dict[str, tuple[Act, str]] = {
    "reset": (is_reset, "went down"),
    "reads zero": (reads_zero, "went down"),
    "frozen": (freezes, "did not change around the window"),
    "unknown error": (answers(pynvml.NVML_ERROR_INSUFFICIENT_POWER), "Insufficient External Power"),
    **{
        name: (answers(getattr(pynvml, f"NVML_ERROR_{name}")), reason.replace("(", r"\("))
        for name, (reason, _) in nvml_library._ERRORS.items()
    },
}


def opened(bench: Bench) -> tuple[Meter, ...]:
    found = bench.open()
    assert not any(isinstance(each, Unavailable) for each in found), found
    return tuple(each for each in found if not isinstance(each, Unavailable))


@pytest.mark.parametrize(("act", "reason"), CPU_FAULTS.values(), ids=CPU_FAULTS)
def test_a_fault_of_one_package_costs_all_of_them_this_window_and_not_the_next(
    bench: Bench, act: Act, reason: str
) -> None:
    meters = opened(bench)
    energies = bench.window(meters, lambda: act(bench))
    assert_whole_or_absent(energies, bench.window_s, {"cpu_package": reason})
    bench.machine.frozen.clear()
    bench.machine.go_on()
    assert_whole_or_absent(bench.window(meters), bench.window_s, {})


@pytest.mark.parametrize(("act", "reason"), FILE_FAULTS.values(), ids=FILE_FAULTS)
def test_a_file_that_is_lost_costs_every_window(bench: Bench, act: Act, reason: str) -> None:
    meters = opened(bench)
    lost: dict[Domain, str] = {"cpu_package": reason}
    assert_whole_or_absent(bench.window(meters, lambda: act(bench)), bench.window_s, lost)
    assert_whole_or_absent(bench.window(meters), bench.window_s, lost)


powercap_only = pytest.mark.parametrize("bench", ["powercap"], indirect=True)


@powercap_only
@pytest.mark.parametrize(("act", "reason"), GPU_FAULTS.values(), ids=GPU_FAULTS)
def test_a_fault_of_one_gpu_costs_all_of_them_this_window_and_not_the_next(
    bench: Bench, act: Act, reason: str
) -> None:
    *_, gpu = opened(bench)
    bench.machine.zones.clear()  # nobody reads them here
    (energy,) = bench.window((gpu,), lambda: act(bench))
    assert isinstance(energy, Unavailable)
    assert re.search(reason, energy.reason)
    assert gpu.has_changed_since(math.inf) is (act is not freezes)  # nothing is left to wait for
    bench.gpu.errors.clear()
    bench.gpu.counter_gain, bench.gpu.frozen_at_s = 1.0, math.inf
    assert isinstance(bench.window((gpu,))[0], Measured)


def test_meters_that_nobody_read_for_long_have_no_figure(bench: Bench) -> None:
    meters = opened(bench)
    energies = bench.window(meters, lambda: bench.machine.clock.sleep_s(1.1))
    stopped = r"unread for 1\.\d s: joulebatch was stopped"
    assert_whole_or_absent(energies, bench.window_s, dict.fromkeys(TRUE_W, stopped))
    assert_whole_or_absent(bench.window(meters), bench.window_s, {})


@powercap_only
def test_a_counter_that_may_have_wrapped_twice_has_no_figure(bench: Bench) -> None:
    set_range(bench, "1000000000\n")  # 1000 J, which no package can draw twice in less than 1 s at 2 kW
    meters = opened(bench)
    energies = bench.window(meters, lambda: bench.machine.clock.sleep_s(0.5))
    twice: dict[Domain, str] = {"cpu_package": r"unread for 0\.\d s and may have wrapped twice"}
    assert_whole_or_absent(energies, bench.window_s, twice)


def set_range(bench: Bench, text: str | None) -> None:
    """Change the range of package-1, and let it count within it."""
    bench.machine.frozen.add("package-1")
    path = bench.path / "max_energy_range_uj"
    path.unlink() if text is None else path.write_text(text, encoding="ascii")

    def go_on() -> None:
        bench.machine.go_on()
        count = int(40.0 * bench.machine.clock.at_s * 1e6) % 1_000_000_000
        (bench.path / "energy_uj").write_text(f"{count}\n", encoding="ascii")

    bench.machine.clock.on_sleep = go_on
    go_on()


@powercap_only
@pytest.mark.parametrize("text", [None, "", "garbage\n", "0\n", "-1\n"])
def test_without_a_range_a_wrap_is_a_fault_and_other_windows_are_not(bench: Bench, text: str | None) -> None:
    set_range(bench, text)
    # It wraps each 25 s of the 40 W: from 1000.3 s on at 1025 s, 0.7 s after this window began.
    meters = opened(bench)
    assert_whole_or_absent(bench.window(meters), bench.window_s, {})
    bench.machine.clock.sleep_s(1024 - bench.machine.clock.now_s())
    lost: dict[Domain, str] = {"cpu_package": "went down: its driver was loaded anew or it wrapped"}
    assert_whole_or_absent(bench.window(meters), bench.window_s, lost)


def test_fewer_than_ten_ticks_are_below_resolution(bench: Bench) -> None:
    meters, bench.window_s = opened(bench), 0.02
    lost = dict.fromkeys(TRUE_W, r"below resolution: .* changed \d times in the window")
    assert_whole_or_absent(bench.window(meters), bench.window_s, lost)


def test_a_fast_counter_is_resolved_where_a_slow_one_is_not(bench: Bench) -> None:
    meters, bench.window_s = opened(bench), 0.3
    lost: dict[Domain, str] = {"gpu": r"below resolution: .* changed \d times in the window"}
    assert_whole_or_absent(bench.window(meters), bench.window_s, lost)


@powercap_only
@pytest.mark.parametrize("count", [0, 4_999_000_000])
def test_no_counter_of_a_gpu_is_power_and_never_zero(bench: Bench, count: int) -> None:
    if count == 0:
        bench.gpu.counter_gain = 0.0
    else:
        bench.gpu.errors[COUNTER] = pynvml.NVML_ERROR_NOT_SUPPORTED
    *_, gpu = bench.window(opened(bench))
    assert isinstance(gpu, Measured)
    assert gpu.source == "nvml-counter+nvml-power"
    assert gpu.energy_j == pytest.approx(TRUE_W["gpu"] * bench.window_s, abs=gpu.bound_j)


@powercap_only
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (pynvml.NVML_ERROR_GPU_IS_LOST, "fell off the bus"),
        (pynvml.NVML_ERROR_NO_DATA, "no data for this reading"),
        (0, "reads as zero"),
    ],
)
def test_power_alone_that_fails_has_no_figure(bench: Bench, fault: int, reason: str) -> None:
    bench.gpu.errors[COUNTER] = pynvml.NVML_ERROR_NOT_SUPPORTED
    meters = opened(bench)

    def event() -> None:
        if fault:
            bench.gpu.errors[INSTANT] = fault
        else:
            bench.gpu.wave = Waveform(((1.0, 0.0),))

    assert_whole_or_absent(bench.window(meters, event), bench.window_s, {"gpu": reason})


def hidden(bench: Bench) -> None:
    bench.machine.fs.chmod(f"{bench.path}/energy_uj", 0o400)
    set_uid(1000)


def masked(bench: Bench) -> None:
    for directory in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:3"):
        if bench.machine.fs.exists(f"{POWERCAP}/{directory}"):
            bench.machine.fs.remove_object(f"{POWERCAP}/{directory}")
    bench.machine.zones.clear()


def without_package(bench: Bench) -> None:
    bench.machine.fs.remove_object(str(bench.path))
    for key in ("package-1", "package-1/dram"):
        del bench.machine.zones[key]


def changes_once(bench: Bench) -> None:
    bench.gpu.update_period_s = 0.9


def without_readings(bench: Bench) -> None:
    for name in (COUNTER, INSTANT, AVERAGE):
        bench.gpu.errors[name] = pynvml.NVML_ERROR_NOT_SUPPORTED


def without_driver(bench: Bench) -> None:
    bench.init_error = pynvml.NVML_ERROR_LIBRARY_NOT_FOUND


BOTH: tuple[Domain, Domain] = ("cpu_package", "dram")


@pytest.mark.parametrize(
    ("prepare", "domains", "reason"),
    [
        (hidden, ("cpu_package",), "readable by root only"),
        (masked, BOTH, "a container masks it"),
        (without_package, BOTH, "no counter for package 1"),
        (stands_still, ("cpu_package",), "package-1 does not change"),
        (shows("\n"), ("cpu_package",), "cannot be read"),
        (shows("-7\n"), ("cpu_package",), "cannot be read"),
        (becomes_a_folder, ("cpu_package",), "cannot be read"),
        (goes_away, ("cpu_package",), "cannot be read"),
        (freezes, ("gpu",), "GPU-b does not change"),
        (changes_once, ("gpu",), "GPU-b changed once in 1 s"),
        (without_readings, ("gpu",), "GPU-b has neither"),
        (without_driver, ("gpu",), "no NVIDIA driver"),
        (answers(pynvml.NVML_ERROR_GPU_IS_LOST, "nvmlDeviceGetHandleByIndex"), ("gpu",), "fell off the bus"),
        (answers(pynvml.NVML_ERROR_UNKNOWN, "nvmlDeviceGetUUID"), ("gpu",), "Unknown Error"),
    ],
)
def test_what_cannot_be_opened_says_why_and_what_to_do(
    bench: Bench, prepare: Act, domains: tuple[Domain, ...], reason: str
) -> None:
    prepare(bench)
    for domain, found in zip(TRUE_W, bench.open(), strict=True):
        if domain in domains:
            assert isinstance(found, Unavailable)
            assert reason in found.reason
            assert len(found.remedy) > 10
        else:
            assert not isinstance(found, Unavailable)
            assert found.status.domain == domain
