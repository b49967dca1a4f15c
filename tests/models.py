"""Real ONNX files, small enough for a test to make: a convolutional classifier, exported or bare."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from runner.hashing import hash_file
from runner.manifest import REFERENCE_SUFFIX, FileRecord, Manifest, TensorSpec, Weights, manifest_path

SIZE = 16
CLASSES = 10
OPSET = 18

Dimension = int | str | None


def write_onnx(  # noqa: PLR0913 - each a way in which such files differ
    path: Path,
    *,
    batch: Dimension = "batch",
    size: Dimension = SIZE,
    external: bool = False,
    seed: int = 0,
    ballast: int = 0,
) -> onnx.ModelProto:
    """Write a convolution, a pool and a fully connected layer with seeded weights.

    Args:
        path: of the file.
        batch: the first dimension; None has no name.
        size: height and width.
        external: whether weights are in a file of their own.
        seed: of the weights.
        ballast: operators that take time and change no output.
    """
    generator = np.random.default_rng(seed)
    weights = {
        "conv": generator.standard_normal((8, 3, 3, 3), dtype=np.float32) * np.float32(0.2),
        "fc": generator.standard_normal((CLASSES, 8), dtype=np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["input", "conv"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("GlobalAveragePool", ["r"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("Gemm", ["f", "fc"], ["scores" if ballast else "logits"], transB=1),
            *_ballast(ballast),
        ],
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, CLASSES])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.save(model, path, save_as_external_data=external, location=f"{path.name}.data", size_threshold=0)
    return model


def _ballast(count: int) -> Iterator[onnx.NodeProto]:
    """Yield a chain of operators that no optimiser drops, and nothing for 0."""
    for number in range(count):
        yield helper.make_node("Erf", [f"e{number}" if number else "r"], [f"e{number + 1}"])
    if count:
        yield helper.make_node("ReduceMin", [f"e{count}"], ["least"], keepdims=0)
        yield helper.make_node("Constant", [], ["nothing"], value_float=0.0)
        yield helper.make_node("Mul", ["least", "nothing"], ["zero"])
        yield helper.make_node("Add", ["scores", "zero"], ["logits"])


def write_exported(folder: Path, name: str = "tiny") -> Path:
    """Write a model as the exporter leaves it: file, reference and manifest; return the file."""
    import onnxruntime as ort  # noqa: PLC0415 - only tests that run models pay for it

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.onnx"
    write_onnx(path)
    samples = np.random.default_rng(1).standard_normal((8, 3, SIZE, SIZE), dtype=np.float32)
    samples *= np.linspace(0.1, 3, 8, dtype=np.float32)[
        :, None, None, None
    ]  # answers that differ between samples
    (logits,) = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"input": samples})
    reference = folder / f"{name}{REFERENCE_SUFFIX}"
    np.savez(reference, **{"input:input": samples, "output:logits": logits})
    manifest = Manifest(
        model=name,
        variant="fp32",
        file=_record(path),
        reference=_record(reference),
        inputs=(TensorSpec("input", "float32", ("batch", 3, SIZE, SIZE)),),
        outputs=(TensorSpec("logits", "float32", ("batch", CLASSES)),),
        opset=OPSET,
        weights=Weights("random", "random, seed 0", 0),
        seed=0,
        versions={},
        recipe={},
        year=None,
        paper=None,
        published_accuracy={},
        parameter_count=296,
        multiply_adds=60_000,
    )
    manifest_path(folder, name).write_text(manifest.to_json())
    return path


def _record(path: Path) -> FileRecord:
    return FileRecord(path.name, hash_file(path), path.stat().st_size)
