"""Seeded input batches from declared shapes, and what ``--input`` says that inputs hold.

Standard library and numpy only: workers under other interpreters make their inputs themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from runner.backends.interface import Array
from runner.errors import AbsentError, FileError, UsageError
from runner.manifest import TensorSpec

_SUFFIX = ".npy"
_NUMBER_TYPES = frozenset(
    (
        "bool",
        *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
        "float16",
        "float32",
        "float64",
    )
)


@dataclass(frozen=True, slots=True)
class Constant:
    """Every element is one number."""

    number: float


@dataclass(frozen=True, slots=True)
class Span:
    """Elements are uniform between two numbers, the higher one excluded."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples come from a file of numpy, in turn."""

    path: Path


def parse_values(text: str) -> Constant | Span | Samples:
    """Return what an input holds from text such as ``16000``, ``0:30522`` or ``images.npy``.

    Raises:
        UsageError: none of them.
    """
    if text.lower().endswith(_SUFFIX):
        return Samples(Path(text))
    low, colon, high = text.partition(":")
    try:
        numbers = tuple(_number(part) for part in ((low, high) if colon else (low,)))
    except ValueError:
        numbers = ()
    match numbers:
        case (number,):
            return Constant(number)
        case (low_number, high_number) if low_number < high_number:
            return Span(low_number, high_number)
    raise UsageError(
        "Cannot read --input",
        expected="a number, LOW:HIGH with LOW below HIGH, or a file of numpy (.npy)",
        got=repr(text),
        fix="Write for example sr=16000, ids=0:30522 or images=photos.npy",
    )


