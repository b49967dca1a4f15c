"""Which progress a command shows on stderr."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # loads pydantic, which no help needs
    from runner.progress import Progress


def progress_on_stderr(
    *, quiet: bool = False, verbose: bool = False, budget_s: float | None = None
) -> "Progress":
    """Return a line per step where those were asked for, a line that is redrawn on a terminal, and else nothing."""
    from runner.progress import LineProgress, Progress  # noqa: PLC0415 - --help must not pay for it

    if verbose:
        return LineProgress(sys.stderr)
    if quiet or not sys.stderr.isatty():
        return Progress()
    from rich.console import Console  # noqa: PLC0415 - only for a terminal

    from runner.render.progress import TerminalProgress  # noqa: PLC0415 - the same

    return TerminalProgress(Console(stderr=True), budget_s)
