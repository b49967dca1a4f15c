"""Inferences with equal idle times before them: how service depends on the gap before it."""

from collections.abc import Callable
from time import perf_counter_ns

from runner.load.paced import sleep_until
from runner.load.timed import Timed
from runner.units import NS_PER_S


def run_gapped(run: Callable[[], object], count: int, gap_s: float) -> Timed:
    """Return the latencies of ``count`` calls, each from the end of its gap; the gaps belong to the window.

    Waking up counts, as it does for a request that arrives at an idle server.
    """
    clock = perf_counter_ns
    gap_ns = round(gap_s * NS_PER_S)
    latencies_ns = [0] * count
    started_ns = ended_ns = clock()
    for index in range(count):
        due_ns = ended_ns + gap_ns
        sleep_until(due_ns)
        run()
        ended_ns = clock()
        latencies_ns[index] = ended_ns - due_ns
    latencies_s = tuple(latency_ns / NS_PER_S for latency_ns in latencies_ns)
    return Timed(started_ns / NS_PER_S, ended_ns / NS_PER_S, latencies_s)