def _number(text: str) -> float:
    """Return a finite number, a whole one as such: int64 holds more of them than a float does."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if not np.isfinite(number):
        raise ValueError(text)
    return number


def check_values(spec: TensorSpec, text: str) -> str:
    """Check that an input can hold what ``--input`` says, and return that, a file by its absolute path.

    Raises:
        UsageError: its type or shape cannot.
        AbsentError, FileError: no such file, or one that numpy cannot read.
    """
    match parse_values(text):
        case Constant(number):
            _check_range(spec, number, number, text)
        case Span(low, high):
            _check_range(spec, low, high if _kind(spec.dtype) == "f" else high - 1, text)
        case Samples(path):
            _check_samples(spec, path)
            return str(path.absolute())
    return text


def _check_range(spec: TensorSpec, low: float, high: float, text: str) -> None:
    kind = _kind(spec.dtype)
    if kind == "f":
        least, most = float(np.finfo(spec.dtype).min), float(np.finfo(spec.dtype).max)
    elif kind == "b":
        least, most = 0, 1
    else:
        least, most = int(np.iinfo(spec.dtype).min), int(np.iinfo(spec.dtype).max)
    is_whole = kind == "f" or all(float(number).is_integer() for number in (low, high))
    if not (least <= low and high <= most and is_whole):
        raise UsageError(
            f"Wrong --input for {spec.name!r}",
            expected=f"{'numbers' if kind == 'f' else 'whole numbers'} of {spec.dtype}",
            got=text,
            fix=f"Stay within {least:g} to {most:g}" if kind == "f" else f"Stay within {least} to {most}",
        )


def _check_samples(spec: TensorSpec, path: Path) -> None:
    if not path.is_file():
        raise AbsentError(
            f"Cannot read {path}", expected="a file of numpy", got="no file", fix="Check --input"
        )
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("several arrays")  # noqa: TRY301, TRY004 - told as whatever else numpy makes of it
    except (OSError, ValueError, EOFError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileError(
            f"Cannot read {path}", expected="an array of numpy", got=reason, fix="Save it with numpy.save"
        ) from error
    shape = tuple(size if isinstance(size, int) else "N" for size in spec.shape)
    fits = array.ndim == len(shape) and all(
        want in ("N", has) and has > 0 for want, has in zip(shape, array.shape, strict=True)
    )
    if array.dtype != np.dtype(spec.dtype) or not fits:
        raise UsageError(
            f"Wrong --input for {spec.name!r}",
            expected=f"{spec.dtype} of {_times(shape)}{' for any N' if 'N' in shape else ''}",
            got=f"{array.dtype.name} of {_times(array.shape)} in {path}",
            fix="Save the array as the model takes it",
        )


def _times(shape: Sequence[int | str]) -> str:
    return " x ".join(map(str, shape)) or "one number"


def make_inputs(
    specs: Sequence[TensorSpec], batch_size: int, seed: int, values: Mapping[str, str] | None = None
) -> dict[str, Array]:
    """Return contiguous arrays by input name, a symbolic dimension being the batch; the same for one seed.

    Floats are standard normal, which is what ImageNet normalisation makes of photographs; integers are 0 or 1, which
    every vocabulary and mask accepts; bytes span their range. Samples of a file come in turn, from one that the seed
    chooses on.

    Args:
        specs: what the model takes.
        batch_size: of the batch.
        seed: of what is drawn.
        values: what ``--input`` says, by input name.

    Raises:
        UsageError: a type that is no number of numpy.
    """
    generator = np.random.default_rng(seed)
    said = {name: parse_values(text) for name, text in (values or {}).items()}
    return {
        spec.name: np.ascontiguousarray(
            _fill(generator, spec, batch_size, seed, said.get(spec.name))
        ).reshape(
            sizes_of(spec, batch_size)  # numpy makes one dimension of none
        )
        for spec in specs
    }


def _fill(
    generator: np.random.Generator,
    spec: TensorSpec,
    batch_size: int,
    seed: int,
    said: Constant | Span | Samples | None,
) -> Array:
    shape = sizes_of(spec, batch_size)
    match said:
        case None:
            return _draw(generator, spec, shape)
        case Constant(number):
            return np.full(shape, number, spec.dtype)
        case Span(low, high) if _kind(spec.dtype) == "f":
            return np.asarray(generator.uniform(low, high, shape)).astype(spec.dtype)
        case Span(low, high):
            return np.asarray(generator.integers(int(low), int(high), shape, dtype=spec.dtype))
        case Samples(path):
            array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
            axis = next((axis for axis, size in enumerate(spec.shape) if isinstance(size, str)), None)
            if axis is None:
                return array
            taken: Array = np.take(array, (seed + np.arange(batch_size)) % array.shape[axis], axis)
            return taken


def sizes_of(spec: TensorSpec, batch_size: int) -> tuple[int, ...]:
    """Return the shape of an input of a batch."""
    return tuple(size if isinstance(size, int) else batch_size for size in spec.shape)


def bytes_of(spec: TensorSpec, batch_size: int) -> int:
    """Return the bytes that an input of a batch takes."""
    return prod(sizes_of(spec, batch_size)) * np.dtype(spec.dtype).itemsize


def _draw(generator: np.random.Generator, spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    array: Array
    match _kind(spec.dtype):
        case "f":
            array = generator.standard_normal(shape, dtype=np.float32)
        case "u" if spec.dtype == "uint8":
            array = generator.integers(0, 256, shape, dtype=np.uint8)
        case "b" | "i" | "u":
            array = generator.integers(0, 2, shape)
        case _:
            raise UsageError(
                f"Cannot make input {spec.name!r}",
                expected="a number type of numpy",
                got=spec.dtype,
                fix="Convert the model's inputs",
            )
    return np.asarray(array).astype(spec.dtype)


def is_number_type(dtype: str) -> bool:
    """Return whether inputs of a type can be made, and outputs compared."""
    return bool(_kind(dtype))


def _kind(dtype: str) -> str:
    """Return numpy's letter for a type of numbers; empty for others, such as text, bfloat16 and int4."""
    return np.dtype(dtype).kind if dtype in _NUMBER_TYPES else ""
