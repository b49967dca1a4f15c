"""Requests that arrive at given times and are served in batches: the live queue."""

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf

from runner.policies.interface import Policy


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one trace of arrivals; all times but ``started_s`` count from there, as the arrivals do."""

    started_s: float
    """on the monotonic clock"""
    ended_s: float
    """on the monotonic clock: when the last batch was served, or the replay given up"""
    dispatched_s: tuple[float, ...]
    """when each batch was taken from the queue; decoding begins, or else its service"""
    ready_s: tuple[float, ...]
    """when the images of each batch were decoded, and its service began; empty without images"""
    finished_s: tuple[float, ...]
    counts: tuple[int, ...]
    """requests of each batch, the oldest first"""
    late_s: tuple[float, ...]
    """how long after the moment that its policy chose each batch was taken: this loop's own error"""
    busy_cpu_s: float
    """CPU time of this process within services and decoding"""
    given_up: bool
    """whether a request waited too long, and those from it on were not served"""


@dataclass(slots=True)
class _Batches:
    dispatched_s: list[float] = field(default_factory=list)
    ready_s: list[float] = field(default_factory=list)
    finished_s: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)


def replay(  # noqa: PLR0913, PLR0917 - the last three are the process's own but in tests
    serve: Callable[[int], object],
    arrivals_s: Sequence[float],
    policy: Policy,
    longest_wait_s: float = inf,
    decode: Callable[[int, int], object] | None = None,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
    cpu_s: Callable[[], float] = time.process_time,
) -> Replayed:
    """Serve requests as a policy says; one process, no producer: who has arrived is read off the clock.

    Args:
        serve: runs a batch of so many requests.
        arrivals_s: ascending, from the start on.
        policy: decides whenever the server is idle.
        longest_wait_s: the replay is given up when a request has waited longer, for then the queue only grows.
        decode: makes ready the batch of so many requests from one on, before it is served.
        clock: of the machine, monotonic.
        sleep: lets time pass.
        cpu_s: CPU time of this process.

    Raises:
        RuntimeError: the policy would wait for ever, which is a bug of it.
    """
    done, served, arrived, busy_cpu_s = _Batches(), 0, 0, 0.0
    started_s = clock()
    moment_s = arrivals_s[0] if arrivals_s else 0.0
    given_up = False
    while served < len(arrivals_s) and not given_up:
        now_s = clock() - started_s
        arrived = bisect_right(arrivals_s, now_s, lo=arrived)
        oldest_s, closed = arrivals_s[served], arrived == len(arrivals_s)
        chosen, until_s = policy.next_dispatch(now_s, oldest_s, arrived - served, closed)
        if count := int(chosen):
            cpu_before_s, dispatched_s = cpu_s(), clock() - started_s
            if decode:
                decode(served, count)
                done.ready_s.append(clock() - started_s)
            serve(count)
            finished_s = clock() - started_s
            busy_cpu_s += cpu_s() - cpu_before_s
            done.dispatched_s.append(dispatched_s)
            done.finished_s.append(finished_s)
            done.counts.append(count)
            done.late_s.append(max(0.0, dispatched_s - max(moment_s, oldest_s)))
            served += count
            moment_s = finished_s
            given_up = served < arrived and finished_s - arrivals_s[served] > longest_wait_s
        else:
            moment_s = min(float(until_s), inf if closed else arrivals_s[arrived])
            if moment_s == inf:
                raise RuntimeError(f"{policy.spec} waits for ever with {arrived - served} requests left")
            sleep(max(0.0, started_s + moment_s - clock()))
    return Replayed(
        started_s=started_s,
        ended_s=clock(),
        dispatched_s=tuple(done.dispatched_s),
        ready_s=tuple(done.ready_s),
        finished_s=tuple(done.finished_s),
        counts=tuple(done.counts),
        late_s=tuple(done.late_s),
        busy_cpu_s=busy_cpu_s,
        given_up=given_up,
    )
