"""The parent's side of measuring energy: polls every meter around each window, from one thread."""

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from runner.clock import Clock
from runner.meters.interface import DOMAINS, Energy, Meter, MeterStatus, Unavailable

POLL_S = 0.01
"""Of counters slower than this: half the update period of the fastest GPU counters (20 ms)."""
_FAST_COUNTER_POLL_S = 0.02
"""Of faster ones, at most so often: beside a busy machine a poll of four counters takes 0.2 ms of CPU time."""
_LONGEST_POLL_S = 0.1
"""far below what any counter takes to wrap"""
_POLLS_PER_WINDOW = 14
"""Of faster ones: so many keep the thread of four counters below 0.5 % of a core in a window of 1 s
(``benchmarks/meters.py``); the bound of the end is the time between two."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is predicted of a window that is about to be asked for."""

    untimed_s: float
    """from then to its first timed inference, under the same load"""
    window_s: float


def poll_interval_s(elapsed_s: float, ahead: Ahead, slowest_update_s: float) -> float:
    """Return how long the next poll may wait.

    A counter that updates faster than it is polled shows what it is wherever the poll falls, so it needs polls near
    the edges of the window only, and some in between (docs/measurement.md, section 3). The end has one:
    ``MeterSet.end`` polls at once. Around the start, polls are so close that those before and after it see the load of
    the window alone. Slower counters are polled densely throughout, because their changes are seen as late as the polls
    are apart.

    Args:
        elapsed_s: since polling began.
        ahead: what was predicted then.
        slowest_update_s: the longest update period of what is polled.
    """
    if slowest_update_s > POLL_S:
        return POLL_S
    interval_s = ahead.window_s / _POLLS_PER_WINDOW
    if elapsed_s < ahead.untimed_s * 3 / 2:
        interval_s = min(interval_s, ahead.untimed_s / 3)
    return min(max(_FAST_COUNTER_POLL_S, interval_s), _LONGEST_POLL_S)


class MeterSet:
    """All meters of a run. Without meters it starts no thread, and every call costs nothing.

    Windows stand alone: each begins with fresh readings, so counters may wrap or be reset between windows and
    need no reads there. Within a window, however long, each is read every ``_LONGEST_POLL_S`` at least, far below its
    shortest wrap time; one that was not, because this process was stopped, has no figure for that window.
    """

    def __init__(self, meters: tuple[Meter, ...], absent: tuple[Unavailable, ...], clock: Clock) -> None:
        self._meters, self._absent, self._clock = meters, absent, clock
        self._thread: threading.Thread | None = None
        # Held until polling may stop: to wait for an Event takes 19 us more, of the 130 that a poll takes
        # beside a busy machine (benchmarks/README.md).
        self._stop = threading.Lock()
        self._error: Exception | None = None
        self._slowest_update_s = max((meter.update_period_s for meter in meters), default=0.0)
        self.poller_cpu_s = 0.0
        """CPU time of polling within windows so far"""

    @property
    def entries(self) -> tuple[MeterStatus, ...]:
        """How each domain is read, or why not; every domain once."""
        statuses = {meter.status.domain: meter.status for meter in self._meters}
        for missing in self._absent:
            statuses[missing.domain] = MeterStatus(
                missing.domain, "unavailable", reason=missing.reason, remedy=missing.remedy
            )
        return tuple(statuses[domain] for domain in DOMAINS if domain in statuses)

    @property
    def minimum_window_s(self) -> float:
        """The shortest window in which every meter's error stays small; 0 without meters."""
        return max((meter.minimum_window_s for meter in self._meters), default=0.0)

    @property
    def measures(self) -> bool:
        """Whether any of them measures, and does not merely estimate."""
        return any(meter.status.status == "measured" for meter in self._meters)

    def begin(self, ahead: Ahead) -> None:
        """Start polling; return once every counter was seen to change, or two of its update periods passed.

        A window that begins after this call lies behind an observed change of each counter.

        Args:
            ahead: how long it will take; a wrong prediction costs polls or precision.
        """
        self.cancel()
        if not self._meters:
            return
        self._error = None
        begun_s = self._clock.now_s()
        for meter in self._meters:
            meter.start()
        self._poll_until_changed(begun_s)
        self._stop = threading.Lock()
        self._stop.acquire()
        self._thread = threading.Thread(target=self._poll_on, args=(ahead,), name="meters", daemon=True)
        self._thread.start()

    def end(self, started_s: float, ended_s: float) -> tuple[Energy, ...]:
        """Return the energy of each metered domain in the window just run, and stop polling.

        Waits until each counter was seen to change after the window, for at most two of its update periods.

        Args:
            started_s: when the window began, on the monotonic clock; after ``begin`` returned.
            ended_s: when it ended.
        """
        self.cancel()
        if self._error is not None:
            raise self._error
        if not self._meters:
            return ()
        self._poll_until_changed(ended_s)
        return tuple(meter.energy(started_s, ended_s) for meter in self._meters)

    def cancel(self) -> None:
        """Stop polling and give the window up; nothing happens when none is open."""
        if self._thread is not None:
            self._stop.release()
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        """Stop polling and release the meters."""
        self.cancel()
        for meter in self._meters:
            meter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _poll_on(self, ahead: Ahead) -> None:
        began_s = self._clock.now_s()
        try:
            while not self._stop.acquire(timeout=self._interval_s(began_s, ahead)):
                self._poll()
        except Exception as error:  # noqa: BLE001 - a thread's exception is lost unless the caller gets it
            self._error = error
        self.poller_cpu_s += time.thread_time()

    def _interval_s(self, began_s: float, ahead: Ahead) -> float:
        return poll_interval_s(self._clock.now_s() - began_s, ahead, self._slowest_update_s)

    def _poll(self) -> None:
        for meter in self._meters:
            meter.poll()

    def _poll_until_changed(self, moment_s: float) -> None:
        # Polls add their own delay to two update periods: one before the change, one after it.
        deadline_s = self._clock.now_s() + 2 * self._slowest_update_s + 2 * POLL_S
        self._poll()
        while not all(meter.has_changed_since(moment_s) for meter in self._meters):
            if self._clock.now_s() >= deadline_s:
                return
            self._clock.sleep_s(POLL_S / 4)
            self._poll()
