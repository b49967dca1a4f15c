"""Whether every backend's session computes what it should: the exported reference, or what the baseline computes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

from runner.bench import Roster
from runner.errors import JoulebatchError
from runner.plan import predict_inference_s
from runner.report.lines import SessionLine
from runner.report.schema import Parity
from runner.workers.crew import BackendLostError
from runner.workers.parent import CellFailedError, WorkerLostError
from runner.workers.protocol import Check, Record

_SAMPLES = 8
"""of a recorded reference, at least; an exported one has as many"""
_LEAST_RUNS = 2
"""Between runs every element of an output can vary, wherever it has its batch."""


def check_parity(roster: Roster) -> None:
    """Compare every backend's outputs with the reference; after the first runs, which it would otherwise warm."""
    ready = dict.fromkeys(cell.backend for cell in roster.ready.values())
    # The others were checked in an earlier stretch of this run.
    labels = [label for label in ready if not roster.sessions[label].parity]
    if not labels:
        return
    path = roster.plan.file.reference_path
    if path is not None:
        for label in labels:
            _journal(roster, label, _compare(roster, label, Check(str(path))))
        return
    with _recorded(roster, list(ready)) as (source, check):
        for label in labels:
            parity = _compare(roster, label, check) if isinstance(check, Check) else check
            _journal(roster, label, parity.model_copy(update={"reference": f"outputs of {source}"}))


@contextmanager
def _recorded(roster: Roster, labels: Sequence[str]) -> Iterator[tuple[str, Check | Parity]]:
    """Yield the backend whose outputs are the reference, and how to compare with them, or why there are none.

    That is the baseline, or where it is out, the first backend that is ready. It records in a process of its own, so
    that its own check, too, tells whether a fresh process computes the same.
    """
    baseline = roster.bench.baseline
    source = baseline if baseline in labels else labels[0]
    size = _batch_size(roster, labels)
    run_count = max(_LEAST_RUNS, ceil(_SAMPLES / size))
    roster.bench.progress.say(f"recording the outputs of {source}")
    with TemporaryDirectory(prefix="joulebatch-") as folder:
        path = str(Path(folder) / "reference.npz")
        predicted_s = predict_inference_s(roster.plan.file, size)
        try:
            roster.crew.record(source, Record(path, size, run_count), predicted_s)
        except (CellFailedError, WorkerLostError) as error:
            reason = f"its outputs could not be recorded: {_reason(error)}"
            yield source, Parity(status="unavailable", reason=reason)
            return
        yield source, Check(path, recorded=True)


def _batch_size(roster: Roster, labels: Sequence[str]) -> int:
    """Return the largest batch size that all backends have run, up to the samples that a reference needs."""
    sizes = [
        {cell.load.batch_size for cell in roster.ready.values() if cell.backend == label} for label in labels
    ]
    shared = set.intersection(*sizes) or set.union(*sizes)
    return max((size for size in shared if size <= _SAMPLES), default=min(shared))


def _compare(roster: Roster, label: str, request: Check) -> Parity:
    """Return the backend's parity; one that cannot run the reference has none to show, and is not ranked."""
    roster.bench.progress.say(f"checking the outputs of {label}")
    try:
        return Parity(**roster.crew.check(label, request).parity)
    except (CellFailedError, WorkerLostError, BackendLostError) as error:
        return Parity(status="failed", reason=f"the reference could not be run: {_reason(error)}")


def _reason(error: JoulebatchError) -> str:
    return str(error).removesuffix(".")


def _journal(roster: Roster, label: str, parity: Parity) -> None:
    entry = roster.sessions[label].model_copy(update={"parity": parity})
    roster.bench.journal.write(SessionLine(entry=entry))
