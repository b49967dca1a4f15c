"""RunConfig -> the cells of a run, in seeded order, with predicted times; pure, measures nothing."""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf

import numpy as np

from runner.arrivals.registry import parse_arrivals
from runner.backends.registry import find_backend
from runner.backends.spec import BackendSpec
from runner.config import RunConfig
from runner.contender import Contender, contenders
from runner.errors import UsageError
from runner.load.warmup import FRESH_INFERENCES, VISIT_S, WarmUpRule
from runner.machine.cpu import usable_cores
from runner.modelfile import ModelFile
from runner.policies.registry import parse_policy
from runner.queue.cells import queue_cells
from runner.report.schema import NOT_REACHED, Cell, Load, QueueCell, QueueLoad
from runner.units import duration_text

WINDOW_S = 0.1
"""Length of a window without an energy meter: for the same total time short and long windows do equally well, and
short ones alternate sooner."""
MIN_INFERENCES = 3
"""A window is a mean; in one of two inferences, a single disturbed one would be half of it."""
CALIBRATION_BLOCKS = 3
"""That tell a queue what its batches take. Another one goes before each block of the queue: a machine's speed wanders,
and the twin is to know the one that its queue was served by."""
LONGEST_SHARED_WINDOW = 4.0
"""Contenders of a load share one inference count until the slowest would take this many target windows for it."""

_ASK_S = 0.01
"""around a visit: waking and parking the worker, reading the machine, the journal's way to the disk"""
_OPEN_S = 4.0
"""starting a worker and opening a session, PyTorch's import the slowest of it"""
_SESSION_S = 0.5
"""more for each session, as all open at once: 0.04 s (ShuffleNet) to 1.2 s (ConvNeXt) on 2 cores"""
_MULTIPLY_ADDS_PER_CORE_S = 25e9
"""fp32 with 256-bit vectors, as networks reach it; the first inferences replace this guess"""
_CALL_S = 0.002
"""what operations do not explain: ShuffleNet takes up to 2.8 ms at batch 1, its 40 million under 1 ms of it"""
_UNKNOWN_MULTIPLY_ADDS = 1_000_000_000
"""of a file whose operations cannot be counted, until its first inference"""


@dataclass(frozen=True, slots=True)
class Profile:
    """How much effort a run makes, and what it may claim."""

    name: str
    min_blocks: int
    max_blocks: float
    """no end where a time budget is the end"""
    warm_up: WarmUpRule
    workers: int
    """fresh processes of each backend that the fewest blocks are spread over; more blocks take more of them"""
    replays: int = 0
    """windows of each queue cell, where a queue was asked for"""

    @property
    def blocks_each(self) -> float:
        """Blocks by one set of workers, one of each backend; no end where there is one set."""
        return ceil(max(self.min_blocks, self.replays) / self.workers) if self.workers > 1 else inf


PROFILES: Mapping[str, Profile] = {
    "quick": Profile("quick", 3, 10, WarmUpRule(2, 1.0, steady=False), workers=1),
    "standard": Profile("standard", 10, 200, WarmUpRule(2, 10.0, steady=True), workers=5),
    "publication": Profile("publication", 30, 1000, WarmUpRule(2, 60.0, steady=True), workers=10),
}
"""Blocks, warm-up and workers.

The upper limits of blocks only end a run whose target no number of blocks would reach. Two or three blocks each make
fresh workers, which take about as long as half a block, worth their time; five sets are the fewest whose t is below 3.
"""


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

    def block(self, number: int, seed: int) -> list[Cell]:
        """Return the cells in the random order of one block."""
        cells = list(self.cells)
        random.Random(f"{seed}/{self.name}/{number}").shuffle(cells)  # noqa: S311 - an order, no secret
        return cells


def profile_of(config: RunConfig) -> Profile:
    """Return the profile that was asked for; with ``--workers`` its fewest blocks are as many for each of them.

    Whoever gives ``standard`` or ``publication`` a time budget says when to end; a count of blocks would end it before.
    """
    profile = PROFILES[config.profile]
    if config.queue and config.queue.policies:
        replays = profile.min_blocks
        profile = replace(
            profile, min_blocks=CALIBRATION_BLOCKS, max_blocks=CALIBRATION_BLOCKS, replays=replays
        )
    elif config.time_budget_s is not None and profile.warm_up.steady:
        profile = replace(profile, max_blocks=inf)
    if config.workers is None:
        return profile
    if profile.replays:
        return replace(profile, workers=config.workers, replays=_whole(profile.replays, config.workers))
    fewest = _whole(profile.min_blocks, config.workers)
    most = max(profile.max_blocks, fewest)
    return replace(profile, workers=config.workers, min_blocks=fewest, max_blocks=most)


