"""Progress of a run on a terminal: one line, redrawn only when the run says so, which is never inside a window."""

from time import monotonic

from rich.console import Console
from rich.live import Live
from rich.text import Text

from runner.progress import Progress
from runner.render.numbers import duration
from runner.report.schema import Cell
from runner.units import duration_text

_DUMB_EVERY_S = 10.0
"""between two lines on a terminal that cannot draw one over the other (TERM=dumb)"""


class TerminalProgress(Progress):
    """A line with the time so far and what is left of it, the model, the block and the cell.

    Args:
        console: on stderr.
        budget_s: the time budget, shown beside the time so far.
    """

    def __init__(self, console: Console, budget_s: float | None) -> None:
        self._console, self._live = console, Live(console=console, auto_refresh=False, transient=True)
        self._printed_s = -_DUMB_EVERY_S
        self._budget_s, self._began_s, self._model = budget_s, monotonic(), ""
        self._steps_began_s = self._began_s

    def begin_model(self, name: str, number: int, models: int) -> None:
        """Turn to a model."""
        self._model = f"{number}/{models} {name}"

    def say(self, text: str, share: float | None = None) -> None:
        """Tell what is done now, and how long the steps like it will go on."""
        text = f"{self._model}  {text}".lstrip()  # no model yet while the idle machine is measured
        self._draw(text, self._left(share) if share is not None else "")

    def _left(self, share: float) -> str:
        if share <= 0:
            self._steps_began_s = monotonic()
            return ""
        left_s = (monotonic() - self._steps_began_s) * (1 - share) / share
        return f", {duration(left_s)} left of these"

    def visit(self, cell: Cell, block: int) -> None:
        """Tell which cell's window comes next."""
        pace = f" at {cell.load.pace_hz:g} images/s" if cell.load.pace_hz else ""
        pace += f" after {duration_text(cell.load.gap_s)} idle" if cell.load.gap_s else ""
        sizes = ",".join(map(str, cell.load.sizes))
        self._draw(f"{self._model}  block {block + 1}  {cell.contender}  batch {sizes}{pace}")

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._live.stop()

    def _draw(self, text: str, left: str = "") -> None:
        spent_s = monotonic() - self._began_s
        of = ""
        if self._budget_s:
            of = f" of {duration(self._budget_s)}, at most {duration(max(self._budget_s - spent_s, 0))} left"
        line = Text(f"[{duration(spent_s)}{of}{left}]  {text}", overflow="ellipsis", no_wrap=True)
        if not self._console.is_dumb_terminal:
            self._live.start()
            self._live.update(line, refresh=True)
        elif spent_s - self._printed_s >= _DUMB_EVERY_S:
            self._printed_s = spent_s
            self._console.print(line)
