"""One network -> one checked ONNX file with a dynamic batch axis, its reference and its manifest."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from exporter.catalogue import PUBLICATIONS
from exporter.network import (
    STATE_PREFIX,
    Architecture,
    build_from_checkpoint,
    build_random,
    calibrate,
    describe,
)
from exporter.parity import check_batches, reference_images, reference_outputs
from exporter.records import record_of, versions_of
from exporter.request import RECIPE_REVISION, Request
from exporter.staging import publish, staging
from exporter.weights import Chosen, choose, file_name
from runner.backends.interface import Array
from runner.errors import FileError
from runner.manifest import MANIFEST_SUFFIX, REFERENCE_SUFFIX, Manifest, TensorSpec
from runner.parity import INPUT_PREFIX, OUTPUT_PREFIX
from runner.variants import REFERENCE_VARIANT

INPUT, OUTPUT, BATCH = "input", "logits", "batch"

EXTERNAL_DATA_FROM_BYTES = 2_000_000_000
"""protobuf ends at 2 GiB; the rest is room for the graph"""

_PACKAGES = (
    "joulebatch",
    "torch",
    "torchvision",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "onnxruntime-gpu",
    "numpy",
)


@dataclass(frozen=True, slots=True)
class Filled:
    """A network with its weights and what it computes."""

    module: nn.Module
    chosen: Chosen
    images: Array
    logits: Array
    state: dict[str, Array]
    """calibrated statistics by name"""


def export_model(request: Request, threads: int, on_stage: Callable[[str], None]) -> Manifest:
    """Return the manifest of a network that was exported, checked and put in the models folder.

    Args:
        request: which network, with what weights, to where.
        threads: for PyTorch and ONNX Runtime.
        on_stage: is told what begins.

    Raises:
        JoulebatchError: no weights, a file that does not pass its checks, or no place to write.
    """
    torch.set_num_threads(threads)
    with staging(request.models_dir, request.model) as folder:
        try:
            on_stage("weights")
            architecture = describe(request.model)
            filled = fill(architecture, request)
            on_stage("export")
            inputs, outputs = write_onnx(filled, request, folder)
            on_stage("check")
            path = folder / f"{request.model}.onnx"
            check(path, request.model, inputs + outputs)
            check_batches(path, request.model, filled.images, filled.logits, threads)
            on_stage("save")
            return _save(architecture, filled, request, folder, (inputs, outputs))
        except OSError as error:
            raise FileError(
                f"Cannot export {request.model}",
                got=str(error),
                fix="Free some space or pass another --models-dir",
            ) from error


def fill(architecture: Architecture, request: Request) -> Filled:
    """Return a network with its weights; a reference that proves nothing is refused before the export."""
    name, arguments = architecture.name, architecture.arguments
    chosen = choose(name, architecture.url, request.wanted)
    images = reference_images(architecture.image_size, request.wanted.seed)
    state: dict[str, Array] = {}
    if chosen.checkpoint is None:
        module = build_random(name, arguments, request.wanted.seed)
        state = calibrate(module, images)
    else:
        module = build_from_checkpoint(name, arguments, chosen.checkpoint)
    return Filled(module, chosen, images, reference_outputs(module, images, name), state)


def write_onnx(
    filled: Filled, request: Request, folder: Path
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Write the graph into a folder; return its inputs and outputs."""
    with _collector_paused():
        program = torch.onnx.export(
            filled.module,
            # Two examples: one would let the exporter fix the batch (a vision transformer does).
            (torch.from_numpy(filled.images[:2]),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim(BATCH)},),
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=request.opset,
            external_data=False,
            verbose=False,
        )
    assert program is not None  # only the exporter without dynamo returns nothing
    model = program.model
    # PyTorch notes where its source lies on this machine: of no use elsewhere, and not the same twice.
    for noted in (model.graph, *model.graph, *model.graph.inputs, *model.graph.outputs):
        noted.metadata_props.clear()
    weights = filled.chosen.weights
    model.metadata_props.update(
        {
            "joulebatch.weights": weights.source,
            "joulebatch.weights_kind": weights.kind,
            "joulebatch.seed": str(request.wanted.seed),
            "joulebatch.opset": str(request.opset),
            **{f"joulebatch.version.{name}": number for name, number in versions_of(_PACKAGES).items()},
        }
    )
    size_bytes = sum(
        tensor.const_value.nbytes for tensor in model.graph.initializers.values() if tensor.const_value
    )
    program.save(folder / f"{request.model}.onnx", external_data=size_bytes > EXTERNAL_DATA_FROM_BYTES)
    inputs, outputs = (
        tuple(
            TensorSpec(
                value.name or "",
                value.dtype.numpy().name if value.dtype else "",
                tuple(size if isinstance(size, int) else str(size) for size in value.shape or ()),
            )
            for value in values
        )
        for values in (model.graph.inputs, model.graph.outputs)
    )
    return inputs, outputs


