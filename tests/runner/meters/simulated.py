"""Virtual time, a power waveform of known energy, and the powercap tree of a machine that does not exist."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import cycle, takewhile
from pathlib import Path

from pyfakefs.fake_filesystem import FakeFilesystem
from pyfakefs.helpers import get_uid, set_uid

POWERS_W = {"package": 40.0, "dram": 5.0, "core": 30.0, "uncore": 1.0, "psys": 90.0}
"""what each kind of zone draws"""
RANGE_UJ = 262_143_328_850  # 2**32 - 1 units of 61.035 uJ, as the kernel shows it
POWERCAP = "/sys/class/powercap/intel-rapl"


@dataclass(slots=True)
class FakeClock:
    at_s: float = 1000.0
    on_sleep: Callable[[], None] = lambda: None
    """what the world does meanwhile"""

    def now_s(self) -> float:
        return self.at_s

    def sleep_s(self, duration_s: float) -> None:
        self.at_s += duration_s
        self.on_sleep()


@dataclass(frozen=True, slots=True)
class Waveform:
    """Power that changes in steps, over and over."""

    steps: tuple[tuple[float, float], ...]
    """seconds and watts"""

    def energy_j(self, until_s: float) -> float:
        """Return the energy from 0 on, in closed form."""
        period_s = sum(duration_s for duration_s, _ in self.steps)
        period_j = sum(duration_s * power_w for duration_s, power_w in self.steps)
        periods, rest_s = divmod(until_s, period_s)
        energy_j = periods * period_j
        for duration_s, power_w in self.steps:
            energy_j += min(rest_s, duration_s) * power_w
            rest_s -= min(rest_s, duration_s)
        return energy_j

    def power_w(self, at_s: float) -> float:
        """Return the power at a moment."""
        at_s %= sum(duration_s for duration_s, _ in self.steps)
        for duration_s, power_w in self.steps:
            if at_s < duration_s:
                return power_w
            at_s -= duration_s
        return self.steps[-1][1]

    def between(self, started_s: float, ended_s: float) -> float:
        return self.energy_j(ended_s) - self.energy_j(started_s)


def grid(period_s: float, until_s: float, jitter: Iterable[float] = (0.0,)) -> tuple[float, ...]:
    """Return moments a period apart, each late by its share of the period."""
    late = cycle(jitter)
    return tuple(takewhile(lambda t: t < until_s, ((n + next(late)) * period_s for n in range(1, 100_000))))


@dataclass(slots=True)
class Machine:
    """A powercap tree whose counters go on while its clock sleeps; what is not said is as on an Intel machine."""

    fs: FakeFilesystem
    zones: dict[str, str] = field(default_factory=dict)
    """directory by the name of its zone and its parent's: package-0, package-0/dram"""
    clock: FakeClock = field(default_factory=FakeClock)
    began_j: float = 0.0
    """what every counter showed when the clock was at 0"""
    frozen: set[str] = field(default_factory=set)
    """zones that stand still"""

    def __post_init__(self) -> None:
        self.clock.on_sleep = self.go_on

    def go_on(self) -> None:
        """Let every counter show the energy drawn until now; the kernel writes it, whoever reads it."""
        reader = get_uid()
        set_uid(0)
        for key in self.zones.keys() - self.frozen:
            self.show(key, self.began_j + self.power_w(key) * self.clock.at_s)
        set_uid(reader)

    def power_w(self, key: str) -> float:
        """Return what a zone draws."""
        return POWERS_W[key.rpartition("/")[2].partition("-")[0]]

    def cpus(
        self, packages: Iterable[int], vendor: str = "GenuineIntel", flags: str = "fpu", offline: int = 0
    ) -> None:
        """Add processors, one per entry, each in its package, and some more that are offline."""
        ids = tuple(packages)
        self.fs.create_file("/proc/cpuinfo", contents=f"vendor_id\t: {vendor}\nflags\t\t: {flags}\n")
        self.fs.create_file("/sys/devices/system/cpu/present", contents=f"0-{len(ids) + offline - 1}\n")
        for cpu in range(len(ids), len(ids) + offline):  # one that is offline has no topology
            self.fs.create_file(f"/sys/devices/system/cpu/cpu{cpu}/online", contents="0\n")
        for cpu, package in enumerate(ids):
            topology = f"/sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id"
            self.fs.create_file(topology, contents=f"{package}\n")

    def zone(
        self, number: int, name: str, parts: Iterable[str] = (), *, range_uj: int | None = RANGE_UJ
    ) -> None:
        """Add a top-level zone with its parts."""
        directory = f"{POWERCAP}/intel-rapl:{number}"
        self._counter(name, directory, name, range_uj)
        for index, part in enumerate(parts):
            self._counter(f"{name}/{part}", f"{directory}/intel-rapl:{number}:{index}", part, range_uj)

    def _counter(self, key: str, directory: str, name: str, range_uj: int | None) -> None:
        self.zones[key] = directory
        self.fs.create_file(f"{directory}/name", contents=f"{name}\n")
        self.fs.create_file(f"{directory}/energy_uj", contents="0\n")
        if range_uj is not None:
            self.fs.create_file(f"{directory}/max_energy_range_uj", contents=f"{range_uj}\n")
        self.go_on()

    def show(self, key: str, energy_j: float) -> None:
        """Let a counter show an energy, quantised and wrapped as the hardware does."""
        unit_uj = RANGE_UJ / (2**32 - 1)
        units = int(energy_j * 1e6 / unit_uj) % 2**32
        Path(self.zones[key], "energy_uj").write_text(f"{int(units * unit_uj)}\n", encoding="ascii")
