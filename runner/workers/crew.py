"""The workers of one model, one per contender: opened together, asked one at a time, replaced when lost."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf
from types import TracebackType
from typing import Any, Self, TypeVar

from runner.backends.spec import BackendSpec
from runner.contender import Contender, contenders
from runner.errors import JoulebatchError
from runner.interruption import Interruption
from runner.load.warmup import FRESH_INFERENCES
from runner.manifest import manifest_path
from runner.modelfile import ModelFile
from runner.workers.parent import CellFailedError, Patience, Worker, WorkerLostError
from runner.workers.protocol import (
    Check,
    Checked,
    Measure,
    Measurement,
    Open,
    Opened,
    Prepare,
    Prepared,
    Record,
    Recorded,
    Serve,
    Served,
)

_Reply = TypeVar("_Reply")
_Shape = tuple[tuple[int, ...], str]
"""batch sizes of one inference, and io"""

_OPEN_LIMIT_S = 600.0
"""gigabytes from a cold disk, or a provider that compiles the model when it is opened"""
_LEAST_PATIENCE_S = 30.0
"""for one reply, however little of the budget is left"""


def _shape_of(request: Prepare | Measure) -> _Shape:
    return request.mixed or (request.batch_size,), request.io


class BackendLostError(JoulebatchError):
    """A backend cannot open this file, so none of the contender's cells can be measured."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What all workers of a run have in common."""

    interruption: Interruption
    seed: int
    left_s: Callable[[], float] = lambda: inf
    """of the time budget"""
    patience: Patience = field(default_factory=Patience)


