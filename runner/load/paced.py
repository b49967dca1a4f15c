"""Inferences at a fixed period, with real gaps: what idle threads cost only shows here."""

from collections.abc import Callable
from time import perf_counter_ns, sleep

from runner.load.timed import Timed
from runner.units import NS_PER_S


def run_paced(run: Callable[[], object], count: int, period_s: float) -> Timed:
    """Return the latencies of ``count`` calls, each from its scheduled start; the trailing gap belongs to the window.

    The gap is slept, not spun: a spinning harness would add its own CPU time to every image.
    """
    clock = perf_counter_ns
    period_ns = round(period_s * NS_PER_S)
    latencies_ns = [0] * count
    started_ns = clock()
    for index in range(count):
        scheduled_ns = started_ns + index * period_ns
        sleep_until(scheduled_ns)
        run()
        latencies_ns[index] = clock() - scheduled_ns
    end_of_schedule_ns = started_ns + count * period_ns
    late_ns = max(0, clock() - end_of_schedule_ns)
    sleep_until(end_of_schedule_ns)
    ended_ns = clock()
    latencies_s = tuple(latency_ns / NS_PER_S for latency_ns in latencies_ns)
    return Timed(started_ns / NS_PER_S, ended_ns / NS_PER_S, latencies_s, late_ns / NS_PER_S)


def sleep_until(moment_ns: int) -> None:
    """Sleep until a moment of ``perf_counter_ns``."""
    remaining_ns = moment_ns - perf_counter_ns()
    if remaining_ns > 0:
        sleep(remaining_ns / NS_PER_S)
