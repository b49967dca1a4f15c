"""What a run tells while it goes on; drawn between windows only, and nothing at all by default."""

from typing import TextIO

from runner.report.schema import Cell


class Progress:
    """Says nothing; what a terminal shows is in ``runner.render.progress``."""

    def begin_model(self, name: str, number: int, models: int) -> None:
        """Turn to a model."""

    def say(self, text: str, share: float | None = None) -> None:
        """Tell what is done now.

        Args:
            text: what.
            share: how much of the steps like this one is done; the first of them is told 0.
        """

    def visit(self, cell: Cell, block: int) -> None:
        """Tell which cell's window comes next."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class LineProgress(Progress):
    """A line for every step, for logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._model = stream, ""

    def begin_model(self, name: str, number: int, models: int) -> None:
        """Turn to a model."""
        self._model = f"{number}/{models} {name}"

    def say(self, text: str, share: float | None = None) -> None:
        """Tell what is done now."""
        del share
        print(f"{self._model}: {text}" if self._model else text, file=self._stream, flush=True)

    def visit(self, cell: Cell, block: int) -> None:
        """Tell which cell's window comes next."""
        self.say(f"block {block + 1}, {cell.key}")
