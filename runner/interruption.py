"""Ctrl-C and SIGTERM as something a run can wait on and check, so that nothing is cut in the middle of a write."""

import signal
import socket
from types import FrameType, TracebackType
from typing import ClassVar, Self

from runner.errors import JoulebatchError


class InterruptedRunError(JoulebatchError):
    """The user or the system asked the run to end; what was measured is kept."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        self.exit_code = 128 + signum  # the shell's convention: 130 and 143
        super().__init__(f"Interrupted by {signal.Signals(signum).name}")


class Interruption:
    """While entered, the first signal is remembered and wakes a waiting selector; the second ends the process."""

    SIGNALS: ClassVar = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self._signum: int | None = None
        self._wake, self._woken = socket.socketpair()
        self._previous: dict[int, object] = {}

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when a signal came."""
        return self._woken.fileno()

    def check(self) -> None:
        """Raise when a signal came.

        Raises:
            InterruptedRunError: it carries the exit code.
        """
        if self._signum is not None:
            raise InterruptedRunError(self._signum)

    def _remember(self, signum: int, _frame: FrameType | None) -> None:
        self._signum = signum
        self._wake.send(b"!")
        for each in self.SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    def __enter__(self) -> Self:
        self._previous = {each: signal.signal(each, self._remember) for each in self.SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, handler in self._previous.items():
            signal.signal(each, handler)  # type: ignore[arg-type] # what signal.signal itself returned
        self._wake.close()
        self._woken.close()
