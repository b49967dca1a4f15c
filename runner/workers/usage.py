"""What a worker's process used and suffered so far: memory, context switches, page faults, stops. Runs in workers."""

import re
import resource
import signal
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from types import FrameType

_STATUS, _CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_BYTES_PER_KIB = 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts since the process began, all its threads together."""

    voluntary_switches: int
    involuntary_switches: int
    minor_faults: int
    major_faults: int
    stops: int
    """how often a signal stopped it and another let it go on"""

    def __sub__(self, before: "Usage") -> "Usage":
        """Return what happened since."""
        return Usage(
            **{each.name: getattr(self, each.name) - getattr(before, each.name) for each in fields(self)}
        )


class UsageReader:
    """Reads this process. Only one may live: it owns the handler of SIGCONT, which counts stops."""

    def __init__(self) -> None:
        self._stops = 0
        signal.signal(signal.SIGCONT, self._continued)

    def read(self) -> Usage:
        """Return the counts so far."""
        now = resource.getrusage(resource.RUSAGE_SELF)
        return Usage(now.ru_nvcsw, now.ru_nivcsw, now.ru_minflt, now.ru_majflt, self._stops)

    def _continued(self, signum: int, frame: FrameType | None) -> None:
        del signum, frame
        self._stops += 1


def peak_memory_bytes() -> int | None:
    """Return the largest resident set since the process began or ``forget_peak``, or None outside Linux.

    Not ``ru_maxrss``: a child inherits its parent's.

    Source: proc_pid_status(5), VmHWM.
    """
    try:
        found = re.search(r"^VmHWM:\s*(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * _BYTES_PER_KIB if found else None


def forget_peak() -> None:
    """Let ``peak_memory_bytes`` count from what is resident now: opening a model holds its file twice for a moment.

    Source: proc_pid_clear_refs(5), value 5.
    """
    with suppress(OSError):  # a kernel without it only makes the forecast of memory less sharp
        _CLEAR_REFS.write_text("5")
