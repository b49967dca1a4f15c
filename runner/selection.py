"""What a configuration selects on this machine: models, backends, meters; everything checked before measuring."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner.arrivals.registry import parse_arrivals
from runner.arrivals.trace import Trace
from runner.backends.registry import backend_names, find_backend
from runner.backends.spec import BackendSpec, parse_specs
from runner.config import RunConfig
from runner.errors import AbsentError, UsageError, nearest
from runner.inputs import Samples, parse_values
from runner.load.image_files import check_images, find_images, hash_images
from runner.load.images import target_of
from runner.meters.estimate import parse_cpu_watts
from runner.meters.recorder import MeterSet
from runner.meters.registry import CHOICES, open_meters
from runner.modelfile import STUDY_MODELS, ModelFile, hash_file, open_model
from runner.onnxfile import open_onnx
from runner.plan import ModelPlan, make_plan
from runner.queue.config import QueueConfig
from runner.shapes import check_input_names
from runner.variants import REFERENCE_VARIANT
from runner.workers.interpreter import Interpreter, probe

DEFAULT_BACKENDS = ("cpu", "torch", "cuda")
"""in this order, as far as the machine has them"""
_BY_SIZE = ("static", "compile", "graphs")
"""options with which the first batch of a size takes long; a queue forms any size, within its served time"""


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
    def notes(self) -> tuple[str, ...]:
        """Which variants are not measured on which backends, for a reader of the report."""
        asked = tuple(dict.fromkeys(file.variant for file in self.files))
        lacking = {
            spec.label: [each for each in asked if each not in find_backend(spec.name).variants]
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


def select_backends(config: RunConfig) -> tuple[BackendSpec, ...]:
    """Return the backends of a run, each known to be there.

    Raises:
        UsageError: a spec that cannot be read, or an interpreter that is unknown or unused.
        AbsentError: a backend or interpreter that was asked for and is not there, with what is missing.
    """
    specs = parse_specs(config.backends)
    interpreters = select_interpreters(config, specs)
    if not specs:
        labels = default_backends(exported_only=not config.onnx_files, variants=_variants(config))
        return parse_specs(labels)
    return tuple(_select_backend(config, spec, interpreters) for spec in specs)


def select_interpreters(config: RunConfig, specs: Sequence[BackendSpec]) -> dict[str, Interpreter]:
    """Return by name the interpreters that these backends run under, each probed.

    Raises:
        UsageError: one that was not given, or that was given and no backend uses.
        AbsentError: one that is not there or of no use.
    """
    for spec in specs:
        if spec.interpreter and spec.interpreter not in config.interpreters:
            known = tuple(config.interpreters)
            raise UsageError(
                f"Unknown interpreter {spec.interpreter!r} in backend {spec.text}",
                fix=f"{f'{nearest(spec.interpreter, known)}. ' if known else ''}"
                f"Say where it is: --interpreter {spec.interpreter}=PATH",
            )
    backends = {
        name: {spec.name for spec in specs if spec.interpreter == name} for name in config.interpreters
    }
    for name, used_by in backends.items():
        if not used_by:
            raise UsageError(
                f"No backend uses interpreter {name!r}",
                fix=f"Add --backend cpu@{name}, or drop --interpreter {name}",
            )
    return {name: probe(name, path, sorted(backends[name])) for name, path in config.interpreters.items()}


def _select_backend(
    config: RunConfig, spec: BackendSpec, interpreters: Mapping[str, Interpreter]
) -> BackendSpec:
    """Return a backend that is there, with the Python that runs it."""
    backend = find_backend(spec.name)
    interpreter = interpreters[spec.interpreter] if spec.interpreter else None
    missing = interpreter.missing[spec.name] if interpreter else backend.missing()
    if missing is None and interpreter and config.queue and config.queue.images:
        missing = interpreter.images
    if missing:
        pip = f". Its own pip is {interpreter.python} -m pip" if interpreter else ""
        raise AbsentError(
            f"Cannot run backend {spec.text}", got=missing.reason, fix=missing.fix.rstrip(".") + pip
        )
    if backend.needs_manifest and config.onnx_files:
        raise UsageError(
            f"Cannot run {config.onnx_files[0]} on {spec.text}",
            expected="a model exported by joulebatch",
            got="a bare ONNX file",
            fix=f"Drop --backend {spec.text}, or pass the model by -m",
        )
    if not set(_variants(config)) & set(backend.variants):
        raise UsageError(
            f"Cannot run {spec.text} here",
            expected=f"--variant {' or '.join(backend.variants)}",
            got=" and ".join(config.variants),
            fix=f"Add --variant {backend.variants[0]}, or drop --backend {spec.text}",
        )
    for name in _BY_SIZE:
        if config.queue and spec.options.get(name) == "on":
            raise UsageError(
                f"Cannot replay a queue on {spec.text}",
                expected="a session that takes batches of any size",
                got="one that is made anew for each size, when it first comes",
                fix=f"Drop {name}=on",
            )
    return replace(spec, python=interpreter.python) if interpreter else spec


def _variants(config: RunConfig) -> tuple[str, ...]:
    """Return the variants of a run; a bare file is what it is, the reference of itself."""
    bare = (REFERENCE_VARIANT,) if config.onnx_files else ()
    return (*config.variants, *bare)


def default_backends(
    *, exported_only: bool, variants: Collection[str] = (REFERENCE_VARIANT,)
) -> tuple[str, ...]:
    """Return the default backends that this machine has, and that can run one of these variants.

    Raises:
        AbsentError: not even the CPU backend.
    """
    if missing := find_backend("cpu").missing():
        raise AbsentError("Cannot run backend cpu", got=missing.reason, fix=missing.fix)
    return tuple(
        name
        for name in DEFAULT_BACKENDS
        if name in backend_names()
        and find_backend(name).missing() is None
        and (exported_only or not find_backend(name).needs_manifest)
        and set(variants) & set(find_backend(name).variants)
    )


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
    names = config.models or (() if config.onnx_files else STUDY_MODELS)
    models = (
        *(tuple(open_model(config.models_dir, name, each) for each in config.variants) for name in names),
        *((open_onnx(path, config.shapes, config.input_values),) for path in config.onnx_files),
    )
    given = [own[0].name for own in models]
    for name in given:
        if (count := given.count(name)) > 1:
            raise UsageError(
                f"Model {name!r} was given {count} times", fix="Give it once, or rename one file"
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
