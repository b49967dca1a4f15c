import subprocess
import sys

import pytest

from tests.processes import ROOT

pytestmark = pytest.mark.live


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels have no timer slack to ask for")
def test_sleeps_of_a_worker_may_end_at_once() -> None:
    code = (
        "import ctypes\n"
        "from runner.workers.lineage import wake_on_time\n"
        "get = lambda: ctypes.CDLL(None).prctl(30, 0, 0, 0, 0)\n"  # PR_GET_TIMERSLACK
        "before = get()\n"
        "wake_on_time()\n"
        "print(before, get())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    before_ns, after_ns = map(int, done.stdout.split())
    assert before_ns > after_ns == 1
