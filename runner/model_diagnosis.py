"""What is in an ONNX file and which backends can place it: facts for ``joulebatch doctor FILE.onnx``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runner.backend_selection import select_backends
from runner.backends.interface import Missing
from runner.backends.registry import backend_names, find_backend
from runner.backends.spec import BackendSpec, parse_specs
from runner.config import RunConfig
from runner.diagnosis import backend_facts
from runner.errors import FileError, JoulebatchError
from runner.graph.contents import count_operators, count_parameters, stored_bytes
from runner.graph.multiply_adds import MultiplyAdds, count_file
from runner.interruption import Interruption
from runner.modelfile import ModelFile
from runner.onnxfile import read_graph, with_sizes
from runner.shapes import check_input_names, unsized
from runner.workers.crew import Crew, Terms
from runner.workers.interpreter import probe
from runner.workers.protocol import Opened

Answer = Opened | Missing | JoulebatchError
"""what a backend said of a file: it opened it, it is not here, or it cannot"""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is in an ONNX file."""

    file: ModelFile
    """as declared"""
    runnable: ModelFile | None
    """with a size for every dimension but the batch; None where there is none yet"""
    to_run: str
    """what is to be passed to run it, or why it cannot be run; empty where nothing is missing"""
    ir_version: int
    producer: str
    opsets: Mapping[str, int]
    """version by domain, which is empty for ONNX's own"""
    parameter_count: int
    weight_bytes: int
    external_bytes: Mapping[str, int]
    """size of the files beside it that hold weights"""
    operators: Mapping[str, int]
    """count by type, most frequent first"""
    multiply_adds: MultiplyAdds | None
    """of an inference of the smallest batch; None where the inputs' sizes are not known"""
    answers: Mapping[str, Answer]
    """by backend"""


def model_facts(path: Path, config: RunConfig) -> ModelFacts:
    """Return what is in a file, and where its operators run under each backend.

    Args:
        path: of the file.
        config: shapes, values of inputs, backends and interpreters; without backends, all that are here and in the
            interpreters are asked.

    Raises:
        AbsentError, FileError: no file, not a whole ONNX file, or a backend that was asked for and is not here.
        UsageError: a shape or value that does not fit.
    """
    graph, file, parts = read_graph(path)
    runnable, to_run = _sized(file, config)
    return ModelFacts(
        file=file,
        runnable=runnable,
        to_run=to_run,
        ir_version=graph.ir_version,
        producer=f"{graph.producer_name} {graph.producer_version}".strip(),
        opsets=dict(
            sorted(
                ("" if each.domain == "ai.onnx" else each.domain, each.version) for each in graph.opset_import
            )
        ),
        parameter_count=count_parameters(graph),
        weight_bytes=stored_bytes(graph),
        external_bytes={part.name: part.stat().st_size for part in parts},
        operators=count_operators(graph),
        multiply_adds=count_file(graph, runnable) if runnable else None,
        answers=_ask_all(runnable or file, config),
    )


def _sized(file: ModelFile, config: RunConfig) -> tuple[ModelFile | None, str]:
    """Return the file with its sizes, or what keeps it from being run."""
    check_input_names(config.shapes, config.input_values, {spec.name for spec in file.inputs})
    if missing := unsized(file.path, file.inputs, config.shapes):
        return None, missing
    try:
        return with_sizes(file, config.shapes, config.input_values), ""
    except FileError as error:  # it has no inputs, or one of them is no tensor of numbers
        return None, str(error)


def _ask_all(file: ModelFile, config: RunConfig) -> dict[str, Answer]:
    """Return what each backend says of the file."""
    absent: dict[str, Missing] = {}
    specs = select_backends(config) if config.backends else _all_backends(config.interpreters, absent)
    files = {file.variant: file}
    with Interruption() as interruption, Crew(files, specs, Terms(interruption, config.seed)) as crew:
        opened = {contender.backend: each for contender, each in crew.open_all().items()}
    return {**opened, **absent}


def _all_backends(interpreters: Mapping[str, Path], absent: dict[str, Missing]) -> Sequence[BackendSpec]:
    """Return every backend that is here or under another interpreter, and note those that are not here."""
    names = []
    for facts in backend_facts():
        if facts.missing is not None:
            absent[facts.name] = facts.missing
        elif find_backend(facts.name).needs_manifest:
            absent[facts.name] = Missing(
                "it rebuilds models that joulebatch exported", "Export it with joulebatch"
            )
        else:
            names.append(facts.name)
    specs = list(parse_specs(tuple(names)))
    bare = tuple(name for name in backend_names() if _runs_any_file(name))
    for name, path in interpreters.items():
        interpreter = probe(name, path, bare)
        there = tuple(f"{each}@{name}" for each in bare if interpreter.missing[each] is None)
        specs += (replace(spec, python=interpreter.python) for spec in parse_specs(there))
    return specs


def _runs_any_file(name: str) -> bool:
    try:
        return not find_backend(name).needs_manifest
    except JoulebatchError:  # a plugin that does not load: `backend_facts` says why
        return False
