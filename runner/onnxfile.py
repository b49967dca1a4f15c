"""Any ONNX file as a model: what is in it, and what goes in and out."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from runner.backends.batch import NO_NAMES
from runner.errors import AbsentError, FileError
from runner.graph.contents import count_parameters
from runner.graph.multiply_adds import count_file
from runner.hashing import hash_file
from runner.inputs import check_values, is_number_type
from runner.manifest import TensorSpec
from runner.modelfile import Counts, ModelFile
from runner.shapes import Shapes, batch_and_sizes
from runner.variants import REFERENCE_VARIANT

if TYPE_CHECKING:
    import onnx

_NO_VALUES: Mapping[str, str] = MappingProxyType({})


def open_onnx(path: Path, shapes: Shapes, values: Mapping[str, str] = _NO_VALUES) -> ModelFile:
    """Return an ONNX file as a model that can be run, every dimension but the batch fixed.

    Args:
        path: of the file.
        shapes: sizes by input name; names of no input are ignored.
        values: what inputs hold, by input name; likewise.

    Raises:
        AbsentError, FileError: as `read_graph`; or no inputs, or an input or output that is no tensor of numbers.
        UsageError: a dynamic dimension without a size, a shape that does not fit, or values that do not.
    """
    model, file, _ = read_graph(path)
    file = with_sizes(file, shapes, values)
    counted = count_file(model, file)
    known = None if counted.uncounted else counted.total // (file.fixed_batch or 1)
    return replace(file, counts=Counts(opset_version(model), count_parameters(model), known))


def with_sizes(file: ModelFile, shapes: Shapes, values: Mapping[str, str] = _NO_VALUES) -> ModelFile:
    """Return a file that was read as a model that can be run; raises as `open_onnx` does."""
    if not file.inputs:
        raise FileError(
            f"Cannot run {file.path}", expected="a model with inputs", got="none", fix="Pass another file"
        )
    for what, specs in (("input", file.inputs), ("output", file.outputs)):
        for spec in specs:
            _check_numbers(file.path, spec, what)
    inputs = batch_and_sizes(file.path, file.inputs, shapes)
    own = {spec.name: check_values(spec, values[spec.name]) for spec in inputs if spec.name in values}
    return replace(file, inputs=inputs, input_values=own)


def _check_numbers(path: Path, spec: TensorSpec, what: str) -> None:
    if not is_number_type(spec.dtype):
        raise FileError(
            f"Cannot run {path}",
            expected=f"{what} {spec.name!r} to be a tensor of numbers that numpy has",
            got=spec.dtype,
            fix="Export it with tensors of numbers in and out",
        )


def read_graph(path: Path) -> "tuple[onnx.ModelProto, ModelFile, tuple[Path, ...]]":
    """Return the checked graph of an ONNX file, the file with inputs and outputs as declared, and its external files.

    Raises:
        AbsentError: no such file.
        FileError: not a whole ONNX file, or external data missing or outside the file's folder.
    """
    model, parts = load_graph(path)
    initialized = {tensor.name for tensor in model.graph.initializer}
    file = ModelFile(
        name=path.stem,
        variant=REFERENCE_VARIANT,
        path=path,
        sha256=_hash(path, parts),
        size_bytes=sum(part.stat().st_size for part in (path, *parts)),
        inputs=tuple(_spec(path, value) for value in model.graph.input if value.name not in initialized),
        outputs=tuple(_spec(path, value) for value in model.graph.output),
        manifest=None,
    )
    return model, file, parts


def load_graph(path: Path) -> "tuple[onnx.ModelProto, tuple[Path, ...]]":
    """Return the checked graph of a file without its external data, and the files that hold those.

    Raises:
        AbsentError, FileError: as `read_graph`.
    """
    import onnx  # noqa: PLC0415 - only needed for files without a manifest
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - the same

    if not path.is_file():
        raise AbsentError(f"Cannot open {path}", expected="an ONNX file", got="no file", fix="Check the path")
    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)  # whatever its suffix says
        parts = _external_files(path, model)
        onnx.checker.check_model(str(path.resolve()))
    except (DecodeError, onnx.checker.ValidationError, OSError, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()
        raise FileError(
            f"Cannot open {path}",
            expected="a whole ONNX file",
            got=reason[0] if reason else "an empty one",
            fix="Export it again",
        ) from error
    return model, parts


def opset_version(model: "onnx.ModelProto") -> int | None:
    """Return the version of the default operator set that a graph imports."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), None)


