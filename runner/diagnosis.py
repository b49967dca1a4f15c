"""What this machine can measure: facts for ``joulebatch doctor``."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.backends.interface import Missing
from runner.backends.registry import backend_names, find_backend
from runner.backends.session_options import GRAPH_OPTIONS, THREAD_OPTIONS
from runner.backends.spec import describe
from runner.errors import AbsentError, JoulebatchError
from runner.manifest import exported_models, exported_variants
from runner.meters.gpu_state import SLOWDOWNS, gpu_states
from runner.meters.interface import MeterStatus
from runner.meters.nvml import GpuFacts, gpus
from runner.meters.registry import open_meters
from runner.modelfile import STUDY_MODELS, open_model
from runner.report.environment import read_environment
from runner.report.header import quality_of
from runner.report.schema import Environment
from runner.variants import REFERENCE_VARIANT


@dataclass(frozen=True, slots=True)
class BackendFacts:
    """A backend of the registry, and whether this machine has it."""

    name: str
    summary: str
    options: str
    missing: Missing | None


@dataclass(frozen=True, slots=True)
class GpuDiagnosis:
    """A GPU, and what would make its figures doubtful now."""

    facts: GpuFacts
    slowdowns: tuple[str, ...]
    """why it is slower than anybody asked for"""


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What this machine can measure."""

    environment: Environment
    meters: tuple[MeterStatus, ...]
    gpus: tuple[GpuDiagnosis, ...]
    backends: tuple[BackendFacts, ...]
    models_dir: Path
    models: tuple[tuple[str, str], ...]
    """name, and weights or what is wrong"""


def machine_facts(models_dir: Path) -> MachineFacts:
    """Return what this machine can measure, and which models it has."""
    return MachineFacts(
        read_environment(()),
        meter_facts(),
        gpu_facts(),
        backend_facts(),
        models_dir,
        model_states(models_dir),
    )


def backend_facts() -> tuple[BackendFacts, ...]:
    """Return every backend of the registry; one that does not load is missing."""
    return tuple(_backend_facts(name) for name in backend_names())


def session_option_names() -> tuple[str, ...]:
    """Return the names of the options that sessions of ONNX Runtime take, whatever the provider."""
    return tuple(option.name for option in (*THREAD_OPTIONS, *GRAPH_OPTIONS))


def backend_summaries() -> tuple[tuple[str, str], ...]:
    """Return every backend of the registry that loads, with its summary and the names of its options, for help.

    Unlike the facts, they ask nothing of the machine. SESSION stands for what sessions of ONNX Runtime take.
    """
    found = []
    shared = session_option_names()
    for name in backend_names():
        try:
            backend = find_backend(name)
        except JoulebatchError:
            continue
        names = [option.name for option in backend.options]
        if set(shared) <= set(names):
            names = [*(each for each in names if each not in shared), "SESSION"]
        if backend.passing:
            names.append("the provider's own")
        found.append((name, f"{backend.summary}. Options: {', '.join(names) or 'none'}"))
    return tuple(found)


def _backend_facts(name: str) -> BackendFacts:
    try:
        backend = find_backend(name)
    except JoulebatchError as error:
        return BackendFacts(name, "", "", Missing(str(error), ""))
    options = describe(backend.options) + (
        ", and the provider's own by their names" if backend.passing else ""
    )
    return BackendFacts(name, backend.summary, options, backend.missing())


def meter_facts() -> tuple[MeterStatus, ...]:
    """Return how each domain of energy is read here, or why not."""
    with open_meters("auto") as meters:
        return meters.entries


def gpu_facts() -> tuple[GpuDiagnosis, ...]:
    """Return every GPU of the machine; none where there is no driver, which its meter says."""
    with gpu_states() as read:
        slow = {state.uuid: set(state.throttle_reasons or ()) & set(SLOWDOWNS) for state in read()}
    return tuple(GpuDiagnosis(gpu, tuple(sorted(slow.get(gpu.uuid, ())))) for gpu in gpus())


def model_states(models_dir: Path) -> tuple[tuple[str, str], ...]:
    """Return the models of the study and all that are exported, each with its weights or what is wrong."""
    names = dict.fromkeys((*STUDY_MODELS, *exported_models(models_dir)))
    return tuple((name, _model_state(models_dir, name)) for name in names)


def _model_state(models_dir: Path, name: str) -> str:
    try:
        file = open_model(models_dir, name)
    except AbsentError:
        return f"not exported; run: joulebatch export {name}"
    except JoulebatchError as error:
        return str(error)
    weights = f", weights: {file.manifest.weights.source}" if file.manifest else ""
    return "; ".join((f"verified{weights}", *_variant_states(models_dir, name)))


def _variant_states(models_dir: Path, name: str) -> Iterator[str]:
    """Yield the other variants of a model that are exported, each verified, with what its manifest says of it."""
    for variant in exported_variants(models_dir, name):
        if variant == REFERENCE_VARIANT:
            continue
        try:
            quality = quality_of(open_model(models_dir, name, variant))
        except JoulebatchError as error:
            yield f"{variant}: {error}".removesuffix(".")
        else:
            yield f"{variant}: quality {quality}"
