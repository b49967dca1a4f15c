"""One visit: a window of one cell, taken with its energy and with the evidence of what else happened."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import Generic, TypeVar

from runner.bench import Roster
from runner.conditions import Conditions, disturbance
from runner.contender import Contender
from runner.durations import period_s, timed_s, untimed_s, visit_s
from runner.meters.interface import Energy
from runner.meters.recorder import Ahead
from runner.report.lines import WindowLine
from runner.report.schema import Cell, Window
from runner.so_far import LATE_FLAG
from runner.workers.crew import BackendLostError
from runner.workers.parent import CellFailedError, WorkerLostError
from runner.workers.protocol import Measure, Measurement, Span

UNSETTLED_FLAG = "another worker was busy"

_Span = TypeVar("_Span", bound=Span)


@dataclass(frozen=True, slots=True)
class Visit(Generic[_Span]):
    """What a worker measured, and what was seen meanwhile."""

    measured: _Span
    worker: int
    conditions: Conditions
    energy: tuple[Energy, ...]
    poller_cpu_s: float
    flags: tuple[str, ...]

    @property
    def disturbed(self) -> str:
        """The recorded cause for which the whole block is to be repeated."""
        return disturbance(self.conditions)


def take_window(roster: Roster, cell: Cell, block: int, count: int) -> Window | None:
    """Return a window that is in the journal, or None for a cell that failed and is out."""
    load = cell.load
    request = Measure(load.batch_size, cell.io, count, period_s(load), load.gap_s, load.mixed)
    each_s = _latest_s(roster, cell)
    ahead = Ahead(untimed_s(cell, each_s), timed_s(cell, each_s, count))
    predicted_s = visit_s(cell, each_s, count)
    try:
        seen = visit(
            roster, cell.contender, ahead, lambda: roster.crew.measure(cell.contender, request, predicted_s)
        )
    except (CellFailedError, WorkerLostError, BackendLostError) as error:
        roster.fail((cell,), error)
        return None
    measured = seen.measured
    window = Window(
        cell=cell.key,
        block=block,
        paired=False,
        worker=seen.worker,
        started_s=measured.started_s,
        wall_s=measured.ended_s - measured.started_s,
        inference_count=len(measured.latencies_s),
        latency_mean_s=fmean(measured.latencies_s),
        cpu_s=measured.cpu_s,
        conditions=seen.conditions,
        disturbed=seen.disturbed,
        flags=(*seen.flags, *_late(measured)),
        energy=seen.energy,
        poller_cpu_s=seen.poller_cpu_s,
    )
    roster.bench.journal.write(WindowLine(entry=window, latencies_s=measured.latencies_s))
    return window


def visit(roster: Roster, contender: Contender, ahead: Ahead, ask: Callable[[], _Span]) -> Visit[_Span]:
    """Return what a contender's worker measures, framed by meters and evidence.

    Nothing is drawn or logged between the moment the meters begin and the moment they end.

    Raises:
        CellFailedError, WorkerLostError, BackendLostError: as ``ask`` does; the meters are as before.
    """
    bench, crew = roster.bench, roster.crew
    if crew.cpu_s(contender) is None:  # lost in another window; opening a fresh one is no part of this one
        crew.replace(contender)
    others_before_s, poller_before_s = crew.others_cpu_s(contender), bench.meters.poller_cpu_s
    bench.meters.begin(ahead)
    bench.observer.begin(crew.cpu_s(contender))
    try:
        measured = ask()
    except (CellFailedError, WorkerLostError, BackendLostError):
        bench.meters.cancel()
        raise
    conditions = bench.observer.end(crew.cpu_s(contender), measured)
    energy = bench.meters.end(measured.started_s, measured.ended_s)
    rested = crew.others_cpu_s(contender) <= others_before_s
    return Visit(
        measured=measured,
        worker=crew.worker_number(contender),
        conditions=conditions,
        energy=energy,
        poller_cpu_s=bench.meters.poller_cpu_s - poller_before_s,
        flags=() if rested else (UNSETTLED_FLAG,),
    )


def _latest_s(roster: Roster, cell: Cell) -> float:
    """Return what an inference took in the last window that counts, or in the warm-up."""
    means_s = roster.so_far.means_s.get(cell.key)
    return means_s[max(means_s)] if means_s else roster.inference_s[cell.key]


def _late(measured: Measurement) -> tuple[str, ...]:
    return (LATE_FLAG,) if measured.late_s > 0 else ()
