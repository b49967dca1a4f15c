"""CPU facts that need no library: cores we may use, CPU time of processes and of the machine."""

import os
import time
from pathlib import Path

from runner.units import NS_PER_S

_CGROUP_V2 = Path("/sys/fs/cgroup")
_CGROUP_V1 = Path("/sys/fs/cgroup/cpu")


def usable_cores() -> int:
    """Return how many cores this process may keep busy: affinity, then the cgroup's CPU quota; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota_cores()
    return max(1, allowed if quota is None else min(allowed, int(quota)))


def cgroup_quota_cores(root_v2: Path = _CGROUP_V2, root_v1: Path = _CGROUP_V1) -> float | None:
    """Return the CPU quota of this process's cgroup in cores, or None without one.

    Source: kernel documentation, cgroup-v2 ``cpu.max`` ("$MAX $PERIOD", every ancestor limits) and cgroup-v1
    ``cpu.cfs_quota_us`` (-1 is none).
    """
    quotas = [
        quota for folder in _own_cgroups(root_v2, "") if (quota := _quota(folder / "cpu.max")) is not None
    ]
    for folder in _own_cgroups(root_v1, "cpu"):
        parts = (_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))
        if all(parts) and int(parts[0]) > 0:
            quotas.append(int(parts[0]) / int(parts[1]))
    return min(quotas, default=None)


def _own_cgroups(root: Path, controller: str) -> tuple[Path, ...]:
    """Return our cgroup's folder below a hierarchy's root, and its ancestors up to the root."""
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            own = root / path.lstrip("/")
            return (own, *(p for p in own.parents if p.is_relative_to(root)))
    return (root,)


def _quota(path: Path) -> float | None:
    maximum, _, period = _text(path).partition(" ")
    return int(maximum) / int(period) if maximum.isdigit() and period.strip().isdigit() else None


def _text(path: Path) -> str:
    """Return a small file's text; empty where the kernel does not offer it."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def process_cpu_s(pid: int) -> float | None:
    """Return the CPU time of another process's threads so far, or None when it is gone.

    Source: Linux ``include/uapi`` posix-timers: the CPU clock of process p has the id (~p << 3) | CPUCLOCK_SCHED (2).
    """
    try:
        return time.clock_gettime_ns((~pid << 3) | 2) / NS_PER_S
    except OSError:
        return None


def machine_busy_s(stat: Path = Path("/proc/stat")) -> float | None:
    """Return the CPU time of everything on this machine since boot, idle and I/O wait left out; 10 ms steps.

    Source: proc_stat(5): user nice system idle iowait irq softirq steal; guest is part of user. Steal is another
    machine's time and is left out.
    """
    fields = _text(stat).partition("\n")[0].split()
    if len(fields) < 8:  # noqa: PLR2004 - "cpu" and the seven columns up to softirq
        return None
    user, nice, system, _idle, _iowait, irq, softirq = (int(field) for field in fields[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
