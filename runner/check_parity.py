"""Whether every contender's session computes what it should: the exported reference, or what the baseline computes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

from runner.bench import Roster
from runner.contender import Contender
from runner.durations import predict_inference_s
from runner.errors import JoulebatchError
from runner.report.lines import SessionLine
from runner.report.schema import Parity
from runner.variants import CLOSENESS, kind_of
from runner.workers.crew import BackendLostError
from runner.workers.parent import CellFailedError, WorkerLostError
from runner.workers.protocol import Check, Record

_SAMPLES = 8
"""of a recorded reference, at least; an exported one has as many"""
_LEAST_RUNS = 2
"""Between runs every element of an output can vary, wherever it has its batch."""


def check_parity(roster: Roster) -> None:
    """Compare every contender's outputs with the reference; after the first runs, which it would otherwise warm."""
    ready = list(dict.fromkeys(cell.contender for cell in roster.ready.values()))
    # The others were checked in an earlier stretch of this run.
    unchecked = [contender for contender in ready if not roster.sessions[contender].parity]
    if not unchecked:
        return
    path = roster.plan.file.reference_path
    if path is not None:
        for contender in unchecked:
            check = _near(Check(str(path)), contender.variant)
            _journal(roster, contender, _compare(roster, contender, check))
        return
    first = next(iter(roster.plan.files))
    if not roster.bench.allow_other_outputs and all(each.variant != first for each in ready):
        parity = Parity(
            status="unavailable", reason=f"{first} could not be run, whose outputs are the reference"
        )
        for contender in unchecked:
            _journal(roster, contender, parity)
        return
    for alike in _alike(roster, ready):
        if asking := [contender for contender in alike if contender in unchecked]:
            _compare_recorded(roster, alike, asking)


def _alike(roster: Roster, ready: Sequence[Contender]) -> list[Sequence[Contender]]:
    """Return those together that are to compute the same: all, unless variants may compute something else."""
    if not roster.bench.allow_other_outputs:
        return [ready]
    variants = dict.fromkeys(contender.variant for contender in ready)
    return [[each for each in ready if each.variant == variant] for variant in variants]


def _compare_recorded(roster: Roster, alike: Sequence[Contender], asking: Sequence[Contender]) -> None:
    """Compare with what one of them computes."""
    with _recorded(roster, alike) as (source, check):
        for contender in asking:
            if isinstance(check, Check):
                apart = () if contender.variant == source.variant else (contender.variant, source.variant)
                parity = _compare(roster, contender, _near(check, *apart))
            else:
                parity = check
            _journal(roster, contender, parity.model_copy(update={"reference": f"outputs of {source}"}))


def _near(check: Check, *variants: str) -> Check:
    """Return the check with the closeness of these variants; the backend's own reach counts where it is farther."""
    known = [CLOSENESS[kind] for kind in map(kind_of, variants) if kind in CLOSENESS]
    if not known:
        return check
    return replace(
        check,
        tolerance_ratio=max(each.tolerance_ratio for each in known),
        least_agreement_ratio=min(each.least_agreement_ratio for each in known),
    )


@contextmanager
def _recorded(roster: Roster, ready: Sequence[Contender]) -> Iterator[tuple[Contender, Check | Parity]]:
    """Yield the contender whose outputs are the reference, and how to compare with them, or why there are none.

    That is the first file under the baseline's backend, or where that is out, under the first backend that is ready.
    It records in a process of its own, so that its own check, too, tells whether a fresh process computes the same.
    """
    first = next(iter(roster.plan.files))
    source = min(ready, key=lambda each: (each.variant != first, each.backend != roster.bench.baseline))
    size = _batch_size(roster, ready)
    run_count = max(_LEAST_RUNS, ceil(_SAMPLES / size))
    roster.bench.progress.say(f"recording the outputs of {source}")
    with TemporaryDirectory(prefix="joulebatch-") as folder:
        path = str(Path(folder) / "reference.npz")
        predicted_s = predict_inference_s(roster.plan.files[source.variant], size)
        try:
            roster.crew.record(source, Record(path, size, run_count), predicted_s)
        except (CellFailedError, WorkerLostError) as error:
            reason = f"its outputs could not be recorded: {_reason(error)}"
            yield source, Parity(status="unavailable", reason=reason)
            return
        yield source, Check(path, recorded=True)


def _batch_size(roster: Roster, ready: Sequence[Contender]) -> int:
    """Return the largest batch size that all contenders have run, up to the samples that a reference needs."""
    alone = [cell for cell in roster.ready.values() if not cell.load.mixed]
    sizes = [{cell.load.batch_size for cell in alone if cell.contender == contender} for contender in ready]
    shared = set.intersection(*sizes) or set.union(*sizes)
    return max((size for size in shared if size <= _SAMPLES), default=min(shared))


def _compare(roster: Roster, contender: Contender, request: Check) -> Parity:
    """Return the contender's parity; one that cannot run the reference has none to show, and is not ranked."""
    roster.bench.progress.say(f"checking the outputs of {contender}")
    try:
        return Parity(**roster.crew.check(contender, request).parity)
    except (CellFailedError, WorkerLostError, BackendLostError) as error:
        return Parity(status="failed", reason=f"the reference could not be run: {_reason(error)}")


def _reason(error: JoulebatchError) -> str:
    return str(error).removesuffix(".")


def _journal(roster: Roster, contender: Contender, parity: Parity) -> None:
    entry = roster.sessions[contender].model_copy(update={"parity": parity})
    roster.bench.journal.write(SessionLine(entry=entry))
