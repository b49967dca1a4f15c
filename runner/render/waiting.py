"""Progress of work whose steps are known: how many are done, and how long the rest will take."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

Step = TypeVar("Step")


def tracked(steps: Sequence[Step], what: str) -> Iterator[Step]:
    """Yield steps one by one; while that goes on a terminal on stderr shows how far it is and the time left."""
    from rich.console import Console  # noqa: PLC0415 - 0.1 s, and no help needs it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    silent = not console.is_terminal or console.is_dumb_terminal  # neither can draw a line anew
    with Progress(*columns, console=console, transient=True, disable=silent) as shown:
        yield from shown.track(steps, description=what)