def _whole(blocks: int, workers: int) -> int:
    """Return the fewest blocks, and no less, of which each worker takes as many."""
    return workers * ceil(blocks / workers)


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
    predicted = {cell.key: predict_load_s(file, cell.load) for cell in cells}
    sessions = len(taking_part)
    opening_s = _OPEN_S * min(sessions, 1) + _SESSION_S * sessions
    recording_s = 0.0 if file.manifest else _OPEN_S  # of the outputs that backends are then compared with
    run_s = profile.workers * opening_s + recording_s + smallest_run_s(cells, predicted, profile)
    replays_s = profile.replays * sum(_guess_replay_s(file, cell.load) for cell in queue)
    return ModelPlan(files, cells, run_s + replays_s, queue)


def _guess_replay_s(file: ModelFile, load: QueueLoad) -> float:
    """Return a first guess at the time of one trace; of a relative load, from the model's operations."""
    arrivals = parse_arrivals(load.arrivals)
    if not arrivals.takes_rate:
        return float(arrivals.times_s(None, load.request_count, np.random.default_rng(0))[-1])
    largest = parse_policy(load.policy).largest_batch
    capacity_hz = largest / predict_inference_s(file, largest)
    return load.request_count / (load.request_rate_hz or (load.relative_load or 1.0) * capacity_hz)


def predict_inference_s(file: ModelFile, batch_size: int) -> float:
    """Return a first guess at the time of one inference, from the model's operations."""
    operations = _UNKNOWN_MULTIPLY_ADDS if file.multiply_adds is None else file.multiply_adds
    return _CALL_S + batch_size * operations / (_MULTIPLY_ADDS_PER_CORE_S * usable_cores())


def predict_load_s(file: ModelFile, load: Load) -> float:
    """Return a first guess at the time of one inference of a load, or of one pass of a mixed one."""
    return sum(predict_inference_s(file, size) for size in load.sizes)


def smallest_run_s(cells: Iterable[Cell], inference_s: Mapping[str, float], profile: Profile) -> float:
    """Return the time for preparing these cells and for the fewest blocks of the plainest windows."""
    total_s = 0.0
    for cell in cells:
        each_s = inference_s[cell.key]
        if not cell.load.has_gaps:  # others use what was warmed up for these
            total_s += each_s + profile.warm_up.least_s(each_s)
            total_s += (profile.workers - 1) * (1 + FRESH_INFERENCES) * each_s
        total_s += profile.min_blocks * visit_s(cell, each_s, fewest_inferences(cell, each_s, WINDOW_S, 1))
    return total_s


def fewest_inferences(cell: Cell, inference_s: float, window_s: float, floor: int) -> int:
    """Return how many inferences, or pacing periods, fill a window."""
    return max(floor, ceil(window_s / step_s(cell.load, inference_s)))


def period_s(load: Load) -> float | None:
    """Return the time from one inference to the next at a pace; None back to back."""
    return None if load.pace_hz is None else load.batch_size / load.pace_hz


def step_s(load: Load, inference_s: float) -> float:
    """Return the time from one inference to the next: the period of a pace, or what an inference and its gap take."""
    return period_s(load) or inference_s + load.gap_s


def visit_s(cell: Cell, inference_s: float, count: int) -> float:
    """Return the predicted time of one visit: asking, the untimed begin, the window."""
    return _ASK_S + untimed_s(cell, inference_s) + timed_s(cell, inference_s, count)


def untimed_s(cell: Cell, inference_s: float) -> float:
    """Return the predicted time of the begin of a visit: whole inferences without gaps, else one with its gap."""
    if not cell.load.has_gaps:
        return inference_s * ceil(VISIT_S / inference_s)
    return timed_s(cell, inference_s, 1)


def timed_s(cell: Cell, inference_s: float, count: int) -> float:
    """Return the predicted time of a window; a pace above capacity is not kept up."""
    return count * max(inference_s, step_s(cell.load, inference_s))


def share_windows(
    cells: Sequence[Cell],
    inference_s: Mapping[str, float],
    window_s: float,
    floor: int,
    longest: float = LONGEST_SHARED_WINDOW,
) -> dict[str, int]:
    """Return the inferences per window of each cell: one count for all contenders of a load.

    The fastest contender's window lasts ``window_s``. One for which that count would take over ``longest`` times
    as long gets a count of its own, because one GPU must not make CPUs crawl.
    """
    counts: dict[str, int] = {}
    for load in {cell.load for cell in cells}:
        peers = [cell for cell in cells if cell.load == load]
        shared = max(fewest_inferences(cell, inference_s[cell.key], window_s, floor) for cell in peers)
        for cell in peers:
            each_s = step_s(load, inference_s[cell.key])
            longest_s = longest * max(window_s, each_s * floor)
            fits = shared * each_s <= longest_s
            counts[cell.key] = shared if fits else max(floor, ceil(longest_s / each_s))
    return counts


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
