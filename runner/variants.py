"""The files that a model may have beside each other, and how near they must come; what workers need holds here, too."""

from collections.abc import Mapping
from dataclasses import dataclass

REFERENCE_VARIANT = "fp32"
"""the file that PyTorch's network was exported to, and that all others are made from"""


@dataclass(frozen=True, slots=True)
class Closeness:
    """How near the outputs of a variant must come to those of the reference, to count as the same model."""

    tolerance_ratio: float
    """largest absolute difference accepted, as a share of the reference's range"""
    least_agreement_ratio: float
    """share of samples whose largest score must be the same"""


_AGREEMENT = 0.875
"""Seven of the eight reference samples. MLPerf asks a quantised model for 99 % of fp32's accuracy (Inference Rules,
closed division); eight samples cannot tell that from less, and one of them may be a near tie."""

CLOSENESS: Mapping[str, Closeness] = {
    # The project's tolerance of half precision: docs/measurement.md, section 7.
    "fp16": Closeness(1e-2, _AGREEMENT),
    # Ours, from a network made to be quantised: EfficientNet-Lite0 with published weights came to 0.5 % (dynamic) and
    # 6 % (static), every largest score kept. docs/measurement.md, section 7, has what else was seen.
    "int8-static": Closeness(1e-1, _AGREEMENT),
    "int8-dynamic": Closeness(1e-1, _AGREEMENT),
}
"""by variant, those that are made from the reference"""

VARIANTS = (REFERENCE_VARIANT, *CLOSENESS)
"""in the order of the words in help and docs"""


def kind_of(variant: str) -> str:
    """Return the known variant that one is like; a label of somebody's own is like the reference."""
    return variant.lower() if variant.lower() in VARIANTS else REFERENCE_VARIANT
