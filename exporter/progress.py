"""What an export shows on stderr while it works: a live row per network on a terminal, else plain lines."""

import sys
import time
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import rich.progress

    from exporter.jobs import Progress


@contextmanager
def show_progress(*, quiet: bool) -> "Iterator[Progress]":
    """Give what shows progress; it leaves nothing on a terminal."""
    if quiet:
        yield _Silent()
    elif not sys.stderr.isatty():
        yield _Lines()
    else:
        from rich.console import Console  # noqa: PLC0415 - terminals only
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - the same

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as live:
            yield _Rows(live)


class _Silent:
    """Shows nothing."""

    def begins(self, model: str, stage: str) -> None:
        pass

    def ends(self, model: str, *, failed: bool) -> None:
        pass


class _Lines:
    """A line when a network begins and one when it ends."""

    def __init__(self) -> None:
        self._started_s: dict[str, float] = {}

    def begins(self, model: str, stage: str) -> None:
        del stage
        if model not in self._started_s:
            self._started_s[model] = time.perf_counter()
            self._write(f"{model}: exporting")

    def ends(self, model: str, *, failed: bool) -> None:
        took_s = time.perf_counter() - self._started_s[model]
        self._write(f"{model}: {'failed' if failed else 'exported'} after {took_s:.1f} s")

    def _write(self, text: str) -> None:
        sys.stderr.write(text + "\n")  # one call, so that lines of two threads stay whole
        sys.stderr.flush()


class _Rows:
    """A live row per network."""

    def __init__(self, live: "rich.progress.Progress") -> None:
        self._live = live
        self._lock = Lock()
        self._rows: dict[str, rich.progress.TaskID] = {}

    def begins(self, model: str, stage: str) -> None:
        with self._lock:
            if model not in self._rows:
                self._rows[model] = self._live.add_task(model, total=1)
        self._live.update(self._rows[model], description=f"{model}: {stage}")

    def ends(self, model: str, *, failed: bool) -> None:
        self._live.update(
            self._rows[model], completed=1, description=f"{model}: {'failed' if failed else 'done'}"
        )
