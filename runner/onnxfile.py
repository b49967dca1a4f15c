"""Any ONNX file as a model: what goes in and out, and sizes for its dynamic dimensions."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import AbsentError, FileError, UsageError
from runner.modelfile import ModelFile, TensorSpec, hash_file

if TYPE_CHECKING:
    import onnx

Shapes = Mapping[str, tuple[int, ...]]
"""sizes without the batch, by input name"""


def parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Return input name and sizes from text such as ``images=3x640x640`` (without the batch).

    Raises:
        UsageError: not of that form, or a size below 1.
    """
    name, _, sizes = text.rpartition("=")
    parts = sizes.lower().split("x") if sizes else []
    if not name or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise UsageError(
            "Cannot read --shape",
            expected="NAME=SIZExSIZE without the batch",
            got=repr(text),
            fix="Write for example images=3x640x640",
        )
    return name, tuple(int(part) for part in parts)


def open_onnx(path: Path, shapes: Shapes) -> ModelFile:
    """Return an ONNX file as a model, every dimension but the batch fixed.

    Raises:
        AbsentError, FileError: as `read_onnx`.
        UsageError: a dynamic dimension without a size, or a shape that does not fit.
    """
    file = read_onnx(path)
    return replace(file, inputs=tuple(_with_sizes(path, spec, shapes.get(spec.name)) for spec in file.inputs))


def read_onnx(path: Path) -> ModelFile:
    """Return an ONNX file with its inputs and outputs as declared.

    Raises:
        AbsentError: no such file.
        FileError: not a whole ONNX file, or external data missing or outside the file's folder.
    """
    model, parts = load_graph(path)
    initialized = {tensor.name for tensor in model.graph.initializer}
    inputs = tuple(_spec(path, value) for value in model.graph.input if value.name not in initialized)
    if not inputs:
        raise FileError(
            f"Cannot run {path}", expected="a model with inputs", got="none", fix="Pass another file"
        )
    return ModelFile(
        name=path.stem,
        variant="fp32",
        path=path,
        sha256=_hash(path, parts),
        size_bytes=sum(part.stat().st_size for part in (path, *parts)),
        inputs=inputs,
        outputs=tuple(_spec(path, value) for value in model.graph.output),
        manifest=None,
    )


def load_graph(path: Path) -> "tuple[onnx.ModelProto, tuple[Path, ...]]":
    """Return the checked graph of a file without its external data, and the files that hold those.

    Raises:
        AbsentError, FileError: as `read_onnx`.
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
    import onnx  # noqa: PLC0415 - only needed for files without a manifest

    if not value.type.HasField("tensor_type"):
        kind = value.type.WhichOneof("value").removesuffix("_type")
        raise FileError(
            f"Cannot run {path}",
            expected=f"{value.name!r} to be a tensor",
            got=f"a {kind}",
            fix="Pass a model of tensors",
        )
    tensor = value.type.tensor_type
    dims = tuple(
        dim.dim_value if dim.dim_value > 0 else dim.dim_param or f"{value.name}.{index}"
        for index, dim in enumerate(tensor.shape.dim)
    )
    return TensorSpec(value.name, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name, dims)


def _with_sizes(path: Path, spec: TensorSpec, sizes: tuple[int, ...] | None) -> TensorSpec:
    """Return the input with every dimension but the batch fixed."""
    declared = ", ".join(str(size) for size in spec.shape)
    own = spec.shape[1:]
    if sizes is None:
        if all(isinstance(size, int) for size in own):
            return spec
        sizes_text = "x".join(str(size) if isinstance(size, int) else "N" for size in own)
        raise UsageError(
            f"Cannot run {path}",
            expected=f"sizes for the dynamic dimensions of input {spec.name!r} ({declared})",
            got="none",
            fix=f"Pass --shape {spec.name}={sizes_text} with numbers for N",
        )
    fits = len(sizes) == len(own) and all(
        isinstance(want, str) or want == size for want, size in zip(own, sizes, strict=True)
    )
    if not fits:
        raise UsageError(
            f"Wrong --shape for {path}",
            expected=f"{len(own)} sizes that fit input {spec.name!r} ({declared}) without its batch",
            got="x".join(map(str, sizes)),
            fix="Give one size for each dimension after the first",
        )
    return replace(spec, shape=(*spec.shape[:1], *sizes))
