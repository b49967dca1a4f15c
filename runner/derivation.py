"""What a manifest says of a variant: how it was made, and how near it comes to the reference."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self


@dataclass(frozen=True, slots=True)
class FileParity:
    """How near a variant's outputs come to the reference outputs, on the CPU and without graph optimisations."""

    status: Literal["passed", "failed"]
    reason: str
    """why it failed; empty when it passed"""
    max_error_ratio: float | None
    """largest absolute difference as a share of the reference's range; None when there is no such number"""
    tolerance_ratio: float
    top1_agreement_ratio: float | None
    """share of samples with the same largest score; None for outputs that are no scores"""
    least_agreement_ratio: float


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a variant was made from the reference file, and what became of its outputs."""

    revision: int
    """of the way in which it is made"""
    source_sha256: str
    """of the reference file"""
    calibration: str | None
    """``seeded``, or the sha256 of the images; None for what needs no calibration"""
    calibration_count: int
    """images"""
    parity: FileParity

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return what is in parsed JSON.

        Raises:
            TypeError, KeyError: a field is missing or has the wrong shape.
        """
        return cls(**{**data, "parity": FileParity(**data["parity"])})
