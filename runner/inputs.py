"""Seeded input batches from declared shapes."""

from collections.abc import Sequence

import numpy as np

from runner.backends.interface import Array
from runner.errors import UsageError
from runner.modelfile import TensorSpec


def make_inputs(specs: Sequence[TensorSpec], batch_size: int, seed: int) -> dict[str, Array]:
    """Return contiguous arrays by input name, a symbolic first dimension being the batch; the same for one seed.

    Floats are standard normal, which is what ImageNet normalisation makes of photographs; integers are 0 or 1, which
    every vocabulary and mask accepts; bytes span their range.

    Raises:
        UsageError: a type that is no number of numpy.
    """
    generator = np.random.default_rng(seed)
    return {spec.name: _draw(generator, spec, _sizes(spec, batch_size)) for spec in specs}


def _sizes(spec: TensorSpec, batch_size: int) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else batch_size for size in spec.shape)


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


def _kind(dtype: str) -> str:
    """Return numpy's letter for a type; empty for those it lacks, such as bfloat16 and int4."""
    try:
        return np.dtype(dtype).kind
    except TypeError:
        return ""