def check(path: Path, model: str, tensors: tuple[TensorSpec, ...]) -> None:
    """Check that a file is valid ONNX and that its batch is dynamic wherever something goes in or out.

    Raises:
        FileError: it is not.
    """
    fixed = [tensor.name for tensor in tensors if not tensor.has_dynamic_batch]
    if fixed:
        raise FileError(
            f"Cannot export {model}",
            expected="a dynamic batch on every input and output",
            got=f"fixed: {fixed}",
        )
    try:
        onnx.checker.check_model(path)
    except onnx.checker.ValidationError as error:
        raise FileError(
            f"Cannot export {model}", expected="valid ONNX", got=str(error).splitlines()[0]
        ) from error


def _save(
    architecture: Architecture,
    filled: Filled,
    request: Request,
    folder: Path,
    tensors: tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]],
) -> Manifest:
    """Write reference and manifest, and put all files in the models folder, the manifest last."""
    model = architecture.name
    reference = f"{model}{REFERENCE_SUFFIX}"
    arrays = {f"{INPUT_PREFIX}{INPUT}": filled.images, f"{OUTPUT_PREFIX}{OUTPUT}": filled.logits}
    arrays |= {f"{STATE_PREFIX}{name}": array for name, array in filled.state.items()}
    np.savez(folder / reference, allow_pickle=False, **arrays)
    external = f"{model}.onnx.data"
    publication = PUBLICATIONS.get(model)
    checkpoint = filled.chosen.checkpoint
    manifest = Manifest(
        model=model,
        variant=REFERENCE_VARIANT,
        file=record_of(folder / f"{model}.onnx"),
        reference=record_of(folder / reference),
        inputs=tensors[0],
        outputs=tensors[1],
        opset=request.opset,
        weights=filled.chosen.weights,
        seed=request.wanted.seed,
        versions=versions_of(_PACKAGES),
        recipe={
            "revision": RECIPE_REVISION,
            "builder": model,
            "arguments": architecture.arguments,
            "checkpoint": None if checkpoint is None else str(checkpoint),
            "checkpoint_bytes": None if checkpoint is None else checkpoint.stat().st_size,
            "published": file_name(architecture.url),
        },
        year=publication.year if publication else None,
        paper=publication.paper if publication else None,
        published_accuracy=architecture.published_accuracy,
        parameter_count=architecture.parameter_count,
        multiply_adds=architecture.multiply_adds,
        external_data=(record_of(folder / external),) if (folder / external).exists() else (),
    )
    manifest_name = f"{model}{MANIFEST_SUFFIX}"
    (folder / manifest_name).write_text(manifest.to_json(), encoding="utf-8")
    data = tuple(record.name for record in manifest.external_data)
    publish(folder, request.models_dir, (*data, manifest.file.name, reference, manifest_name))
    return manifest


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep Python's collector from walking the growing graph again and again: a tenth of an export's time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
