"""The workers of one model, one per backend: opened together, asked one at a time, replaced when lost."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from time import monotonic, sleep
from types import TracebackType
from typing import Self, TypeVar

from runner.backends.spec import BackendSpec
from runner.errors import JoulebatchError
from runner.interruption import Interruption
from runner.modelfile import ModelFile, manifest_path
from runner.protocol import Measure, Measurement, Open, Opened, Prepare, Prepared
from runner.workers import CellFailedError, Patience, Worker, WorkerLostError

_Reply = TypeVar("_Reply")

_OPEN_LIMIT_S = 600.0
"""gigabytes from a cold disk, or a provider that compiles the model when it is opened"""
_SETTLE_LIMIT_S = 0.5
_SETTLE_STEP_S = 0.005
_STILL_RATIO = 0.1
"""Share of a step that other workers may compute and still count as resting."""


class BackendLostError(JoulebatchError):
    """A backend cannot open this model, so none of its cells can be measured."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What all workers of a run have in common."""

    interruption: Interruption
    seed: int
    patience: Patience = field(default_factory=Patience)


class Crew:
    """The workers of one model. Use as a context manager."""

    def __init__(self, file: ModelFile, specs: Sequence[BackendSpec], terms: Terms) -> None:
        self._file, self._terms = file, terms
        self._specs = {spec.label: spec for spec in specs}
        self._workers: dict[str, Worker] = {}
        self._prepared: dict[str, dict[tuple[int, str], tuple[Prepare, float]]] = {
            label: {} for label in self._specs
        }

    def open_all(self) -> dict[str, Opened | JoulebatchError]:
        """Open the model under every backend at once, and return what each said."""
        for label, spec in self._specs.items():
            self._start(label).send("open", self._open_request(spec))
        return {label: self._opened(label) for label in self._specs}

    def prepare(self, label: str, request: Prepare, predicted_s: float) -> Prepared:
        """Bind and warm up a batch.

        Raises:
            CellFailedError, WorkerLostError: this batch cannot be measured.
            BackendLostError: nor can any other of this backend.
        """
        limit_s = self._limit_s(predicted_s + request.warm_up_cap_s)
        prepared = self._ask(label, lambda worker: worker.prepare(request, limit_s))
        self._prepared[label][request.batch_size, request.io] = (request, predicted_s)
        return prepared

    def measure(self, label: str, request: Measure, predicted_s: float) -> Measurement:
        """Measure one window; raises as `prepare` does."""
        try:
            return self._ask(label, lambda worker: worker.measure(request, self._limit_s(predicted_s)))
        except (CellFailedError, WorkerLostError):
            self._prepared[label].pop((request.batch_size, request.io), None)
            raise

    def cpu_s(self, label: str) -> float | None:
        """Return the CPU time of a backend's worker so far, or None when it is gone."""
        worker = self._workers.get(label)
        return worker.cpu_s() if worker else None

    def settle(self, label: str) -> bool:
        """Wait until every other worker's CPU clock stands still; return whether it did before the limit."""
        others = [worker for name, worker in self._workers.items() if name != label]
        deadline_s = monotonic() + _SETTLE_LIMIT_S
        before_s = [worker.cpu_s() for worker in others]
        while others:
            step_began_s = monotonic()
            sleep(_SETTLE_STEP_S)
            now_s = [worker.cpu_s() for worker in others]
            spent_s = sum((now or 0.0) - (before or 0.0) for now, before in zip(now_s, before_s, strict=True))
            if spent_s < _STILL_RATIO * (monotonic() - step_began_s):
                return True
            if monotonic() > deadline_s:
                return False
            before_s = now_s
        return True

    def _ask(self, label: str, ask: Callable[[Worker], _Reply]) -> _Reply:
        worker = self._workers.get(label) or self._replace(label)
        try:
            return ask(worker)
        except WorkerLostError:
            self._workers.pop(label).kill()
            raise

    def _start(self, label: str) -> Worker:
        self._workers[label] = Worker(self._terms.interruption)
        return self._workers[label]

    def _opened(self, label: str) -> Opened | JoulebatchError:
        try:
            return Opened(**self._workers[label].receive("open", _OPEN_LIMIT_S))
        except (CellFailedError, WorkerLostError) as error:
            self._workers.pop(label).kill()
            return error

    def _replace(self, label: str) -> Worker:
        """Return a fresh worker in which every batch that worked before is bound and warm again."""
        worker = self._start(label)
        try:
            worker.open(self._open_request(self._specs[label]), _OPEN_LIMIT_S)
            for request, predicted_s in self._prepared[label].values():
                worker.prepare(request, self._limit_s(predicted_s + request.warm_up_cap_s))
        except (CellFailedError, WorkerLostError) as error:
            self._workers.pop(label).kill()
            raise BackendLostError(f"a fresh worker failed too: {error}") from error
        return worker

    def _limit_s(self, predicted_s: float) -> float:
        return self._terms.patience.limit_s(predicted_s)

    def _open_request(self, spec: BackendSpec) -> Open:
        file = self._file
        manifest = manifest_path(file.path.parent, file.name, file.variant) if file.manifest else None
        return Open(
            backend=spec.name,
            model_path=str(file.path),
            manifest_path=str(manifest) if manifest else None,
            reference_path=str(file.reference_path) if file.reference_path else None,
            options=spec.options,
            inputs=tuple(asdict(each) for each in file.inputs),
            seed=self._terms.seed,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers.values():
            worker.kill() if error else worker.close()
