"""CPU facts that need no library: cores we may use, CPU times of processes, of the machine and of our cgroups."""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from runner.machine.kernel import ROOT, flat_value, own_cgroups, read_text
from runner.units import NS_PER_S

TICK_S = 0.01
"""step of /proc/stat: USER_HZ is 100 on every architecture but Alpha (proc_stat(5), ``asm/param.h``)"""

_COLUMNS = 8
"""of a line of /proc/stat, up to steal"""
_S_PER_US = 1e-6
_THROTTLED = (("", "throttled_usec", _S_PER_US), ("cpu", "throttled_time", 1 / NS_PER_S))
"""Controller, key and unit of the time that a cgroup was denied its CPUs because its quota was spent.

Source: kernel documentation, admin-guide/cgroup-v2 (cpu.stat) and scheduler/sched-bwc (statistics).
"""


def allowed_cores() -> frozenset[int]:
    """Return the numbers of the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def usable_cores() -> int:
    """Return how many cores this process may keep busy: affinity, then the cgroup's CPU quota; at least 1."""
    allowed, quota = len(allowed_cores()), cgroup_quota_cores()
    return max(1, allowed if quota is None else min(allowed, int(quota)))


def cgroup_quota_cores(root: Path = ROOT) -> float | None:
    """Return the CPU quota of this process's cgroup in cores, or None without one.

    Source: kernel documentation, cgroup-v2 ``cpu.max`` ("$MAX $PERIOD", every ancestor limits) and cgroup-v1
    ``cpu.cfs_quota_us`` (-1 is none).
    """
    limits = [read_text(folder / "cpu.max").partition(" ")[::2] for folder in own_cgroups("", root)]
    limits += [
        (read_text(folder / "cpu.cfs_quota_us"), read_text(folder / "cpu.cfs_period_us"))
        for folder in own_cgroups("cpu", root)
    ]
    quotas = (int(quota) / int(period) for quota, period in limits if quota.isdigit() and period.isdigit())
    return min(quotas, default=None)


def process_cpu_s(pid: int) -> float | None:
    """Return the CPU time of another process's threads so far, or None when it is gone.

    Source: Linux ``include/uapi`` posix-timers: the CPU clock of process p has the id (~p << 3) | CPUCLOCK_SCHED (2).
    """
    try:
        return time.clock_gettime_ns((~pid << 3) | 2) / NS_PER_S
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Times that only grow; None where the machine does not say."""

    busy_s: float | None
    """of everything that ran on the cores, idle and I/O wait left out; steps of `TICK_S`"""
    steal_s: float | None
    """that the hypervisor gave to others; steps of `TICK_S`"""
    pressure_s: float | None
    """in which some task of the machine waited for a CPU"""
    throttled_s: float | None
    """for which our cgroup and its ancestors were denied their CPUs, added up over CPUs"""


class CpuCounters:
    """Reads `CpuTimes`; where they are is found out once.

    Args:
        root: of the file system.
        cores: whose busy time and steal are wanted; None is all of the machine.
    """

    def __init__(self, root: Path = ROOT, cores: frozenset[int] | None = None) -> None:
        self._stat, self._pressure = root / "proc/stat", root / "proc/pressure/cpu"
        listed = re.findall(r"^cpu\d+ ", read_text(self._stat), re.MULTILINE)
        # A container may list its own cores alone, numbered from 0 whatever their numbers are (lxcfs).
        some = cores if cores is not None and len(cores) < len(listed) else None
        self._lines = frozenset({"cpu"} if some is None else (f"cpu{core}" for core in some))
        self._throttled = tuple(
            (folder / "cpu.stat", key, unit_s)
            for controller, key, unit_s in _THROTTLED
            for folder in own_cgroups(controller, root)
            if flat_value(read_text(folder / "cpu.stat"), key) is not None
        )

    def read(self) -> CpuTimes:
        """Return the times so far."""
        busy_s, steal_s = self._machine()
        return CpuTimes(busy_s, steal_s, self._waited(), self._denied())

    def _machine(self) -> tuple[float, float] | tuple[None, None]:
        """Return busy time and steal.

        Source: proc_stat(5): user nice system idle iowait irq softirq steal; guest is part of user.
        """
        lines = read_text(self._stat).partition("\nintr")[0].splitlines()
        rows = [line.split()[1:9] for line in lines if line.partition(" ")[0] in self._lines]
        if len(rows) != len(self._lines) or any(len(row) < _COLUMNS for row in rows):
            return None, None
        totals = (sum(map(int, column)) for column in zip(*rows, strict=True))
        user, nice, system, _idle, _iowait, irq, softirq, steal = totals
        return (user + nice + system + irq + softirq) * TICK_S, steal * TICK_S

    def _waited(self) -> float | None:
        """Return the pressure.

        Source: kernel documentation, accounting/psi: "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", in us.
        """
        averages, total = read_text(self._pressure).partition("\n")[0].partition(" total=")[::2]
        return int(total) * _S_PER_US if averages.startswith("some") and total.isdigit() else None

    def _denied(self) -> float | None:
        times = [(flat_value(read_text(path), key), unit_s) for path, key, unit_s in self._throttled]
        said = [count * unit_s for count, unit_s in times if count is not None]
        return sum(said) if said and len(said) == len(times) else None
