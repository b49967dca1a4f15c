"""Windows of a journal and the blocks that pair them."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from runner.errors import FileError
from runner.report.lines import BlockLine, QueueBlockLine
from runner.report.schema import Cell, QueueCell, QueueWindow, Window

AnyWindow = TypeVar("AnyWindow", Window, QueueWindow)


@dataclass(slots=True)
class Pairing(Generic[AnyWindow]):
    """Windows by their place in the journal; those of a finished block are paired until another one repeats it."""

    windows: list[AnyWindow] = field(default_factory=list)
    open: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """windows since the last block line of their model"""
    finished: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    """windows of each finished block"""

    def add(self, window: AnyWindow, cell: Cell | QueueCell | None) -> None:
        """Take in a window of this cell.

        Raises:
            FileError: the cell was not planned.
        """
        if cell is None:
            raise unfit("windows of planned cells", f"one of {window.cell}")
        self.open[cell.model].append(len(self.windows))
        self.windows.append(window)

    def finish_block(self, line: BlockLine | QueueBlockLine) -> None:
        """Pair the open windows of a model, and no longer those of the block that they stand in for.

        Raises:
            FileError: that block was not finished.
        """
        places = self.open.pop(line.model, [])
        self.finished[line.model, line.block] = places
        self._mark(places, {"paired": True})
        if line.repeats is not None:
            repeated = self.finished.get((line.model, line.repeats))
            if repeated is None:
                raise unfit("repeats of finished blocks", f"one of block {line.repeats} of {line.model}")
            self._mark(repeated, {"paired": False, "repeated_by": line.block})

    def _mark(self, places: list[int], facts: dict[str, bool | int]) -> None:
        for place in places:
            self.windows[place] = self.windows[place].model_copy(update=facts)


def unfit(expected: str, got: str) -> FileError:
    """Return the error of a journal whose lines contradict each other."""
    return FileError("Cannot assemble a report", expected=expected, got=got)
