"""Real pyRAPL and our own reads, on powercap trees that pyfakefs pretends to have."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem
from pyfakefs.helpers import set_uid

from runner.meters.interface import Measured, Meter, Unavailable
from runner.meters.powercap import find_zones
from runner.meters.rapl import open_domains
from tests.runner.meters.simulated import POWERCAP, POWERS_W, RANGE_UJ, Machine

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
    machine.cpus([0, 0], offline=1)
    machine.zone(0, "package-0", ["dram"])


def measure(machine: Machine, meter: Meter) -> object:
    """Run a window of 1 s."""
    for poll in range(120):
        machine.clock.sleep_s(0.01)
        meter.start() if poll == 0 else meter.poll()
    ended_s = machine.clock.now_s() - 0.05
    return meter.energy(ended_s - 1.0, ended_s)


def opened(machine: Machine, domain: str) -> Meter:
    package, dram = open_domains(machine.clock)
    meter = package if domain == "cpu_package" else dram
    assert not isinstance(meter, Unavailable), meter
    return meter


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
    for found, power_w in zip(open_domains(machine.clock), (package_w, dram_w), strict=True):
        if power_w is None:
            assert isinstance(found, Unavailable)
            continue
        assert not isinstance(found, Unavailable)
        energy = measure(machine, found)
        assert isinstance(energy, Measured)
        assert energy.source == source
        assert energy.energy_j == pytest.approx(power_w, abs=energy.bound_j)
        assert energy.bound_j < 0.01 * power_w


def test_pyrapl_keeps_only_its_own_counter_per_sensor(machine: Machine) -> None:
    one_socket(machine)
    machine.fs.chmod(f"{machine.zones['package-0/dram']}/energy_uj", 0o000)
    set_uid(1000)
    package, dram = open_domains(machine.clock)
    assert not isinstance(package, Unavailable)
    assert package.status.source == "pyRAPL"
    assert isinstance(dram, Unavailable)
    assert "root only" in dram.reason


def test_a_wrap_inside_the_window_costs_nothing(machine: Machine) -> None:
    # Half a second into the window of 1 s that begins some 0.1 s after opening.
    machine.began_j = 2**32 * 61.035e-6 - POWERS_W["package"] * (machine.clock.now_s() + 0.6)
    one_socket(machine)
    energy = measure(machine, opened(machine, "cpu_package"))
    assert isinstance(energy, Measured)
    assert energy.energy_j == pytest.approx(40.0, abs=energy.bound_j)
    assert int(Path(machine.zones["package-0"], "energy_uj").read_text(encoding="ascii")) < 40e6


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
        (without_a_package, "no counter for package 1", "dmesg"),
        (not_a_number, "cannot be read", "dmesg"),
    ],
)
def test_both_domains_say_why_they_are_not_there(
    machine: Machine, build: Build, reason: str, remedy: str
) -> None:
    build(machine)
    for found in open_domains(machine.clock):
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
    package, dram = open_domains(machine.clock)
    assert not isinstance(package, Unavailable)
    assert isinstance(dram, Unavailable)
    assert reason in dram.reason


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
    package, _ = open_domains(machine.clock)
    assert not isinstance(package, Unavailable)
    assert package.status.source == "pyRAPL"
    assert caplog.records == []
    assert capsys.readouterr() == ("", "")
    assert (logging.root.handlers, logging.root.filters) == (handlers, [])
