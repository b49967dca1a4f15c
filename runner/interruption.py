"""Ctrl-C, SIGTERM and SIGHUP as something a run can wait on and check, so that nothing is cut in mid-write."""

import errno
import os
import selectors
import signal
import socket
import termios
from types import FrameType, TracebackType
from typing import Self

from runner.errors import SIGNALLED, JoulebatchError


class InterruptedRunError(JoulebatchError):
    """The user or the system asked the run to end; what was measured is kept."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        self.exit_code = SIGNALLED + signum
        super().__init__(f"Interrupted by {signal.Signals(signum).name}")


class Interruption:
    """While entered, the first signal is remembered and wakes a waiting selector; the second ends the process.

    SIGHUP says that the terminal is gone. It never counts as the second, because the kernel and then the shell
    send it, and under nohup(1), which has it ignored, it stays ignored.
    """

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

    def wait(self, duration_s: float) -> None:
        """Sleep, unless a signal comes.

        Raises:
            InterruptedRunError: one came.
        """
        self.check()
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            selector.select(duration_s)
        self.check()

    def _remember(self, signum: int, _frame: FrameType | None) -> None:
        if signum == signal.SIGHUP:
            _let_go_of_dead_terminals()
        if self._signum is None:
            self._signum = signum
            self._wake.send(b"!")
        for each in self._previous.keys() - {signal.SIGHUP}:
            signal.signal(each, signal.SIG_DFL)

    def __enter__(self) -> Self:
        signals = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signals.append(signal.SIGHUP)
        self._previous = {each: signal.signal(each, self._remember) for each in signals}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, handler in self._previous.items():
            signal.signal(each, handler)  # type: ignore[arg-type] # what signal.signal itself returned
        self._wake.close()
        self._woken.close()


def _let_go_of_dead_terminals() -> None:
    """Point standard streams whose terminal hung up at the null device, because writing to them fails from now on.

    Source: POSIX.1-2017, General Terminal Interface 11.1.10 (modem disconnect): writes return EIO.
    """
    for stream in (0, 1, 2):
        try:
            termios.tcgetattr(stream)
        except termios.error as error:
            if error.args[0] == errno.EIO:  # a file or a pipe gives ENOTTY
                os.dup2(os.open(os.devnull, os.O_RDWR), stream)
