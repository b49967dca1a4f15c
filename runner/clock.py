"""Time as something that is passed in, so that tests decide what it is; a leaf."""

import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Monotonic time and waiting."""

    def now_s(self) -> float:
        """Return seconds of the monotonic clock, which every process of this machine shares."""

    def sleep_s(self, duration_s: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clock."""

    def now_s(self) -> float:
        """Return seconds of ``CLOCK_MONOTONIC``."""
        return time.monotonic()

    def sleep_s(self, duration_s: float) -> None:
        """Wait."""
        time.sleep(duration_s)


class InterruptibleClock(SystemClock):
    """The machine's clock, whose waiting ends early by what ``wait`` raises."""

    def __init__(self, wait: Callable[[float], None]) -> None:
        self._wait = wait

    def sleep_s(self, duration_s: float) -> None:
        """Wait."""
        self._wait(duration_s)
