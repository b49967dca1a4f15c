"""Batches that began, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from runner.twin.service import Counts, Floats, Rows


@dataclass(frozen=True, slots=True)
class Batches:
    """Batches of many rows, those of a row in order of time; an element per batch in every array."""

    row: Rows
    head: Counts
    """the place of the oldest request in a flattened grid of arrivals by row and column"""
    count: Counts
    start_s: Floats
    idle_s: Floats
    """how long the server had been idle"""
    service_s: Floats
    cost: Floats

    def only(self, chosen: NDArray[np.bool_]) -> Self:
        """Return those that are chosen."""
        return replace(self, **{each.name: getattr(self, each.name)[chosen] for each in fields(self)})

    @classmethod
    def none(cls) -> Self:
        """Return no batches."""
        times, counts = np.empty(0), np.empty(0, np.int64)
        return cls(counts, counts, counts, times, times, times, times)

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Return the batches of all parts, of which there is at least one, one part after the other."""
        return cls(
            **{
                each.name: np.concatenate([getattr(part, each.name) for part in parts])
                for each in fields(cls)
            }
        )
