"""RunConfig -> the cells of a run, in seeded order, with predicted times; pure, measures nothing."""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from runner.arrivals.registry import parse_arrivals
from runner.backends.registry import find_backend
from runner.backends.spec import BackendSpec
from runner.config import RunConfig
from runner.contender import Contender, contenders
from runner.durations import predict_inference_s, predict_load_s, smallest_run_s
from runner.errors import UsageError
from runner.gaps import outlasts
from runner.modelfile import ModelFile
from runner.policies.registry import parse_policy
from runner.profiles import Profile, profile_of
from runner.queue.cells import queue_cells
from runner.report.schema import NOT_REACHED, Cell, Load, QueueCell, QueueLoad
from runner.units import duration_text

_OPEN_S = 4.0
"""starting a worker and opening a session, PyTorch's import the slowest of it"""
_SESSION_S = 0.5
"""more for each session, as all open at once: 0.04 s (ShuffleNet) to 1.2 s (ConvNeXt) on 2 cores"""


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """The cells of one model, all its variants together."""

    files: Mapping[str, ModelFile]
    """by variant, in the order asked for; at least one"""
    cells: tuple[Cell, ...]
    predicted_s: float
    """of the smallest run that the profile allows, and of all that the queue replays"""
    queue: tuple[QueueCell, ...] = ()
    """of the batching study, after those of the run"""
    calibrates: bool = False
    """whether idle gaps are measured for a twin, and only where they show"""

    @property
    def file(self) -> ModelFile:
        """The first file: name, inputs, reference and operations are the same for all."""
        return next(iter(self.files.values()))

    @property
    def name(self) -> str:
        """Of the model."""
        return self.file.name

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """Who takes part."""
        return tuple(dict.fromkeys(cell.contender for cell in self.cells))

    def measures(self, cell: Cell, inference_s: float) -> bool:
        """Return whether a run measures this cell: a twin's gaps before the smallest batch, and where they show."""
        if not (self.calibrates and cell.load.gap_s):
            return True
        loads = [each.load for each in self.cells]
        smallest = min(load.batch_size for load in loads)
        return cell.load.batch_size == smallest or not outlasts(inference_s, (load.gap_s for load in loads))

    def block(self, number: int, seed: int) -> list[Cell]:
        """Return the cells in the random order of one block."""
        cells = list(self.cells)
        random.Random(f"{seed}/{self.name}/{number}").shuffle(cells)  # noqa: S311 - an order, no secret
        return cells


def make_plan(
    config: RunConfig, files: Iterable[ModelFile], specs: Sequence[BackendSpec]
) -> tuple[ModelPlan, ...]:
    """Return the plan of each model, in order; files of one name are its variants.

    Raises:
        UsageError: two paces come to the same load, or there is nothing to mix.
    """
    profile = profile_of(config)
    models: dict[str, dict[str, ModelFile]] = defaultdict(dict)
    for file in files:
        models[file.name][file.variant] = file
    return tuple(_plan_model(config, own, specs, profile) for own in models.values())


def _plan_model(
    config: RunConfig, files: Mapping[str, ModelFile], specs: Sequence[BackendSpec], profile: Profile
) -> ModelPlan:
    file, taking_part = next(iter(files.values())), contenders(files, specs)
    cells = tuple(_cells(config, file, taking_part, specs))
    queue = queue_cells(config.queue, file, taking_part, profile.replays) if config.queue else ()
    predicted = {cell.key: predict_load_s(files[cell.variant], cell.load) for cell in cells}
    plan = ModelPlan(files, cells, 0.0, queue, calibrates=config.queue is not None)
    expected = [cell for cell in cells if plan.measures(cell, predicted[cell.key])]
    sessions = len(taking_part)
    opening_s = _OPEN_S * min(sessions, 1) + _SESSION_S * sessions
    recording_s = 0.0 if file.manifest else _OPEN_S  # of the outputs that backends are then compared with
    run_s = profile.workers * opening_s + recording_s + smallest_run_s(expected, predicted, profile)
    replays_s = profile.replays * sum(_guess_replay_s(files[cell.variant], cell.load) for cell in queue)
    return replace(plan, predicted_s=run_s + replays_s)


def _guess_replay_s(file: ModelFile, load: QueueLoad) -> float:
    """Return a first guess at the time of one trace; of a relative load, from the model's operations."""
    arrivals = parse_arrivals(load.arrivals)
    if not arrivals.takes_rate:
        return float(arrivals.times_s(None, load.request_count, np.random.default_rng(0))[-1])
    largest = parse_policy(load.policy).largest_batch
    capacity_hz = largest / predict_inference_s(file, largest)
    return load.request_count / (load.request_rate_hz or (load.relative_load or 1.0) * capacity_hz)


def _cells(
    config: RunConfig, file: ModelFile, taking_part: Iterable[Contender], specs: Sequence[BackendSpec]
) -> Iterable[Cell]:
    ios = {spec.label: find_backend(spec.name).ios for spec in specs}
    for load in _loads(config, file):
        for variant, backend in taking_part:
            for io in ios[backend]:
                yield Cell(
                    key="/".join((file.name, variant, backend, load_label(load), io)),
                    model=file.name,
                    variant=variant,
                    backend=backend,
                    load=load,
                    io=io,
                    status="skipped",
                    reason=NOT_REACHED,
                )


def load_label(load: Load) -> str:
    """Return a load as cells' keys spell it."""
    if load.mixed:
        return f"mix{','.join(map(str, load.mixed))}"
    pace = load.pace_hz
    paced = f"@{int(pace) if pace.is_integer() else pace}" if pace else ""
    return f"b{load.batch_size}{paced}{f'+{duration_text(load.gap_s)}' if load.gap_s else ''}"


def pass_of(sizes: Sequence[int], seed: int) -> tuple[int, ...]:
    """Return the order of batch sizes in a mixed load: drawn once, the same for all models, backends and windows."""
    order = list(sizes)
    random.Random(f"{seed}/mixed").shuffle(order)  # noqa: S311 - an order, no secret
    return tuple(order)


def _loads(config: RunConfig, file: ModelFile) -> Iterable[Load]:
    """Yield the loads of a model: back to back, after gaps, mixed, paced; a fixed batch is the model's only one.

    Raises:
        UsageError: two paces come to the same load, or there is nothing to mix.
    """
    sizes = config.batch_sizes if file.fixed_batch is None else (file.fixed_batch,)
    for gap_s in (0.0, *config.gaps_s):
        yield from (Load(batch_size=size, pace_hz=None, gap_s=gap_s) for size in sizes)
    if config.mixed and len(config.batch_sizes) == 1:
        raise UsageError(
            "Cannot use --mixed",
            expected="two batch sizes or more",
            got=str(config.batch_sizes[0]),
            fix="Add one to --batch-sizes",
        )
    if config.mixed and len(sizes) > 1:
        yield Load(batch_size=sum(sizes), pace_hz=None, mixed=pass_of(sizes, config.seed))
    paced: set[Load] = set()
    for pace in config.paces:
        for size in pace.batch_sizes if pace.batch_sizes and file.fixed_batch is None else sizes[:1]:
            load = Load(batch_size=size, pace_hz=pace.images_per_s)
            if load in paced:
                raise UsageError(
                    "Cannot use --pace",
                    expected="each load once",
                    got=f"{load_label(load)} twice",
                    fix="Drop one",
                )
            paced.add(load)
            yield load
