"""Another variant of an exported model: from the checked fp32 file on the disk, by ONNX Runtime's own tools.

Imports neither torch nor, before they are used, onnx and onnxruntime.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from exporter.calibration import Calibration, calibration_of
from exporter.fp16 import write_fp16
from exporter.int8 import write_int8_dynamic, write_int8_static
from exporter.records import record_of, versions_of
from exporter.staging import publish, staging
from exporter.variant_request import REVISION, TOOLS, VariantRequest
from runner.backends.interface import Array
from runner.derivation import Derivation, FileParity
from runner.errors import AbsentError, FileError
from runner.manifest import Manifest, TensorSpec, manifest_path
from runner.modelfile import ModelFile, open_model
from runner.onnxfile import read_graph
from runner.parity import compare, read_reference
from runner.variants import CLOSENESS


def make_variant(request: VariantRequest, threads: int, on_stage: Callable[[str], None]) -> Manifest:
    """Return the manifest of a variant that was made, checked and put in the models folder.

    One whose outputs are too far from the reference's is put there as well, and its manifest says so: it can be
    measured, and never wins.

    Args:
        request: of which model.
        threads: for ONNX Runtime.
        on_stage: is told what begins.

    Raises:
        JoulebatchError: no fp32 file, nothing that could be converted, an invalid file, or no place to write.
    """
    source = open_model(request.models_dir, request.model)
    name = f"{request.model}.{request.variant}"
    with staging(request.models_dir, name) as folder:
        path = folder / f"{name}.onnx"
        try:
            calibration = _write(request, source, path, on_stage)
            on_stage("check")
            _check(path, name, source)
            parity = _parity(path, request.variant, source, threads)
            on_stage("save")
            return _save(request, source, path, calibration, parity)
        except OSError as error:
            raise FileError(
                f"Cannot export {name}", got=str(error), fix="Free some space or pass another --models-dir"
            ) from error


def _write(
    request: VariantRequest, source: ModelFile, path: Path, on_stage: Callable[[str], None]
) -> Calibration | None:
    """Write the file; return what it was calibrated on, if it was."""
    _require_onnxruntime(request)
    if request.variant == "int8-static":
        on_stage("calibrate")
        calibration = calibration_of(source, request.images)
        write_int8_static(source.path, path, calibration.batches(source.inputs[0].name))
        return calibration
    on_stage("convert")
    {"fp16": write_fp16, "int8-dynamic": write_int8_dynamic}[request.variant](source.path, path)
    return None


def _require_onnxruntime(request: VariantRequest) -> None:
    try:
        import onnxruntime  # noqa: F401, PLC0415 - optional
    except ImportError as error:
        raise AbsentError(
            f"Cannot export {request.label}",
            expected="onnxruntime",
            got="none",
            fix="Install the cpu or the gpu extra",
        ) from error


def _check(path: Path, name: str, source: ModelFile) -> None:
    """Check that a file is valid ONNX, and takes and gives the tensors that the reference does.

    Raises:
        FileError: it is or does not.
    """
    _, made, _ = read_graph(path)
    for has, wanted in ((made.inputs, source.inputs), (made.outputs, source.outputs)):
        got, expected = list(map(_signature, has)), list(map(_signature, wanted))
        if got != expected:
            raise FileError(f"Cannot export {name}", expected=str(expected), got=str(got))


def _signature(tensor: TensorSpec) -> tuple[object, ...]:
    """Return what must be the same; what a dynamic batch is called need not."""
    return tensor.name, tensor.dtype, tensor.has_dynamic_batch, *tensor.shape[1:]


def _parity(path: Path, variant: str, source: ModelFile, threads: int) -> FileParity:
    """Return how near the file comes to the reference outputs, which speaks of the file and not of this machine.

    Without graph optimisations quantised operators run on dequantised tensors. As integers they may saturate on CPUs
    without VNNI (EfficientNet-Lite0: an error of 18 instead of 6 % of the range), which the parity of a run finds.
    """
    assert source.reference_path is not None
    closeness = CLOSENESS[variant]
    inputs, expected = read_reference(source.reference_path)
    result = compare(
        expected, _outputs(path, inputs, threads), closeness.tolerance_ratio, closeness.least_agreement_ratio
    )
    return FileParity(**asdict(result), least_agreement_ratio=closeness.least_agreement_ratio)


def _outputs(path: Path, inputs: dict[str, Array], threads: int) -> dict[str, Array]:
    import onnxruntime as ort  # noqa: PLC0415 - heavy

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return {name: np.asarray(array) for name, array in zip(names, session.run(None, inputs), strict=True)}


def _save(
    request: VariantRequest,
    source: ModelFile,
    path: Path,
    calibration: Calibration | None,
    parity: FileParity,
) -> Manifest:
    """Write the manifest, and put both files in the models folder, the manifest last."""
    assert source.manifest is not None
    manifest = replace(
        source.manifest,
        variant=request.variant,
        file=record_of(path),
        external_data=(),
        versions={**source.manifest.versions, **versions_of(TOOLS)},
        derivation=Derivation(
            revision=REVISION,
            source_sha256=source.sha256,
            calibration=calibration.source if calibration else None,
            calibration_count=len(calibration.images) if calibration else 0,
            parity=parity,
        ),
    )
    described = manifest_path(path.parent, request.model, request.variant)
    described.write_text(manifest.to_json(), encoding="utf-8")
    publish(path.parent, request.models_dir, (path.name, described.name))
    return manifest
