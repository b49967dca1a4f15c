"""What the lines of a journal say of the queue."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from runner.report.lines import QueueBlockLine, QueueCellLine, QueueWindowLine
from runner.report.pairing import Pairing, unfit
from runner.report.schema import QueueCell, QueueStudy, QueueWindow
from runner.stats.queueing import Replay

QueueLine = QueueCellLine | QueueWindowLine | QueueBlockLine


@dataclass(slots=True)
class QueueContents:
    """Windows, and what became of cells."""

    cells: dict[str, QueueCell] = field(default_factory=dict)
    pairing: Pairing[QueueWindow] = field(default_factory=Pairing)
    replays: list[Replay] = field(default_factory=list)
    """of each window"""

    def add(self, line: QueueLine) -> None:
        """Take in a line.

        Raises:
            FileError: it contradicts those before it.
        """
        match line:
            case QueueCellLine(entry=cell):
                if cell.key not in self.cells:
                    raise unfit("planned cells of the queue", f"one of {cell.key}")
                self.cells[cell.key] = cell
            case QueueWindowLine(entry=window):
                self.pairing.add(window, self.cells.get(window.cell))
                self.replays.append(_replay(line))
            case QueueBlockLine():
                self.pairing.finish_block(line)

    def study(self, planned: Sequence[QueueCell], *, complete: bool) -> QueueStudy:
        """Return the queue's part of a report, without figures."""
        return QueueStudy(cells=tuple(self._finished(planned, complete)), windows=tuple(self.pairing.windows))

    def _finished(self, planned: Sequence[QueueCell], complete: bool) -> Iterator[QueueCell]:
        """Yield every planned cell with a status that its windows bear out."""
        visited = {window.cell for window in self.pairing.windows}
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
    served, arrived = line.entry.served_count, len(line.arrivals_s)
    if len(lengths) > 1 or not line.counts or sum(line.counts) != served or served > arrived:
        raise unfit("a queue window whose batches are whole", f"another of {line.entry.cell}")
    return Replay(
        arrivals_s=np.array(line.arrivals_s),
        dispatched_s=np.array(line.dispatched_s),
        ready_s=np.array(line.ready_s or line.dispatched_s),
        finished_s=np.array(line.finished_s),
        counts=np.array(line.counts),
    )
