"""What is in an ONNX file and who can run it, for people."""

from pathlib import Path

from rich.console import Console

from runner.diagnosis import model_facts
from runner.modelfile import TensorSpec
from runner.protocol import Opened
from runner.render.numbers import size

_OPERATORS_SHOWN = 12


def show_model(console: Console, path: Path) -> None:
    """Print inputs, outputs, operators and parameters of a file, and where each backend runs it."""
    facts = model_facts(path)
    file = facts.file
    console.print(
        f"{path.name}: {size(file.size_bytes)}, opset {facts.opset}, {facts.parameter_count:,} parameters"
    )
    for role, specs in (("input", file.inputs), ("output", file.outputs)):
        for spec in specs:
            console.print(f"  {role} {_describe(spec)}")
    batch = "dynamic" if file.fixed_batch is None else f"fixed at {file.fixed_batch}"
    console.print(f"  batch {batch}, sha256 {file.sha256[:12]}…")
    listed = ", ".join(f"{count} {name}" for name, count in facts.operators[:_OPERATORS_SHOWN])
    more = len(facts.operators) - _OPERATORS_SHOWN
    console.print(f"  operators: {listed}{f' and {more} more types' if more > 0 else ''}")
    for backend, opened in facts.opened.items():
        if isinstance(opened, Opened):
            nodes = ", ".join(
                f"{count} nodes on {name}" for name, count in opened.placement["nodes_by_provider"].items()
            )
            console.print(f"  {backend}: {opened.placement['label']} ({nodes}, after optimisation)")
        else:
            console.print(f"  {backend}: cannot open it: {opened}")


def _describe(spec: TensorSpec) -> str:
    return f"{spec.name}: {spec.dtype} ({', '.join(str(dim) for dim in spec.shape)})"
