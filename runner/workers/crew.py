"""The workers of one model, one per backend: opened together, asked one at a time, replaced when lost."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf
from types import TracebackType
from typing import Any, Self, TypeVar

from runner.backends.spec import BackendSpec
from runner.errors import JoulebatchError
from runner.interruption import Interruption
from runner.load.warmup import FRESH_INFERENCES
from runner.modelfile import ModelFile, manifest_path
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

_OPEN_LIMIT_S = 600.0
"""gigabytes from a cold disk, or a provider that compiles the model when it is opened"""
_LEAST_PATIENCE_S = 30.0
"""for one reply, however little of the budget is left"""


class BackendLostError(JoulebatchError):
    """A backend cannot open this model, so none of its cells can be measured."""


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
        file: ModelFile,
        specs: Sequence[BackendSpec],
        terms: Terms,
        started: Mapping[str, int] | None = None,
    ) -> None:
        self._file, self._terms = file, terms
        self._specs = {spec.label: spec for spec in specs}
        self._workers: dict[str, Worker] = {}
        self._started = Counter(started)
        """by backend: its processes so far, those of earlier stretches of a resumed run included"""
        self._placements: dict[str, Mapping[str, Any]] = {}
        self._prepared: dict[str, dict[tuple[int, str], tuple[Prepare, float]]] = {
            label: {} for label in self._specs
        }

    def open_all(self) -> dict[str, Opened | JoulebatchError]:
        """Open the model under every backend at once, and return what each said."""
        lost: dict[str, WorkerLostError] = {}
        for label in self._specs:
            try:
                self._start(label)
            except WorkerLostError as error:
                lost[label] = error
        opened = {label: lost.get(label) or self._opened(label) for label in self._specs}
        self._placements = {
            label: each.placement for label, each in opened.items() if isinstance(each, Opened)
        }
        return opened

    def prepare(self, label: str, request: Prepare, predicted_s: float) -> Prepared:
        """Bind and warm up a batch.

        Raises:
            CellFailedError, WorkerLostError: this batch cannot be measured.
            BackendLostError: nor can any other of this backend.
        """
        limit_s = self._limit_s(predicted_s + request.warm_up_cap_s)
        prepared = self._ask(label, lambda worker: worker.prepare(request, limit_s))
        # A fresh worker need not find out again how long it takes until all is steady.
        again = dataclasses.replace(request, warm_up_inferences=FRESH_INFERENCES, warm_up_steady=False)
        self._prepared[label][request.batch_size, request.io] = (again, predicted_s)
        return prepared

    def record(self, label: str, request: Record, predicted_s: float) -> Recorded:
        """Keep what a backend computes as a reference, by a process of its own: its worker is then a fresh one.

        Raises:
            CellFailedError, WorkerLostError: it cannot.
        """
        with Worker(self._terms.interruption, self._specs[label].python) as worker:
            worker.open(self._open_request(label), self._within_budget_s(_OPEN_LIMIT_S))
            return worker.record(request, self._limit_s(request.run_count * predicted_s))

    def check(self, label: str, request: Check) -> Checked:
        """Compare a backend's outputs with the reference; raises as `prepare` does."""
        return self._ask(label, lambda worker: worker.check(request, self._limit_s(0.0)))

    def measure(self, label: str, request: Measure, predicted_s: float) -> Measurement:
        """Measure one window; raises as `prepare` does."""

        def ask(worker: Worker) -> Measurement:
            if (request.batch_size, request.io) not in self._prepared[label]:
                raise CellFailedError("error", "a fresh worker could not run this batch again")
            return worker.measure(request, self._limit_s(predicted_s))

        return self._ask(label, ask)

    def serve(self, label: str, request: Serve, predicted_s: float) -> Served:
        """Replay one trace of arrivals; raises as `prepare` does."""
        # A replay gives up by itself, so that what is predicted is the most that it takes.
        limit_s = predicted_s + self._terms.patience.floor_s
        return self._ask(label, lambda worker: worker.serve(request, limit_s))

    def cpu_s(self, label: str) -> float | None:
        """Return the CPU time of a backend's worker so far, or None when it is gone."""
        worker = self._workers.get(label)
        return worker.cpu_s() if worker else None

    def others_cpu_s(self, label: str) -> float:
        """Return the CPU time of all other backends' workers so far; it stands still while they are parked."""
        return sum(worker.cpu_s() or 0.0 for name, worker in self._workers.items() if name != label)

    def worker_number(self, label: str) -> int:
        """Return which process of a backend is its current one, or was its last; 0 is the first."""
        return max(0, self._started[label] - 1)

    def replace(self, label: str) -> Worker:
        """Return a fresh worker, in the place of one that is gone.

        Raises:
            BackendLostError: the model does not open any more.
        """
        if error := self.refresh(label).get(label):
            raise error
        return self._workers[label]

    def refresh(self, *labels: str) -> dict[str, BackendLostError]:
        """Put fresh workers in the places of these, every batch bound and run; return the backends that were lost."""
        for label in labels:
            if label in self._workers:
                self._workers.pop(label).close()
        lost: dict[str, BackendLostError] = {}
        # Phase by phase, so that all open at once.
        for do in (self._start_fresh, self._check_fresh, self._prepare_fresh):
            for label in labels:
                if label not in lost:
                    try:
                        do(label)
                    except BackendLostError as error:
                        lost[label] = error
        return lost

    def _ask(self, label: str, ask: Callable[[Worker], _Reply]) -> _Reply:
        worker = self._workers.get(label) or self.replace(label)
        worker.wake()
        try:
            reply = ask(worker)
        except CellFailedError:
            worker.park()
            raise
        except WorkerLostError:
            self._workers.pop(label).kill()
            raise
        worker.park()
        return reply

    def _start(self, label: str) -> None:
        self._started[label] += 1
        self._workers[label] = Worker(self._terms.interruption, self._specs[label].python)
        self._workers[label].send("open", self._open_request(label))

    def _opened(self, label: str) -> Opened | JoulebatchError:
        try:
            opened = self._workers[label].receive("open", self._within_budget_s(_OPEN_LIMIT_S), Opened)
        except (CellFailedError, WorkerLostError) as error:
            self._workers.pop(label).kill()
            return error
        self._workers[label].park()
        return opened

    def _start_fresh(self, label: str) -> None:
        try:
            self._start(label)
        except WorkerLostError as error:
            raise BackendLostError(f"a fresh worker failed: {error}") from error

    def _check_fresh(self, label: str) -> None:
        opened = self._opened(label)
        if not isinstance(opened, Opened):
            raise BackendLostError(f"a fresh worker failed: {opened}") from opened
        if opened.placement != self._placements.get(label):
            # What was proven of the first worker would not hold for this one's figures.
            self._workers.pop(label).kill()
            raise BackendLostError(
                f"a fresh worker placed the model differently: {opened.placement['label']}"
            )

    def _prepare_fresh(self, label: str) -> None:
        worker = self._workers[label]
        worker.wake()
        for shape, (request, predicted_s) in list(self._prepared[label].items()):
            try:
                worker.prepare(request, self._limit_s(predicted_s + request.warm_up_cap_s))
            except CellFailedError:
                del self._prepared[label][shape]
            except WorkerLostError:
                del self._prepared[label][shape]
                self._workers.pop(label).kill()
                self.replace(label)
                return
        worker.park()

    def _limit_s(self, predicted_s: float) -> float:
        return self._within_budget_s(self._terms.patience.limit_s(predicted_s))

    def _within_budget_s(self, limit_s: float) -> float:
        """Return a limit that no hang can stretch far beyond the time budget."""
        return min(limit_s, max(_LEAST_PATIENCE_S, self._terms.left_s()))

    def _open_request(self, label: str) -> Open:
        file, spec = self._file, self._specs[label]
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