class Crew:
    """The workers of one model. Use as a context manager.

    All but the one that was asked are parked, because thread pools spin on after a run (40 to 60 ms in ONNX
    Runtime) and would burn the CPU of whoever is measured next.
    """

    def __init__(
        self,
        files: Mapping[str, ModelFile],
        specs: Sequence[BackendSpec],
        terms: Terms,
        started: Mapping[Contender, int] | None = None,
    ) -> None:
        self._files, self._terms = files, terms
        self._specs = {spec.label: spec for spec in specs}
        self._contenders = contenders(files, specs)
        self._workers: dict[Contender, Worker] = {}
        self._started = Counter(started)
        """processes so far, those of earlier stretches of a resumed run included"""
        self._placements: dict[Contender, Mapping[str, Any]] = {}
        self._prepared: dict[Contender, dict[_Shape, tuple[Prepare, float]]] = {
            contender: {} for contender in self._contenders
        }

    def open_all(self) -> dict[Contender, Opened | JoulebatchError]:
        """Open every file under every backend that can run it, all at once, and return what each said."""
        lost: dict[Contender, WorkerLostError] = {}
        for contender in self._contenders:
            try:
                self._start(contender)
            except WorkerLostError as error:
                lost[contender] = error
        opened = {contender: lost.get(contender) or self._opened(contender) for contender in self._contenders}
        self._placements = {
            contender: each.placement for contender, each in opened.items() if isinstance(each, Opened)
        }
        return opened

    def prepare(self, contender: Contender, request: Prepare, predicted_s: float) -> Prepared:
        """Bind and warm up a batch.

        Raises:
            CellFailedError, WorkerLostError: this batch cannot be measured.
            BackendLostError: nor can any other of this contender.
        """
        limit_s = self._limit_s(predicted_s + request.warm_up_cap_s)
        prepared = self._ask(contender, lambda worker: worker.prepare(request, limit_s))
        # A fresh worker need not find out again how long it takes until all is steady.
        again = dataclasses.replace(request, warm_up_inferences=FRESH_INFERENCES, warm_up_steady=False)
        self._prepared[contender][_shape_of(request)] = (again, predicted_s)
        return prepared

    def record(self, contender: Contender, request: Record, predicted_s: float) -> Recorded:
        """Keep what a contender computes as a reference, by a process of its own: its worker is then a fresh one.

        Raises:
            CellFailedError, WorkerLostError: it cannot.
        """
        with Worker(self._terms.interruption, self._specs[contender.backend].python) as worker:
            worker.open(self._open_request(contender), self._within_budget_s(_OPEN_LIMIT_S))
            return worker.record(request, self._limit_s(request.run_count * predicted_s))

    def check(self, contender: Contender, request: Check) -> Checked:
        """Compare a contender's outputs with the reference; raises as `prepare` does."""
        return self._ask(contender, lambda worker: worker.check(request, self._limit_s(0.0)))

    def measure(self, contender: Contender, request: Measure, predicted_s: float) -> Measurement:
        """Measure one window; raises as `prepare` does."""

        def ask(worker: Worker) -> Measurement:
            if _shape_of(request) not in self._prepared[contender]:
                raise CellFailedError("error", "a fresh worker could not run this batch again")
            return worker.measure(request, self._limit_s(predicted_s))

        return self._ask(contender, ask)

    def serve(self, contender: Contender, request: Serve, predicted_s: float) -> Served:
        """Replay one trace of arrivals; raises as `prepare` does."""
        # A replay gives up by itself, so that what is predicted is the most that it takes.
        limit_s = predicted_s + self._terms.patience.floor_s
        return self._ask(contender, lambda worker: worker.serve(request, limit_s))

    def cpu_s(self, contender: Contender) -> float | None:
        """Return the CPU time of a contender's worker so far, or None when it is gone."""
        worker = self._workers.get(contender)
        return worker.cpu_s() if worker else None

    def others_cpu_s(self, contender: Contender) -> float:
        """Return the CPU time of all other workers so far; it stands still while they are parked."""
        return sum(worker.cpu_s() or 0.0 for each, worker in self._workers.items() if each != contender)

    def worker_number(self, contender: Contender) -> int:
        """Return which process of a contender is its current one, or was its last; 0 is the first."""
        return max(0, self._started[contender] - 1)

    def replace(self, contender: Contender) -> Worker:
        """Return a fresh worker, in the place of one that is gone.

        Raises:
            BackendLostError: the model does not open any more.
        """
        if error := self.refresh(contender).get(contender):
            raise error
        return self._workers[contender]

    def refresh(self, *gone: Contender) -> dict[Contender, BackendLostError]:
        """Put fresh workers in the places of these, every batch bound and run; return which were lost."""
        for contender in gone:
            if contender in self._workers:
                self._workers.pop(contender).close()
        lost: dict[Contender, BackendLostError] = {}
        # Phase by phase, so that all open at once.
        for do in (self._start_fresh, self._check_fresh, self._prepare_fresh):
            for contender in gone:
                if contender not in lost:
                    try:
                        do(contender)
                    except BackendLostError as error:
                        lost[contender] = error
        return lost

    def _ask(self, contender: Contender, ask: Callable[[Worker], _Reply]) -> _Reply:
        worker = self._workers.get(contender) or self.replace(contender)
        worker.wake()
        try:
            reply = ask(worker)
        except CellFailedError:
            worker.park()
            raise
        except WorkerLostError:
            self._workers.pop(contender).kill()
            raise
        worker.park()
        return reply

    def _start(self, contender: Contender) -> None:
        self._started[contender] += 1
        self._workers[contender] = Worker(self._terms.interruption, self._specs[contender.backend].python)
        self._workers[contender].send("open", self._open_request(contender))

    def _opened(self, contender: Contender) -> Opened | JoulebatchError:
        try:
            opened = self._workers[contender].receive("open", self._within_budget_s(_OPEN_LIMIT_S), Opened)
        except (CellFailedError, WorkerLostError) as error:
            self._workers.pop(contender).kill()
            return error
        self._workers[contender].park()
        return opened

    def _start_fresh(self, contender: Contender) -> None:
        try:
            self._start(contender)
        except WorkerLostError as error:
            raise BackendLostError(f"a fresh worker failed: {error}") from error

    def _check_fresh(self, contender: Contender) -> None:
        opened = self._opened(contender)
        if not isinstance(opened, Opened):
            raise BackendLostError(f"a fresh worker failed: {opened}") from opened
        if opened.placement != self._placements.get(contender):
            # What was proven of the first worker would not hold for this one's figures.
            self._workers.pop(contender).kill()
            raise BackendLostError(
                f"a fresh worker placed the model differently: {opened.placement['label']}"
            )

    def _prepare_fresh(self, contender: Contender) -> None:
        worker = self._workers[contender]
        worker.wake()
        for shape, (request, predicted_s) in list(self._prepared[contender].items()):
            try:
                worker.prepare(request, self._limit_s(predicted_s + request.warm_up_cap_s))
            except CellFailedError:
                del self._prepared[contender][shape]
            except WorkerLostError:
                del self._prepared[contender][shape]
                self._workers.pop(contender).kill()
                self.replace(contender)
                return
        worker.park()

    def _limit_s(self, predicted_s: float) -> float:
        return self._within_budget_s(self._terms.patience.limit_s(predicted_s))

    def _within_budget_s(self, limit_s: float) -> float:
        """Return a limit that no hang can stretch far beyond the time budget."""
        return min(limit_s, max(_LEAST_PATIENCE_S, self._terms.left_s()))

    def _open_request(self, contender: Contender) -> Open:
        file, spec = self._files[contender.variant], self._specs[contender.backend]
        manifest = manifest_path(file.path.parent, file.name, file.variant) if file.manifest else None
        return Open(
            backend=spec.name,
            model_path=str(file.path),
            manifest_path=str(manifest) if manifest else None,
            options=spec.options,
            inputs=tuple(asdict(each) for each in file.inputs),
            seed=self._terms.seed,
            input_values=file.input_values,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers.values():
            worker.kill() if error else worker.close()
