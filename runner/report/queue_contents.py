"""What the lines of a journal say of the queue."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from runner.errors import FileError
from runner.report.journal import QueueBlockLine, QueueCellLine, QueueWindowLine
from runner.report.queue_schema import QueueCell, QueueStudy, QueueWindow
from runner.stats.queueing import Replay

QueueLine = QueueCellLine | QueueWindowLine | QueueBlockLine


@dataclass(slots=True)
class QueueContents:
    """Windows by their place in the journal, and what became of cells."""

    cells: dict[str, QueueCell] = field(default_factory=dict)
    windows: list[QueueWindow] = field(default_factory=list)
    replays: list[Replay] = field(default_factory=list)
    open: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    """windows since the last block line of their model"""
    finished: dict[tuple[str, str, int], list[int]] = field(default_factory=dict)
    """windows of each finished block"""

    def add(self, line: QueueLine) -> None:
        """Take in a line.

        Raises:
            FileError: it contradicts those before it.
        """
        match line:
            case QueueCellLine(entry=cell):
                self.cells[cell.key] = cell
            case QueueWindowLine():
                self._add_window(line)
            case QueueBlockLine():
                self._finish_block(line)

    def study(self, planned: Sequence[QueueCell], *, complete: bool) -> QueueStudy:
        """Return the queue's part of a report, without figures."""
        return QueueStudy(cells=tuple(self._finished(planned, complete)), windows=tuple(self.windows))

    def _add_window(self, line: QueueWindowLine) -> None:
        cell = self.cells.get(line.entry.cell)
        if cell is None:
            raise _unfit("windows of planned queue cells", f"one of {line.entry.cell}")
        self.open[cell.model, cell.variant].append(len(self.windows))
        self.windows.append(line.entry)
        self.replays.append(_replay(line))

    def _finish_block(self, line: QueueBlockLine) -> None:
        places = self.open.pop((line.model, line.variant), [])
        self.finished[line.model, line.variant, line.block] = places
        self._mark(places, {"paired": True})
        if line.repeats is not None:
            repeated = self.finished.get((line.model, line.variant, line.repeats))
            if repeated is None:
                raise _unfit("repeats of finished blocks", f"one of block {line.repeats} of {line.model}")
            self._mark(repeated, {"paired": False, "repeated_by": line.block})

    def _mark(self, places: list[int], facts: dict[str, bool | int]) -> None:
        for place in places:
            self.windows[place] = self.windows[place].model_copy(update=facts)

    def _finished(self, planned: Sequence[QueueCell], complete: bool) -> Iterator[QueueCell]:
        """Yield every planned cell with a status that its windows bear out."""
        visited = {window.cell for window in self.windows}
        for plan in planned:
            cell = self.cells[plan.key]
            open_still = (cell.status, cell.reason) == (plan.status, plan.reason)
            if open_still and cell.key in visited:
                yield cell.model_copy(update={"status": "measured", "reason": ""})
            elif open_still:
                reason = "no window was taken" if complete else "interrupted before it was reached"
                yield cell.model_copy(update={"reason": reason})
            else:
                yield cell


def _replay(line: QueueWindowLine) -> Replay:
    lengths = {len(each) for each in (line.dispatched_s, line.finished_s, line.counts)}
    lengths |= {len(line.ready_s)} if line.ready_s else set()
    if len(lengths) > 1 or not line.counts or sum(line.counts) != line.entry.served_count:
        raise _unfit("a queue window whose batches are whole", f"another of {line.entry.cell}")
    return Replay(
        arrivals_s=np.array(line.arrivals_s),
        dispatched_s=np.array(line.dispatched_s),
        ready_s=np.array(line.ready_s or line.dispatched_s),
        finished_s=np.array(line.finished_s),
        counts=np.array(line.counts),
    )


def _unfit(expected: str, got: str) -> FileError:
    return FileError("Cannot assemble a report", expected=expected, got=got)
