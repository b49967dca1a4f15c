"""One visit: a window of one cell, taken with its energy and with the evidence of what else happened."""

from statistics import fmean

from runner.bench import Roster
from runner.conditions import disturbance
from runner.meters.recorder import Ahead
from runner.plan import period_s, timed_s, untimed_s, visit_s
from runner.report.journal import WindowLine
from runner.report.schema import Cell, Window
from runner.so_far import LATE_FLAG
from runner.workers.crew import BackendLostError
from runner.workers.parent import CellFailedError, WorkerLostError
from runner.workers.protocol import Measure, Measurement

UNSETTLED_FLAG = "another worker was busy"


def take_window(roster: Roster, cell: Cell, block: int, count: int) -> Window | None:
    """Return a window that is in the journal, or None for a cell that failed and is out.

    Nothing is drawn or logged between the moment the meters begin and the moment they end.
    """
    bench, crew, label = roster.bench, roster.crew, cell.backend
    request = Measure(cell.load.batch_size, cell.io, count, period_s(cell.load), cell.load.gap_s)
    each_s = _latest_s(roster, cell)
    predicted_s = visit_s(cell, each_s, count)
    try:
        if crew.cpu_s(label) is None:  # lost in another window; opening a fresh one is no part of this one
            crew.replace(label)
        others_before_s, poller_before_s = crew.others_cpu_s(label), bench.meters.poller_cpu_s
        bench.meters.begin(Ahead(untimed_s(cell, each_s), timed_s(cell, each_s, count)))
        bench.observer.begin(crew.cpu_s(label))
        measured = crew.measure(label, request, predicted_s)
    except (CellFailedError, WorkerLostError, BackendLostError) as error:
        bench.meters.cancel()
        roster.fail((cell,), error)
        return None
    conditions = bench.observer.end(crew.cpu_s(label), measured)
    energy = bench.meters.end(measured.started_s, measured.ended_s)
    rested = crew.others_cpu_s(label) <= others_before_s
    window = Window(
        cell=cell.key,
        block=block,
        paired=False,
        worker=crew.worker_number(label),
        started_s=measured.started_s,
        wall_s=measured.ended_s - measured.started_s,
        inference_count=len(measured.latencies_s),
        latency_mean_s=fmean(measured.latencies_s),
        cpu_s=measured.cpu_s,
        conditions=conditions,
        disturbed=disturbance(conditions),
        flags=_flags(measured, rested=rested),
        energy=energy,
        poller_cpu_s=bench.meters.poller_cpu_s - poller_before_s,
    )
    bench.journal.write(WindowLine(entry=window, latencies_s=measured.latencies_s))
    return window


def _latest_s(roster: Roster, cell: Cell) -> float:
    """Return what an inference took in the last window that counts, or in the warm-up."""
    means_s = roster.so_far.means_s.get(cell.key)
    return means_s[max(means_s)] if means_s else roster.inference_s[cell.key]


def _flags(measured: Measurement, *, rested: bool) -> tuple[str, ...]:
    return (*(() if rested else (UNSETTLED_FLAG,)), *((LATE_FLAG,) if measured.late_s > 0 else ()))
