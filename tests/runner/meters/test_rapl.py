"""Real pyRAPL and our own reads, on powercap trees that pyfakefs pretends to have."""

import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem
from pyfakefs.helpers import set_uid

from runner.meters.interface import Measured, Meter, Unavailable
from runner.meters.powercap import find_zones
from runner.meters.rapl import open_domains
from tests.runner.meters.simulated import POWERCAP, RANGE_UJ, FakeClock, Machine

Build = Callable[[Machine], None]


@pytest.fixture
def machine(fs: FakeFilesystem) -> Machine:
    return Machine(fs)


def one_socket(machine: Machine) -> None:
    machine.cpus([0, 0])
    machine.zone(0, "package-0", ["core", "uncore", "dram"])


def two_sockets(machine: Machine) -> None:
    machine.cpus([0, 1, 0, 1])
    machine.zone(0, "package-1", ["dram"])  # the kernel numbers zones in no order of packages
    machine.zone(1, "package-0", ["dram"])


def psys_between(machine: Machine) -> None:
    machine.cpus([0, 1])
    machine.zone(0, "package-0", ["dram"])
    machine.zone(1, "psys")
    machine.zone(2, "package-1", ["core", "dram"])


def dies(machine: Machine) -> None:
    machine.cpus([0, 0])
    machine.zone(0, "package-0-die-0", ["dram"])
    machine.zone(1, "package-0-die-1", ["dram"])


def dies_of_one_counter(machine: Machine) -> None:
    machine.cpus([0, 0], vendor="AuthenticAMD")
    machine.zone(0, "package-0-die-0", ["core"])
    machine.zone(1, "package-0-die-1", ["core"])


def sparse_zones(machine: Machine) -> None:
    machine.cpus([0, 1])
    machine.zone(0, "package-0", ["dram"])
    machine.zone(3, "package-1", ["dram"])


def offline_cpu(machine: Machine) -> None:
    machine.cpus([0, 0])
    machine.fs.create_file("/sys/devices/system/cpu/cpu2/online", contents="0\n")
    machine.fs.remove_object("/sys/devices/system/cpu/present")
    machine.fs.create_file("/sys/devices/system/cpu/present", contents="0-2\n")
    machine.zone(0, "package-0", ["dram"])


POWERS_W = {"package": 40.0, "dram": 5.0, "core": 30.0, "uncore": 1.0, "psys": 90.0}


def measure(
    machine: Machine, ending: str, meter: Meter, clock: FakeClock, faults: Mapping[int, str]
) -> object:
    """Run a window of 1 s in which every zone draws its power; ``faults`` change what a poll sees."""
    for poll in range(120):
        clock.sleep_s(0.01)
        for key in machine.zones:
            name = key.rpartition("/")[2].partition("-")[0]
            machine.show(key, 1000 + POWERS_W[name] * poll * 0.01)
        if poll in faults:
            for key in machine.zones:
                if key.endswith(ending):
                    Path(machine.zones[key], "energy_uj").write_text(faults[poll], encoding="ascii")
        meter.start() if poll == 0 else meter.poll()
    ended_s = clock.now_s() - 0.05
    return meter.energy(ended_s - 1.0, ended_s)


def opened(domain: str, clock: FakeClock) -> Meter | Unavailable:
    package, dram = open_domains(clock)
    return package if domain == "cpu_package" else dram


@pytest.mark.parametrize(
    ("build", "source", "package_w", "dram_w"),
    [
        (one_socket, "pyRAPL", 40.0, 5.0),
        (two_sockets, "pyRAPL", 80.0, 10.0),
        (psys_between, "pyRAPL", 80.0, 10.0),
        (dies, "powercap", 80.0, 10.0),
        (dies_of_one_counter, "powercap", 40.0, None),
        (sparse_zones, "powercap", 80.0, 10.0),
        (offline_cpu, "powercap", 40.0, 5.0),
    ],
)
def test_every_package_counts_once_and_its_parts_and_psys_never(
    machine: Machine, build: Build, source: str, package_w: float, dram_w: float | None
) -> None:
    build(machine)
    for domain, power_w in (("cpu_package", package_w), ("dram", dram_w)):
        clock = FakeClock()
        meter = opened(domain, clock)
        if power_w is None:
            assert isinstance(meter, Unavailable)
            continue
        assert not isinstance(meter, Unavailable)
        energy = measure(machine, "", meter, clock, {})
        assert isinstance(energy, Measured)
        assert energy.source == source
        assert energy.energy_j == pytest.approx(power_w, abs=energy.bound_j)
        assert energy.bound_j < 0.01 * power_w


