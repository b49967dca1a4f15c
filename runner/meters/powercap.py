"""The kernel's powercap tree: which RAPL counters there are, and why one cannot be read."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runner.meters.counter import Counter
from runner.meters.interface import MeterFault
from runner.units import UJ_PER_J

_POWERCAP = Path("/sys/class/powercap")
_CONTROL = _POWERCAP / "intel-rapl"  # AMD's zones carry this name too; intel-rapl-mmio mirrors package-0
_CPUINFO = Path("/proc/cpuinfo")
_TOPOLOGY = Path("/sys/devices/system/cpu")
_PACKAGE = re.compile(r"package-(\d+)(?:-die-(\d+))?")

# Energy counters have 32 bits, and the kernel shows the largest in max_energy_range_uj; the counter wraps one
# unit later. Source: ENERGY_STATUS_MASK in drivers/powercap/intel_rapl_common.c.
_LARGEST_COUNT = 2**32 - 1
_COARSE_STEP_J = 61e-6  # the coarser of the two usual units (docs/measurement.md, section 3)
# A bound, no estimate: the largest packages of 2025 have a thermal design power of 500 W (AMD EPYC 9965).
_MAX_POWER_W = 2000.0
# Intel SDM volume 3B, section "RAPL interfaces": energy status updates every ~1 ms.
_UPDATE_PERIOD_S = 0.001

_USE_ESTIMATE = "or pass --cpu-watts IDLE:MAX for a labelled estimate of cpu_package"
# The least that opens the counters: sysfs knows no ACLs, running as root gives far more, and chmod a+r gives
# every user of the machine a side channel (CVE-2020-8694), which is why the kernel took the permission away.
_PERMISSION = (
    'To read them until the next reboot, run: sudo chown "$USER" /sys/class/powercap/intel-rapl:*/energy_uj'
)


_LOOK = f"Look for intel_rapl in the output of dmesg, {_USE_ESTIMATE}"
_NO_DRAM = "Compare joules of cpu_package alone: AMD and many client processors count no memory"
_LONGEST_NUMBER = 32  # bytes; 2**64 has 20 digits


@dataclass(frozen=True, slots=True)
class Zone:
    """A counter in the tree."""

    path: Path
    package: int
    device: str
    """package-0, package-0-die-1 or dram-0"""

    @property
    def is_die(self) -> bool:
        """Whether its package has a counter per die."""
        return "-die-" in self.device

    def read_count(self) -> int:
        """Return the counter as it is shown.

        Raises:
            MeterFault: it cannot be read.
        """
        return read_number(self.path / "energy_uj", self.device)

    def counter(self) -> Counter:
        """Return what is known about it; without a readable range every decrease is a fault."""
        try:
            largest = read_number(self.path / "max_energy_range_uj", self.device)
        except MeterFault:
            largest = 0
        modulus = round(largest * (1 + 1 / _LARGEST_COUNT)) if largest > 0 else None
        step_j = largest / _LARGEST_COUNT / UJ_PER_J if modulus else _COARSE_STEP_J
        return Counter(self.device, 1 / UJ_PER_J, step_j, _UPDATE_PERIOD_S, modulus, _MAX_POWER_W)


def find_zones(domain: Literal["cpu_package", "dram"]) -> tuple[Zone, ...]:
    """Return the counters of a domain, one per package or die, psys and parts of packages left out.

    Raises:
        MeterFault: there is none, or a package of this machine has none, with the remedy.
    """
    packages = _packages()
    if domain == "cpu_package":
        return packages
    zones = tuple(zone for package in packages for zone in _dram_of(package))
    without = sorted({package.device for package in packages} - {_parent_device(zone) for zone in zones})
    if not zones:
        raise MeterFault("this processor has no counter for memory", _NO_DRAM)
    if without:
        raise MeterFault(f"no counter for the memory of {', '.join(without)}", _NO_DRAM)
    return zones


def preflight(zones: tuple[Zone, ...]) -> None:
    """Read every counter once.

    Raises:
        MeterFault: one cannot be read, with the remedy.
    """
    for zone in zones:
        zone.read_count()


def read_number(path: Path, device: str) -> int:
    """Return the whole number in a file of the tree.

    Raises:
        MeterFault: the file cannot be read or holds none.
    """
    return guarded(lambda: whole_number(path.read_bytes().strip()), device)


class OpenCounter:
    """A counter whose file stays open, as pyRAPL does it: opening costs several times what reading does.

    Raises:
        MeterFault: it cannot be opened.
    """

    def __init__(self, zone: Zone) -> None:
        self._device = zone.device
        self._descriptor = guarded(lambda: os.open(zone.path / "energy_uj", os.O_RDONLY), zone.device)

    def read_count(self) -> int:
        """Return the counter as it is shown.

        Raises:
            MeterFault: it cannot be read.
        """
        return guarded(self._read, self._device)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _read(self) -> int:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return whole_number(os.read(self._descriptor, _LONGEST_NUMBER).strip())


def whole_number(text: bytes) -> int:
    """Return the number that ASCII digits, and nothing else, make.

    Raises:
        ValueError: a sign, a space, nothing, or anything else that ``int`` would make a number of.
    """
    if not text.isdigit():
        raise ValueError(f"got {text!r}, which is no count")
    return int(text)


def guarded(read: Callable[[], int], device: str) -> int:
    """Return what ``read`` gives.

    Raises:
        MeterFault: it failed as files of the tree do.
    """
    try:
        return read()
    except PermissionError:
        raise MeterFault(
            f"the counter of {device} is readable by root only (so since Linux 5.10)", _PERMISSION
        ) from None
    except (OSError, ValueError, OverflowError) as error:
        raise MeterFault(f"the counter of {device} cannot be read ({error})", _LOOK) from error


def _packages() -> tuple[Zone, ...]:
    zones = []
    for path in sorted(_CONTROL.glob("intel-rapl:*")):
        match = _PACKAGE.fullmatch(_name(path))
        if match:
            zones.append(Zone(path, int(match[1]), match[0]))
    if not zones:
        raise _why_no_packages()
    if _dies_mirror_their_package():
        zones = list({zone.package: zone for zone in reversed(zones)}.values())
    missing = _online_packages() - {zone.package for zone in zones}
    if missing:
        raise MeterFault(
            f"no counter for package {', '.join(map(str, sorted(missing)))} of this machine", _LOOK
        )
    return tuple(sorted(zones, key=lambda zone: zone.device))


def _dram_of(package: Zone) -> tuple[Zone, ...]:
    device = package.device.replace("package", "dram")
    paths = package.path.glob(f"{package.path.name}:*")
    return tuple(Zone(path, package.package, device) for path in paths if _name(path) == "dram")


def _parent_device(dram: Zone) -> str:
    return dram.device.replace("dram", "package")


def _name(zone: Path) -> str:
    try:
        return (zone / "name").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _dies_mirror_their_package() -> bool:
    """Return whether each die shows the counter of its whole package, as on AMD and Hygon.

    Source: rapl_msrs_are_pkg_scope() in drivers/powercap/intel_rapl_common.c; before that function the kernel
    showed such a counter once per die.
    """
    return bool(re.search(r"^vendor_id\s*:\s*(AuthenticAMD|HygonGenuine)", _cpuinfo(), re.MULTILINE))


def _online_packages() -> set[int]:
    """Return the packages that have a processor online; one that is offline has no topology."""
    packages = set()
    for path in _TOPOLOGY.glob("cpu[0-9]*/topology/physical_package_id"):
        try:
            packages.add(int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue
    return {package for package in packages if package >= 0}  # -1: the virtual machine does not say


def _why_no_packages() -> MeterFault:
    if _is_virtual():
        return MeterFault("hidden by the virtual machine", f"Measure on the host, {_USE_ESTIMATE}")
    if not _POWERCAP.is_dir():
        return MeterFault(
            f"no powercap directory ({_POWERCAP})", f"Measure on a Linux host with RAPL, {_USE_ESTIMATE}"
        )
    if _CONTROL.is_symlink() or _CONTROL.is_dir():
        # Container engines mask /sys/devices/virtual/powercap (CVE-2020-8694); the links into it stay.
        return MeterFault(
            f"{_CONTROL} is empty, as where a container masks it",
            "Measure on the host, or start the container with --security-opt systempaths=unconfined (docker) "
            f"or --security-opt unmask=/sys/devices/virtual/powercap (podman), {_USE_ESTIMATE}",
        )
    return MeterFault(
        "the kernel offers no RAPL zones", f"Run: sudo modprobe intel_rapl_msr, {_USE_ESTIMATE}"
    )


def _is_virtual() -> bool:
    return bool(re.search(r"^flags\s*:.*\bhypervisor\b", _cpuinfo(), re.MULTILINE))


def _cpuinfo() -> str:
    try:
        return _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
