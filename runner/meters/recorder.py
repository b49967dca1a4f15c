"""The parent's side of measuring energy: polls every meter around each window, from one thread."""

import threading
import time
from types import TracebackType
from typing import Self

from runner.clock import Clock
from runner.meters.interface import DOMAINS, Energy, Meter, MeterStatus, Unavailable

POLL_S = 0.01
"""Half the update period of the fastest GPU counters (20 ms); ``poller_cpu_s`` says what it cost."""


class MeterSet:
    """All meters of a run. Without meters it starts no thread, and every call costs nothing.

    Windows stand alone: each begins with fresh readings, so counters may wrap or be reset between windows and
    need no reads there. Within a window each is read every ``POLL_S``, far below its shortest wrap time.
    """

    def __init__(self, meters: tuple[Meter, ...], absent: tuple[Unavailable, ...], clock: Clock) -> None:
        self._meters, self._absent, self._clock = meters, absent, clock
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._error: Exception | None = None
        self.poller_cpu_s = 0.0
        """CPU time of polling so far, all windows"""

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

    def begin(self) -> None:
        """Start polling; return once every counter was seen to change, or two of its update periods passed.

        A window that begins after this call lies behind an observed change of each counter.
        """
        self.cancel()
        if not self._meters:
            return
        self._error = None
        begun_s = self._clock.now_s()
        for meter in self._meters:
            meter.start()
        self._stop.clear()
        self._thread = threading.Thread(target=self._poll, name="meters", daemon=True)
        self._thread.start()
        self._wait_for_changes(begun_s)

    def end(self, started_s: float, ended_s: float) -> tuple[Energy, ...]:
        """Return the energy of each metered domain in the window just run, and stop polling.

        Waits until each counter was seen to change after the window, for at most two of its update periods.

        Args:
            started_s: when the window began, on the monotonic clock; after ``begin`` returned.
            ended_s: when it ended.
        """
        if not self._meters:
            return ()
        self._wait_for_changes(ended_s)
        self.cancel()
        if self._error is not None:
            raise self._error
        for meter in self._meters:  # a thread that got no processor in time must not cost the window
            meter.poll()
        return tuple(meter.energy(started_s, ended_s) for meter in self._meters)

    def cancel(self) -> None:
        """Stop polling and give the window up; nothing happens when none is open."""
        if self._thread is not None:
            self._stop.set()
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

    def _poll(self) -> None:
        try:
            while not self._stop.wait(POLL_S):
                for meter in self._meters:
                    meter.poll()
        except Exception as error:  # noqa: BLE001 - a thread's exception is lost unless the caller gets it
            self._error = error
        self.poller_cpu_s += time.thread_time()

    def _wait_for_changes(self, moment_s: float) -> None:
        # Polls add their own delay to two update periods: one before the change, one after it.
        limit_s = 2 * max(meter.update_period_s for meter in self._meters) + 2 * POLL_S
        deadline_s = self._clock.now_s() + limit_s
        while self._clock.now_s() < deadline_s and self._error is None:
            if all(meter.has_changed_since(moment_s) for meter in self._meters):
                return
            self._clock.sleep_s(POLL_S / 4)
