"""What is in an ONNX file and who can run it, for people."""

from runner.diagnosis import ModelFacts
from runner.errors import JoulebatchError
from runner.modelfile import TensorSpec
from runner.render.layout import Section
from runner.render.numbers import size
from runner.workers.protocol import Opened

_OPERATORS_SHOWN = 12


def model_section(facts: ModelFacts) -> Section:
    """Return inputs, outputs, operators and parameters of a file, and where each backend runs it."""
    file = facts.file
    batch = "dynamic" if file.fixed_batch is None else f"fixed at {file.fixed_batch}"
    listed = ", ".join(f"{count} {name}" for name, count in facts.operators[:_OPERATORS_SHOWN])
    more = len(facts.operators) - _OPERATORS_SHOWN
    return Section(
        f"{file.path.name}: {size(file.size_bytes)}, opset {facts.opset}, {facts.parameter_count:,} parameters",
        lines=(
            *(f"input {_tensor(spec)}" for spec in file.inputs),
            *(f"output {_tensor(spec)}" for spec in file.outputs),
            f"batch {batch}, sha256 {file.sha256[:12]}…",
            f"operators: {listed}{f' and {more} more types' if more > 0 else ''}",
            *(f"{backend}: {_placement(opened)}" for backend, opened in facts.opened.items()),
        ),
    )


def _tensor(spec: TensorSpec) -> str:
    return f"{spec.name}: {spec.dtype} ({', '.join(str(dim) for dim in spec.shape)})"


def _placement(opened: Opened | JoulebatchError) -> str:
    if isinstance(opened, JoulebatchError):
        return f"cannot open it: {opened}"
    counts = opened.placement["nodes_by_provider"].items()
    nodes = ", ".join(f"{count} nodes on {name}" for name, count in counts)
    return f"{opened.placement['label']} ({nodes}, after optimisation)"
