"""Where the batch is in each input of a model, and parts of it; numpy only, because workers need it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from runner.backends.interface import Array, Arrays

NO_NAMES = (None, "", "?", "-1", "None")
"""What exporters write, and ONNX Runtime says, for a dimension without a name; Paddle2ONNX writes ? for all alike."""


@dataclass(frozen=True, slots=True)
class BatchAxes:
    """The dimension of the batch in each input."""

    axes: Mapping[str, int | None] = field(default_factory=dict)
    """None for an input that has no batch; an input that is not here has it in front"""

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int | str, ...]]) -> Self:
        """Return where the batch is in inputs of these shapes, in which it is a text."""
        return cls(
            {
                name: next((axis for axis, size in enumerate(shape) if isinstance(size, str)), None)
                for name, shape in shapes.items()
            }
        )

    def axis(self, name: str) -> int | None:
        """Return the dimension of the batch in an input, or None where it has none."""
        return self.axes.get(name, 0)

    def size(self, feeds: Arrays) -> int:
        """Return how many samples arrays hold; those of a model without a batch hold one."""
        axes = ((array, self.axis(name)) for name, array in feeds.items())
        return next((array.shape[axis] for array, axis in axes if axis is not None), 1)

    def part(self, feeds: Arrays, first: int, end: int) -> Arrays:
        """Return contiguous arrays of the samples from one number up to another; inputs without a batch are whole.

        They share memory with what they are a part of wherever the batch is in front.
        """
        return {name: self._part(array, self.axis(name), first, end) for name, array in feeds.items()}

    @staticmethod
    def _part(array: Array, axis: int | None, first: int, end: int) -> Array:
        if axis is None:
            return array
        return np.ascontiguousarray(array[(*(slice(None),) * axis, slice(first, end))])
