"""What a child process owes its parent, and asks of the kernel."""

import ctypes
import signal
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
"""prctl(2): the signal this process gets when the thread that started it ends, and so when its parent dies"""

_PR_SET_TIMERSLACK = 29
"""prctl(2): how late this thread's sleeps may end, in nanoseconds; 50 us unless told otherwise"""


def wake_on_time() -> None:
    """Let this thread's sleeps end when they are over: a request that arrives then is not to wait for our thrift."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1)


def leave_with_parent() -> None:
    """Die when the parent dies, be the first to go when memory runs out, and leave Ctrl-C to the parent.

    The thread that started this process must outlive it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with suppress(OSError):  # a container may forbid it; the run is only less protected then
            Path("/proc/self/oom_score_adj").write_text("1000")
