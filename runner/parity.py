"""Whether outputs equal the exported reference outputs; numpy only, because workers need it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from runner.backends.interface import Array, Arrays

INPUT_PREFIX = "input:"
OUTPUT_PREFIX = "output:"

MIN_VARIATION_RATIO = 0.05
"""Five times the loosest tolerance of a backend (0.01, TF32), so an answer that ignores its input fails."""


@dataclass(frozen=True, slots=True)
class ParityResult:
    """How far outputs are from the reference."""

    status: Literal["passed", "failed", "unavailable"]
    reason: str
    """why not; empty when it passed"""
    max_error_ratio: float | None
    """largest absolute difference as a share of the reference's range; None when there is no such number"""
    tolerance_ratio: float
    top1_agreement_ratio: float | None
    """share of samples with the same largest score; None for outputs that are no scores"""


def read_reference(path: Path) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the reference inputs and outputs in a file, each by tensor name."""
    with np.load(path) as arrays:
        inputs = {n.removeprefix(INPUT_PREFIX): arrays[n] for n in arrays.files if n.startswith(INPUT_PREFIX)}
        outputs = {
            n.removeprefix(OUTPUT_PREFIX): arrays[n] for n in arrays.files if n.startswith(OUTPUT_PREFIX)
        }
    return inputs, outputs


def variation_ratio(reference: Arrays) -> float:
    """Return the smallest error ratio with which any constant answer could meet the least varying output."""
    return min((_variation_ratio(array) for array in reference.values()), default=0.0)


def flatness(reference: Arrays) -> str:
    """Return why a reference proves nothing, or an empty text when it can."""
    if not all(np.isfinite(array).all() for array in reference.values()):
        return "the reference has values that are not finite"
    ratio = variation_ratio(reference)
    if ratio >= MIN_VARIATION_RATIO:
        return ""
    return (
        f"the reference outputs vary by {ratio:.1e} of their range between samples, less than "
        f"{MIN_VARIATION_RATIO:g}: nearly any constant would pass"
    )


def compare(
    reference: Arrays, outputs: Arrays, tolerance_ratio: float, least_agreement_ratio: float = 0.0
) -> ParityResult:
    """Return whether outputs equal the reference within the tolerance.

    Args:
        reference: arrays by output name, samples first.
        outputs: the same names and shapes from the session in question; more names are ignored.
        tolerance_ratio: largest absolute difference accepted, as a share of each output's range.
        least_agreement_ratio: share of samples whose largest score must be the same; for scores only. None need be
            where the tolerance is that of another order of the same sums: then only ties can be ordered differently.
    """
    reason = flatness(reference) or _mismatch(reference, outputs)
    if reason:
        return ParityResult("failed", reason, None, tolerance_ratio, None)
    error_ratio = max(_error_ratio(reference[name], outputs[name]) for name in reference)
    agreements = [
        float((array.argmax(axis=1) == outputs[name].argmax(axis=1)).mean())
        for name, array in reference.items()
        if array.ndim == 2 and array.shape[1] > 1  # noqa: PLR2004 - samples x scores
    ]
    reasons = []
    if error_ratio > tolerance_ratio:
        reasons.append(f"error {error_ratio:.1e} of the range, tolerance {tolerance_ratio:.1e}")
    if (varies_ratio := variation_ratio(reference)) <= tolerance_ratio:
        reasons.append(f"the reference varies by {varies_ratio:.1e} of its range only: a constant would pass")
    if (agreement_ratio := min(agreements, default=1.0)) < least_agreement_ratio:
        reasons.append(
            f"the largest score is the same in {agreement_ratio:.0%} of the samples, {least_agreement_ratio:.0%} needed"
        )
    return ParityResult(
        status="failed" if reasons else "passed",
        reason="; ".join(reasons),
        max_error_ratio=error_ratio,
        tolerance_ratio=tolerance_ratio,
        top1_agreement_ratio=min(agreements, default=None),
    )


def _mismatch(reference: Arrays, outputs: Arrays) -> str:
    """Return why outputs cannot be compared at all, or an empty text."""
    for name, array in reference.items():
        if name not in outputs:
            return f"output {name} is missing"
        if outputs[name].shape != array.shape:
            return f"output {name} has shape {outputs[name].shape}, the reference {array.shape}"
        if not np.isfinite(outputs[name]).all():
            return f"output {name} has values that are not finite"
    return ""


def _variation_ratio(array: Array) -> float:
    # The best constant is the middle of each element's values; its error is half their distance.
    values = np.asarray(array, np.float64)
    value_range = np.ptp(values) if values.size else 0.0
    return float(np.ptp(values, axis=0).max() / 2 / value_range) if value_range > 0 else 0.0


def _error_ratio(reference: Array, output: Array) -> float:
    # In float64, so that two integer or half-precision arrays cannot overflow in the difference.
    expected = np.asarray(reference, np.float64)
    return float(np.abs(np.asarray(output, np.float64) - expected).max() / np.ptp(expected))
