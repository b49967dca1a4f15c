"""What is in an ONNX file and who can run it, for people."""

from collections.abc import Iterator
from itertools import islice

from runner.backends.interface import Missing
from runner.errors import JoulebatchError
from runner.manifest import TensorSpec
from runner.model_diagnosis import ModelFacts
from runner.render import numbers
from runner.render.layout import Section
from runner.shapes import BATCH, declared_dimensions
from runner.workers.protocol import Opened

_OPERATORS_SHOWN = 12
_LONGEST_NAME = 30
_LONGEST_REASON = 300


def model_sections(facts: ModelFacts) -> tuple[Section, ...]:
    """Return inputs, outputs, operators and parameters of a file, and where each backend runs it."""
    file = facts.file
    title = f"{file.path.name}: {numbers.size(file.size_bytes)}, sha256 {file.sha256[:12]}…"
    return (
        Section(title, tuple(_origin(facts))),
        Section("Inputs and outputs", (*_tensors(facts), *_batch(facts))),
        Section("Contents", tuple(_contents(facts))),
        Section("Backends", tuple(_backends(facts))),
    )


def _origin(facts: ModelFacts) -> Iterator[str]:
    opsets = ", ".join(f"{domain} {version}".strip() for domain, version in facts.opsets.items())
    yield f"opset {opsets}; IR version {facts.ir_version}; producer: {facts.producer or 'not said'}"
    files = ", ".join(
        f"{name} ({numbers.size(size_bytes)})" for name, size_bytes in facts.external_bytes.items()
    )
    yield f"weights: {numbers.size(facts.weight_bytes)}{f', outside of the file in {files}' if files else ''}"


def _tensors(facts: ModelFacts) -> Iterator[str]:
    sized = {spec.name: spec for spec in facts.runnable.inputs} if facts.runnable else {}
    for spec in facts.file.inputs:
        run_with = f", run with {_sizes(sized[spec.name])}" if spec.has_symbol and spec.name in sized else ""
        yield f"input {_tensor(spec)}{run_with}"
    yield from (f"output {_tensor(spec)}" for spec in facts.file.outputs)


def _tensor(spec: TensorSpec) -> str:
    """Return a tensor as the file declares it; some exporters write whole formulas for a dimension."""
    dims = (
        dim if len(dim) <= _LONGEST_NAME else f"{dim[:_LONGEST_NAME]}…" for dim in declared_dimensions(spec)
    )
    return f"{spec.name}: {spec.dtype} ({', '.join(dims)})"


def _sizes(spec: TensorSpec) -> str:
    """Return the sizes of an input that is run, with B for the batch."""
    return " x ".join(str(each) if isinstance(each, int) else BATCH for each in spec.shape)


def _batch(facts: ModelFacts) -> Iterator[str]:
    """Yield in words what is dynamic, and what to pass for it."""
    if facts.runnable is None:
        dynamic = any(spec.has_symbol for spec in facts.file.inputs)
        yield f"to run it: {facts.to_run}" if dynamic else facts.to_run
        return
    if facts.runnable.fixed_batch is not None:
        yield f"batch fixed at {facts.runnable.fixed_batch}"
        return
    places = (
        f"dimension {place} of {spec.name}"
        for spec in facts.runnable.inputs
        for place, each in enumerate(spec.shape)
        if isinstance(each, str)
    )
    yield f"batch dynamic: {', '.join(places)}"


def _contents(facts: ModelFacts) -> Iterator[str]:
    listed = ", ".join(
        f"{number} {name}" for name, number in islice(facts.operators.items(), _OPERATORS_SHOWN)
    )
    more = len(facts.operators) - _OPERATORS_SHOWN
    yield f"operators: {listed}{f' and {more} more types' if more > 0 else ''}"
    yield f"parameters: {facts.parameter_count:,} (every stored number but int64, bool and text)"
    yield f"multiply-adds of one image: {_multiply_adds(facts)}"


def _multiply_adds(facts: ModelFacts) -> str:
    counted = facts.multiply_adds
    if counted is None or facts.runnable is None:
        return "known once every dimension has a size"
    images = facts.runnable.fixed_batch or 1
    parts = ", ".join(
        f"{name} {numbers.amount(number / images)}"
        for name, number in sorted(counted.by_operator.items(), key=lambda each: -each[1])
    )
    total = f"{numbers.amount(counted.total / images)}{f' ({parts})' if len(counted.by_operator) > 1 else ''}"
    uncounted = ", ".join(f"{number} {name}" for name, number in sorted(counted.uncounted.items()))
    return f"at least {total}; could not be counted: {uncounted}" if uncounted else total


def _backends(facts: ModelFacts) -> Iterator[str]:
    """Yield what each backend says of the file, and the names of those that could not be asked."""
    absent = []
    for name, answer in facts.answers.items():
        if isinstance(answer, Missing):
            absent.append(name)
        else:
            yield f"{name}: {_answer(answer)}"
    if absent:
        yield f"not here, or not for such a file: {', '.join(absent)}; joulebatch doctor says what each lacks"


def _answer(answer: Opened | JoulebatchError) -> str:
    if isinstance(answer, JoulebatchError):
        said = str(answer)
        # Of a long chain of C++ exceptions the last one says why.
        return f"cannot open it: {said if len(said) <= _LONGEST_REASON else f'…{said[-_LONGEST_REASON:]}'}"
    placement = answer.placement
    nodes = ", ".join(f"{number} nodes on {name}" for name, number in placement["nodes_by_provider"].items())
    heavy = ", ".join(placement["heavy_on_cpu"])
    return f"{placement['label']} ({nodes}, after optimisation{f'; computes on the CPU: {heavy}' if heavy else ''})"
