"""Temperature, clock and governor of the CPU, as sysfs shows them; which files there are is found out once."""

from collections.abc import Iterable
from pathlib import Path
from statistics import fmean

from runner.machine.cpu import allowed_cores
from runner.machine.kernel import ROOT, read_text

_DRIVERS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "acpitz")
"""hwmon drivers that tell a CPU's temperature, the nearest to its cores first: Intel, AMD, AMD Zen, Arm, ACPI.

Source: kernel documentation, hwmon/coretemp and hwmon/k10temp; thermal zones appear in hwmon under their type.
"""
_C_PER_MILLIDEGREE = 1e-3
"""unit of temp*_input (kernel documentation, hwmon/sysfs-interface)"""
_HZ_PER_KHZ = 1e3
"""unit of scaling_cur_freq (kernel documentation, admin-guide/pm/cpufreq)"""


class CpuSensors:
    """Reads the CPU's state; every reading is None where the machine does not say."""

    def __init__(self, root: Path = ROOT) -> None:
        self._temperatures = _temperature_files(root / "sys/class/hwmon")
        cores = root / "sys/devices/system/cpu"
        policies = [cores / f"cpu{core}/cpufreq" for core in sorted(allowed_cores())]
        self._clocks = _existing(folder / "scaling_cur_freq" for folder in policies)
        self._governors = _existing(folder / "scaling_governor" for folder in policies)

    def temperature_celsius(self) -> float | None:
        """Return the temperature of the hottest CPU package."""
        found = _numbers(self._temperatures)
        return max(found) * _C_PER_MILLIDEGREE if found else None

    def clock_hz(self) -> float | None:
        """Return the mean clock of the cores we may use."""
        found = _numbers(self._clocks)
        return fmean(found) * _HZ_PER_KHZ if found else None

    def governor(self) -> str | None:
        """Return the frequency governor of the cores we may use, joined by + where they differ."""
        return "+".join(sorted({read_text(path) for path in self._governors} - {""})) or None


def _existing(paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(path for path in paths if path.exists())


def _temperature_files(hwmon: Path) -> tuple[Path, ...]:
    """Return the files of one driver: those of whole packages where it has such, and all of its files where not.

    psutil would read every sensor of the machine each time, with its label and limits.
    """
    names = [(read_text(path), path.parent) for path in sorted(hwmon.glob("hwmon*/name"))]
    for driver in _DRIVERS:
        chips = [folder for name, folder in names if name == driver]
        files = tuple(path for folder in chips for path in sorted(folder.glob("temp*_input")))
        if files:
            return tuple(path for path in files if _label(path).startswith("Package")) or files
    return ()


def _label(path: Path) -> str:
    return read_text(path.with_name(path.name.replace("_input", "_label")))


def _numbers(paths: tuple[Path, ...]) -> tuple[int, ...]:
    """Return what the files say; a core that is offline and a sensor without a valid reading say nothing."""
    return tuple(int(text) for path in paths if (text := read_text(path)))
