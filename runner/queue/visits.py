"""One visit of a queue cell: a trace of arrivals is replayed and served, with its energy and evidence."""

from runner.bench import Roster
from runner.load.warmup import VISIT_S
from runner.meters.recorder import Ahead
from runner.queue.admission import Admitted, close
from runner.report.lines import QueueWindowLine
from runner.report.schema import QueueWindow
from runner.visits import visit
from runner.workers.crew import BackendLostError
from runner.workers.parent import CellFailedError, WorkerLostError
from runner.workers.protocol import Serve, Served


def take_queue_window(
    roster: Roster, admitted: Admitted, block: int, arrivals_s: tuple[float, ...]
) -> QueueWindow | None:
    """Return a window that is in the journal, or None for a cell that failed and is closed."""
    cell, crew = admitted.cell, roster.crew
    request = Serve(
        policy=cell.load.policy,
        service_s=cell.expected_service_s or (),
        arrivals_s=arrivals_s,
        longest_wait_s=admitted.longest_wait_s,
        images=roster.bench.images,
    )
    predicted_s = arrivals_s[-1] + admitted.longest_wait_s + float(admitted.service_s[-1])
    ahead = Ahead(VISIT_S, arrivals_s[-1] + float(admitted.service_s[-1]))
    try:
        seen = visit(roster, cell.contender, ahead, lambda: crew.serve(cell.contender, request, predicted_s))
    except (CellFailedError, WorkerLostError, BackendLostError) as error:
        close(roster, cell, "failed", str(error).removesuffix("."))
        return None
    served = seen.measured
    window = QueueWindow(
        cell=cell.key,
        block=block,
        paired=False,
        worker=seen.worker,
        started_s=served.started_s,
        wall_s=served.ended_s - served.started_s,
        request_count=len(arrivals_s),
        served_count=sum(served.counts),
        cpu_s=served.cpu_s,
        busy_cpu_s=served.busy_cpu_s,
        late_s=served.late_s,
        conditions=seen.conditions,
        disturbed=seen.disturbed,
        flags=seen.flags,
        energy=seen.energy,
        poller_cpu_s=seen.poller_cpu_s,
    )
    roster.bench.journal.write(
        QueueWindowLine(
            entry=window,
            arrivals_s=arrivals_s,
            dispatched_s=served.dispatched_s,
            ready_s=served.ready_s,
            finished_s=served.finished_s,
            counts=served.counts,
        )
    )
    if served.given_up:
        close(roster, cell, "overloaded", _given_up(admitted, served))
    return window


def _given_up(admitted: Admitted, served: Served) -> str:
    asked = admitted.cell.load.request_count
    return (
        f"a request waited longer than {admitted.longest_wait_s:.3g} s at {admitted.rate_hz:.3g} requests/s; stopped "
        f"after {sum(served.counts)} of {asked}"
    )
