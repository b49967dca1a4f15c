"""Sizes for the dynamic dimensions of any ONNX file, and which of them is the batch.

The rule: what ``--shape`` writes as B is the batch. Where it says nothing, a symbolic dimension in front of an input
is, and with it every dimension of that name. Any other symbolic dimension needs a size, which dimensions of one name
share.

Every input's front counts, whatever its name: tf2onnx and Paddle2ONNX name each dimension of a graph differently.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from runner.errors import UsageError, nearest
from runner.manifest import TensorSpec

Size = int | Literal["B"]
"""of a dimension, or where the batch goes"""
Shapes = Mapping[str, tuple[Size, ...]]
"""sizes by input name: of every dimension, or of all after the first"""
BATCH: Literal["B"] = "B"


def parse_shape(text: str) -> tuple[str, tuple[Size, ...]]:
    """Return input name and sizes from text such as ``images=3x640x640`` or ``state=2xBx128``.

    Raises:
        UsageError: not of that form, a size below 1, or several batches.
    """
    name, _, sizes = text.rpartition("=")
    parts = sizes.upper().split("X") if sizes else []
    known = all(part == BATCH or (part.isascii() and part.isdigit() and int(part) > 0) for part in parts)
    if not name or not parts or not known or parts.count(BATCH) > 1:
        raise UsageError(
            "Cannot read --shape",
            expected="NAME=SIZExSIZE without the batch, or every dimension with B where the batch goes",
            got=repr(text),
            fix="Write for example images=3x640x640 or state=2xBx128",
        )
    return name, tuple(BATCH if part == BATCH else int(part) for part in parts)


def batch_and_sizes(path: Path, inputs: Sequence[TensorSpec], shapes: Shapes) -> tuple[TensorSpec, ...]:
    """Return the inputs with a size for every dimension but the batch, which keeps its name.

    Raises:
        UsageError: a dynamic dimension without a size, or a shape that does not fit.
    """
    sizes = _sizes(path, inputs, shapes)
    sized = tuple(
        replace(spec, shape=tuple(_resolve(size, sizes) for size in spec.shape))
        for spec in inputs
        if not _open_dimensions(spec, sizes)
    )
    if len(sized) < len(inputs):
        wanting = tuple(spec for spec in inputs if _open_dimensions(spec, sizes))
        raise UsageError(
            f"Cannot run {path}",
            expected="sizes for the dynamic dimensions of "
            + " and ".join(f"input {spec.name!r} ({declared(spec)})" for spec in wanting),
            got="none",
            fix=f"Pass {size_hint(inputs, wanting)}",
        )
    for spec in sized:
        if sum(isinstance(size, str) for size in spec.shape) > 1:
            raise UsageError(
                f"Cannot run {path}",
                expected=f"one batch dimension of input {spec.name!r}",
                got=declared(spec),
                fix="Say with --shape which size each dimension has",
            )
    return sized


def unsized(path: Path, inputs: Sequence[TensorSpec], shapes: Shapes) -> str:
    """Return what is to be passed so that every dimension but the batch has a size; nothing where each has.

    Raises:
        UsageError: a shape that does not fit.
    """
    sizes = _sizes(path, inputs, shapes)
    return size_hint(inputs, tuple(spec for spec in inputs if _open_dimensions(spec, sizes)))


def size_hint(inputs: Sequence[TensorSpec], wanting: Sequence[TensorSpec]) -> str:
    """Return the ``--shape`` to pass for the inputs that want one, with N for what is to be chosen."""
    if not wanting:
        return ""
    flags = " ".join(f"--shape {_hint(spec)}" for spec in wanting)
    maybe_batch = any(not spec.has_dynamic_batch for spec in wanting) and len(inputs) > 1
    return f"{flags} with numbers for N{', or B where the batch is' if maybe_batch else ''}"


def _hint(spec: TensorSpec) -> str:
    own = spec.shape[1:] if spec.has_dynamic_batch else spec.shape
    return f"{spec.name}={'x'.join('N' if isinstance(size, str) else str(size) for size in own)}"


def _sizes(path: Path, inputs: Sequence[TensorSpec], shapes: Shapes) -> dict[str, Size]:
    """Return what is known of each symbolic dimension: its size, or that it is the batch."""
    sizes: dict[str, Size] = {}
    for spec in inputs:
        for symbol, size in _given(path, spec, shapes.get(spec.name)).items():
            if sizes.setdefault(symbol, size) != size:
                raise UsageError(
                    f"Wrong --shape for {path}",
                    expected=f"one size for all dimensions {symbol!r}",
                    got=f"{sizes[symbol]} and {size}",
                    fix="Make them equal",
                )
    for spec in inputs:
        if spec.has_dynamic_batch:
            sizes.setdefault(str(spec.shape[0]), BATCH)
    return sizes


def _open_dimensions(spec: TensorSpec, sizes: Mapping[str, Size]) -> bool:
    return any(isinstance(size, str) and size not in sizes for size in spec.shape)


def _resolve(size: int | str, sizes: Mapping[str, Size]) -> int | str:
    if isinstance(size, int) or sizes[size] == BATCH:
        return size
    return sizes[size]


def _given(path: Path, spec: TensorSpec, shape: tuple[Size, ...] | None) -> dict[str, Size]:
    """Return the sizes that ``--shape`` gives to the symbolic dimensions of an input."""
    if shape is None:
        return {}
    dims = spec.shape if len(shape) == len(spec.shape) else spec.shape[1:]
    pairs = tuple(zip(dims, shape, strict=True)) if len(dims) == len(shape) else ()
    if not pairs or not all(isinstance(want, str) or want == size for want, size in pairs):
        after_first = (
            f"{len(spec.shape) - 1} sizes after the first dimension, or " if len(spec.shape) > 1 else ""
        )
        raise UsageError(
            f"Wrong --shape for {path}",
            expected=f"{after_first}{len(spec.shape)} that fit input {spec.name!r} ({declared(spec)})",
            got="x".join(map(str, shape)),
            fix="Give one size for each dimension",
        )
    return {want: size for want, size in pairs if isinstance(want, str)}


def declared(spec: TensorSpec) -> str:
    """Return the dimensions of a tensor as the file has them; one without a name is a question mark."""
    return ", ".join(declared_dimensions(spec))


def declared_dimensions(spec: TensorSpec) -> tuple[str, ...]:
    """Return each dimension of `declared`."""
    names = (str(size) for size in spec.shape)
    return tuple("?" if size == f"{spec.name}.{place}" else size for place, size in enumerate(names))


def check_input_names(shapes: Iterable[str], values: Iterable[str], known: Collection[str]) -> None:
    """Check that sizes and values are those of inputs that there are.

    Args:
        shapes: names in ``--shape``.
        values: names in ``--input``.
        known: the inputs of all files without a manifest, whose sizes and values are not known otherwise.

    Raises:
        UsageError: one that is of none, or of an exported model.
    """
    for option, names in (("--shape", shapes), ("--input", values)):
        for name in names:
            if not known:
                raise UsageError(
                    f"Cannot use {option} {name}", expected="an --onnx file", got="none", fix=f"Drop {option}"
                )
            if name not in known:
                raise UsageError(
                    f"Unknown input {name!r} in {option}", fix=nearest(name, tuple(sorted(known)))
                )