def _hash(path: Path, parts: tuple[Path, ...]) -> str:
    """Return the SHA-256 of the file, or with external data of all files' hashes in order."""
    hashes = [hash_file(each) for each in (path, *parts)]
    return hashes[0] if not parts else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _external_files(path: Path, model: "onnx.ModelProto") -> tuple[Path, ...]:
    from onnx.external_data_helper import (  # noqa: PLC0415 - only needed for files without a manifest
        ExternalDataInfo,
        _get_all_tensors,
        uses_external_data,
    )

    folder = path.resolve().parent
    found: dict[Path, None] = {}
    for tensor in _get_all_tensors(model):
        if not uses_external_data(tensor):
            continue
        location = ExternalDataInfo(tensor).location
        part = (folder / location).resolve()
        if not part.is_relative_to(folder):
            raise FileError(
                f"Cannot open {path}",
                expected="external data in its own folder",
                got=repr(location),
                fix="Save the model with its data beside it",
            )
        if not part.is_file():
            raise FileError(
                f"Cannot open {path}",
                expected=f"its external data {location} beside it",
                got="no such file",
                fix="Copy both files together",
            )
        found[part] = None
    return tuple(found)


def _spec(path: Path, value: "onnx.ValueInfoProto") -> TensorSpec:
    """Return an input or output as declared; one that is no tensor says so in the place of its type."""
    name = _text(path, value.name)
    if not value.type.HasField("tensor_type"):
        return TensorSpec(name, _type_name(value.type), ())
    dims = tuple(
        dim.dim_value if dim.dim_value > 0 else _symbol(name, index, _text(path, dim.dim_param))
        for index, dim in enumerate(value.type.tensor_type.shape.dim)
    )
    return TensorSpec(name, _element_type(value.type.tensor_type.elem_type), dims)


def _text(path: Path, name: str | bytes) -> str:
    """Return a name; protobuf passes one that is no UTF-8 on as bytes."""
    if isinstance(name, bytes):
        raise FileError(
            f"Cannot open {path}",
            expected="a whole ONNX file",
            got=f"the name {name!r}, which is no UTF-8",
            fix="Export it again",
        )
    return name


def _symbol(name: str, index: int, written: str) -> str:
    """Return the name of a symbolic dimension; one without has a name that no other has."""
    return f"{name}.{index}" if written in NO_NAMES else written


def _type_name(kind: "onnx.TypeProto") -> str:
    """Return a type as ONNX writes it, such as ``sequence(map(int64, float32))``."""
    match kind.WhichOneof("value"):
        case "tensor_type":
            return _element_type(kind.tensor_type.elem_type)
        case "sequence_type":
            return f"sequence({_type_name(kind.sequence_type.elem_type)})"
        case "optional_type":
            return f"optional({_type_name(kind.optional_type.elem_type)})"
        case "map_type":
            key = _element_type(kind.map_type.key_type)
            return f"map({key}, {_type_name(kind.map_type.value_type)})"
        case other:
            return str(other).removesuffix("_type")


def _element_type(number: int) -> str:
    """Return numpy's name of an element type, or ONNX's for those that numpy lacks."""
    import onnx  # noqa: PLC0415 - only needed for files without a manifest

    if number == onnx.TensorProto.STRING:
        return "string"
    try:
        return str(onnx.helper.tensor_dtype_to_np_dtype(number).name)
    except KeyError:
        return f"type {number}"
