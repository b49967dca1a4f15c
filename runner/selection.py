"""What a configuration selects on this machine: models, backends, meters; everything checked before measuring."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.arrivals.registry import parse_arrivals
from runner.arrivals.trace import Trace
from runner.backend_selection import select_backends
from runner.backends.registry import find_backend
from runner.backends.spec import BackendSpec
from runner.config import RunConfig
from runner.errors import UsageError, nearest
from runner.hashing import hash_file
from runner.inputs import Samples, parse_values
from runner.load.image_files import check_images, find_images, hash_images
from runner.load.images import target_of
from runner.meters.estimate import parse_cpu_watts
from runner.meters.recorder import MeterSet
from runner.meters.registry import CHOICES, open_meters
from runner.modelfile import STUDY_MODELS, ModelFile, open_model
from runner.onnx_models import open_sources
from runner.onnx_sources import parse_source
from runner.plan import ModelPlan, make_plan
from runner.queue.config import QueueConfig
from runner.shapes import check_input_names
from runner.variants import REFERENCE_VARIANT, kind_of


@dataclass(frozen=True, slots=True)
class Selection:
    """What a run is made of, checked before anything is measured."""

    files: tuple[ModelFile, ...]
    specs: tuple[BackendSpec, ...]
    baseline: str
    plan: tuple[ModelPlan, ...]
    images: tuple[Path, ...] = ()
    """that a queue decodes, each of them whole"""
    files_read: Mapping[str, str] = field(default_factory=dict)
    """sha256 of what is read beside the models, by what the command line calls it"""

    @property
    def predicted_s(self) -> float:
        """Of the smallest run of all models."""
        return sum(model.predicted_s for model in self.plan)

    @property
    def notes(self) -> tuple[str, ...]:
        """Which variants are not measured on which backends, for a reader of the report."""
        asked = tuple(dict.fromkeys(file.variant for file in self.files))
        lacking = {
            spec.label: [each for each in asked if kind_of(each) not in find_backend(spec.name).variants]
            for spec in self.specs
        }
        return tuple(
            f"{label} runs {' and '.join(find_backend(spec.name).variants)} only: "
            f"{', '.join(lacking[label])} not measured on it"
            for spec in self.specs
            if lacking[label := spec.label]
        )


def select(config: RunConfig) -> Selection:
    """Return models, backends and plan.

    Raises:
        UsageError, AbsentError, FileError: something that was asked for is unknown, absent or broken.
    """
    check_meters(config)
    specs = select_backends(config)
    files = select_models(config)
    images = select_images(config, files)
    return Selection(
        files,
        specs,
        baseline_of(config, specs),
        make_plan(config, files, specs),
        images,
        dict((*_hash_input_files(config), *_hash_queue_files(config.queue, images))),
    )


def _hash_input_files(config: RunConfig) -> Iterator[tuple[str, str]]:
    for name, text in config.input_values.items():
        match parse_values(text):
            case Samples(path):
                yield f"input {name}={text}", hash_file(path)


def _hash_queue_files(queue: QueueConfig | None, images: Sequence[Path]) -> Iterator[tuple[str, str]]:
    if queue is None:
        return
    arrivals = parse_arrivals(queue.arrivals)
    if isinstance(arrivals, Trace):
        yield f"arrivals {arrivals.spec}", arrivals.sha256
    if images:
        yield f"images {queue.images}", hash_images(images)


def select_models(config: RunConfig) -> tuple[ModelFile, ...]:
    """Return the models of a run, each verified, all variants of one beside each other.

    Raises:
        UsageError, AbsentError, FileError: a model that is unknown, absent or broken.
    """
    if config.onnx_files and not config.models and config.variants != (REFERENCE_VARIANT,):
        raise UsageError(
            f"Cannot run --variant {config.variants[0]} of {config.onnx_files[0]}",
            expected="a model exported by joulebatch",
            got="a bare ONNX file",
            fix="Drop --variant, or pass the model by -m",
        )
    if config.allow_other_outputs and not any(parse_source(text).label for text in config.onnx_files):
        raise UsageError(
            "Cannot use --allow-other-outputs",
            expected="--onnx files with labels, which are one model",
            got="none",
            fix="Label them: --onnx base=FILE --onnx new=FILE",
        )
    names = config.models or (() if config.onnx_files else STUDY_MODELS)
    models = (
        *(tuple(open_model(config.models_dir, name, each) for each in config.variants) for name in names),
        *open_sources(config.onnx_files, config.shapes, config.input_values),
    )
    given = [own[0].name for own in models]
    for name in given:
        if (count := given.count(name)) > 1:
            raise UsageError(
                f"Model {name!r} was given {count} times",
                fix="Give it once, rename a file, or label those that are one model: --onnx base=FILE --onnx new=FILE",
            )
    files = tuple(file for own in models for file in own)
    inputs = {spec.name for file in files if file.manifest is None for spec in file.inputs}
    check_input_names(config.shapes, config.input_values, inputs)
    return files


def select_images(config: RunConfig, files: Sequence[ModelFile]) -> tuple[Path, ...]:
    """Return the images that a queue decodes, after opening each of them; none where inputs are ready.

    Raises:
        AbsentError: Pillow is not installed.
        FileError: no folder of images, or one that cannot be read.
        UsageError: a model that takes no images.
    """
    if config.queue is None or config.queue.images is None:
        return ()
    for file in files:
        target_of(file.inputs)
    images = find_images(config.queue.images)[: config.queue.requests]  # reading more would only take time
    check_images(images)
    return tuple(path.absolute() for path in images)


def baseline_of(config: RunConfig, specs: tuple[BackendSpec, ...]) -> str:
    """Return the label of the baseline: the first backend unless asked otherwise.

    Raises:
        UsageError: it is none of the run's backends.
    """
    if config.baseline is None:
        return specs[0].label
    for spec in specs:
        if config.baseline in (spec.label, spec.text):
            return spec.label
    raise UsageError(
        f"Unknown --baseline {config.baseline!r}",
        fix=nearest(config.baseline, tuple(spec.label for spec in specs)),
    )


def check_meters(config: RunConfig) -> None:
    """Check that the meter settings can be read, without opening a meter.

    Raises:
        UsageError: an unknown meter, or watts that are none.
    """
    if config.meter.lower() not in CHOICES:
        raise UsageError(f"Unknown meter {config.meter!r}", fix=nearest(config.meter, CHOICES))
    if config.cpu_watts:
        parse_cpu_watts(config.cpu_watts)


def select_meters(config: RunConfig) -> MeterSet:
    """Return the meters of a run.

    Raises:
        UsageError, AbsentError: a meter that is unknown, or asked for and absent.
    """
    return open_meters(config.meter, parse_cpu_watts(config.cpu_watts) if config.cpu_watts else None)