@pytest.mark.parametrize("build", [one_socket, two_sockets, psys_between])
def test_pyrapl_and_powercap_agree_wherever_both_work(
    machine: Machine, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(machine)
    energies = []
    for source in ("pyRAPL", "powercap"):
        clock = FakeClock()
        meter = opened("cpu_package", clock)
        assert not isinstance(meter, Unavailable)
        energy = measure(machine, "", meter, clock, {})
        assert isinstance(energy, Measured)
        assert energy.source == source
        energies.append(energy.energy_j)
        monkeypatch.setattr("pyRAPL.Sensor", reject)
    assert energies[0] == energies[1]


def reject(**kwargs: object) -> object:
    raise ValueError(kwargs)


def test_pyrapl_keeps_only_its_own_counter_per_sensor(machine: Machine) -> None:
    one_socket(machine)
    machine.fs.chmod(f"{machine.zones['package-0/dram']}/energy_uj", 0o000)
    set_uid(1000)
    package, dram = open_domains(FakeClock())
    assert not isinstance(package, Unavailable)
    assert package.status.source == "pyRAPL"
    assert isinstance(dram, Unavailable)
    assert "root only" in dram.reason


def test_a_wrap_inside_the_window_costs_nothing(machine: Machine) -> None:
    one_socket(machine)
    clock = FakeClock()
    meter = opened("cpu_package", clock)
    assert not isinstance(meter, Unavailable)
    for poll in range(120):
        clock.sleep_s(0.01)
        machine.show("package-0", 2**32 * 61.035e-6 - 10 + 40 * poll * 0.01)
        meter.start() if poll == 0 else meter.poll()
    ended_s = clock.now_s() - 0.05
    energy = meter.energy(ended_s - 1.0, ended_s)
    assert isinstance(energy, Measured)
    assert energy.energy_j == pytest.approx(40.0, abs=energy.bound_j)


def no_powercap(machine: Machine) -> None:
    machine.cpus([0])


def virtual_machine(machine: Machine) -> None:
    machine.cpus([0], flags="fpu hypervisor")


def no_driver(machine: Machine) -> None:
    machine.cpus([0])
    machine.fs.create_dir("/sys/class/powercap")


def masked(machine: Machine) -> None:
    machine.cpus([0])
    machine.fs.create_symlink(POWERCAP, "/sys/devices/virtual/powercap/intel-rapl")


def root_only(machine: Machine) -> None:
    one_socket(machine)
    for directory in machine.zones.values():
        machine.fs.chmod(f"{directory}/energy_uj", 0o400)
    set_uid(1000)


def without_a_package(machine: Machine) -> None:
    machine.cpus([0, 1])
    machine.zone(0, "package-0", ["dram"])


def not_a_number(machine: Machine) -> None:
    one_socket(machine)
    for directory in machine.zones.values():
        Path(directory, "energy_uj").write_text("\n", encoding="ascii")


@pytest.mark.parametrize(
    ("build", "reason", "remedy"),
    [
        (no_powercap, "no powercap directory", "--cpu-watts"),
        (virtual_machine, "hidden by the virtual machine", "--cpu-watts"),
        (no_driver, "no RAPL zones", "sudo modprobe intel_rapl_msr"),
        (masked, "container masks it", "systempaths=unconfined"),
        (root_only, "readable by root only", 'sudo chown "$USER" /sys/class/powercap/intel-rapl:*/energy_uj'),
        (without_a_package, "no counter for package 1", ""),
        (not_a_number, "cannot be read", ""),
    ],
)
def test_both_domains_say_why_they_are_not_there(
    machine: Machine, build: Build, reason: str, remedy: str
) -> None:
    build(machine)
    for found in open_domains(FakeClock()):
        assert isinstance(found, Unavailable)
        assert reason in found.reason
        assert remedy in found.remedy


@pytest.mark.parametrize(
    ("parts", "reason"),
    [([], "no counter for the memory of package-1"), (None, "no counter for memory")],
)
def test_memory_is_all_or_nothing(machine: Machine, parts: list[str] | None, reason: str) -> None:
    machine.cpus([0, 1])
    machine.zone(0, "package-0", ["core"] if parts is None else ["core", "dram"])
    machine.zone(1, "package-1", ["core"])
    package, dram = open_domains(FakeClock())
    assert not isinstance(package, Unavailable)
    assert isinstance(dram, Unavailable)
    assert reason in dram.reason


@pytest.mark.parametrize(
    ("shown", "reason"),
    [("\n", "cannot be read"), ("7\n", "jumped"), ("garbage\n", "cannot be read")],
)
@pytest.mark.parametrize("build", [one_socket, dies])
def test_a_bad_read_costs_this_window_and_not_the_next(
    machine: Machine, build: Build, shown: str, reason: str
) -> None:
    build(machine)
    clock = FakeClock()
    meter = opened("cpu_package", clock)
    assert not isinstance(meter, Unavailable)
    energy = measure(machine, "-0", meter, clock, {60: shown, 70: "\n"})
    assert isinstance(energy, Unavailable)
    assert reason in energy.reason
    assert isinstance(measure(machine, "-0", meter, clock, {}), Measured)


def test_without_a_range_a_decrease_is_no_wrap(machine: Machine) -> None:
    machine.cpus([0])
    machine.zone(0, "package-0", range_uj=None)
    clock = FakeClock()
    meter = opened("cpu_package", clock)
    assert not isinstance(meter, Unavailable)
    energy = measure(machine, "-0", meter, clock, {60: "7\n"})
    assert isinstance(energy, Unavailable)
    assert "went down" in energy.reason
    assert isinstance(measure(machine, "-0", meter, clock, {}), Measured)


def test_a_counter_that_goes_away_is_a_fault(machine: Machine) -> None:
    dies(machine)
    clock = FakeClock()
    meter = opened("cpu_package", clock)
    assert not isinstance(meter, Unavailable)
    meter.start()
    machine.fs.remove(f"{machine.zones['package-0-die-1']}/energy_uj")
    meter.poll()
    energy = meter.energy(clock.now_s(), clock.now_s() + 1)
    assert isinstance(energy, Unavailable)
    assert "the counter of package-0-die-1 cannot be read" in energy.reason


def test_a_counter_that_pyrapl_calls_absent_is_a_fault(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_socket(machine)
    clock = FakeClock()
    meter = opened("cpu_package", clock)
    assert not isinstance(meter, Unavailable)
    meter.start()
    monkeypatch.setattr("pyRAPL.Sensor.energy", lambda self: [-1, -1])
    meter.poll()
    energy = meter.energy(clock.now_s(), clock.now_s() + 1)
    assert energy == Unavailable("cpu_package", "the counter of package-0 is gone")


def test_a_counter_wraps_one_unit_after_its_range(machine: Machine) -> None:
    one_socket(machine)
    (zone,) = find_zones("cpu_package")
    counter = zone.counter()
    assert counter.modulus == RANGE_UJ + 61
    assert counter.step_j == pytest.approx(61.035e-6)


@pytest.mark.parametrize("has_handler", [True, False])
def test_pyrapl_imports_without_a_word_and_leaves_logging_alone(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    has_handler: bool,
) -> None:
    one_socket(machine)
    for name in [name for name in sys.modules if name.startswith("pyRAPL")]:
        monkeypatch.delitem(sys.modules, name)
    handlers = [caplog.handler] if has_handler else []
    monkeypatch.setattr(logging.root, "handlers", list(handlers))
    package, _ = open_domains(FakeClock())
    assert not isinstance(package, Unavailable)
    assert package.status.source == "pyRAPL"
    assert caplog.records == []
    assert capsys.readouterr() == ("", "")
    assert (logging.root.handlers, logging.root.filters) == (handlers, [])
