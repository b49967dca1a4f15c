"""What a worker's process used and suffered so far: memory, context switches, page faults, stops. Runs in workers."""

import resource
import signal
import sys
from dataclasses import dataclass
from types import FrameType

_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024
"""unit of ru_maxrss (getrusage(2))"""


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts since the process began, all its threads together."""

    voluntary_switches: int
    involuntary_switches: int
    minor_faults: int
    major_faults: int
    stops: int
    """how often a signal stopped it and another let it go on"""


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


def peak_memory_bytes() -> int:
    """Return the largest resident set that this process had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES
