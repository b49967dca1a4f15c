"""Whether backends compute the same: outputs of one of them, recorded, in the place of an exporter's reference.

For files that joulebatch did not export. The outputs of some runs on seeded inputs say nothing of the truth, only of
what that backend computes. Numpy only, because workers need it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from runner.backends.interface import Array, Arrays
from runner.parity import INPUT_PREFIX, MIN_VARIATION_RATIO, OUTPUT_PREFIX, ParityResult, variation_ratio

Run = tuple[Arrays, Arrays]
"""inputs and outputs of an inference, by name"""

_MIN_VARIATION = 5.0
"""Times the tolerance that an answer which ignores its input must be off, or the reference proves nothing; as between
`parity.MIN_VARIATION_RATIO` and the loosest tolerance."""

_LEAST_QUANTISED = 64
"""Range of 8-bit integers below which they are labels as others are, as in a map of segments: quantised numbers are
made to use all 256, and even noise fills a quarter."""


def write_runs(path: Path, runs: Sequence[Run]) -> None:
    """Keep runs in a file, in order."""
    arrays: dict[str, Array] = {}
    for number, (inputs, outputs) in enumerate(runs):
        arrays |= {f"{number}/{INPUT_PREFIX}{name}": array for name, array in inputs.items()}
        arrays |= {f"{number}/{OUTPUT_PREFIX}{name}": array for name, array in outputs.items()}
    np.savez(path, **arrays)  # type: ignore[arg-type]  # numpy types the keywords as its own flag


def read_runs(path: Path) -> tuple[Run, ...]:
    """Return the runs in a file, in order."""
    runs: dict[int, tuple[dict[str, Array], dict[str, Array]]] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            number, _, name = key.partition("/")
            inputs, outputs = runs.setdefault(int(number), ({}, {}))
            if name.startswith(INPUT_PREFIX):
                inputs[name.removeprefix(INPUT_PREFIX)] = arrays[key]
            else:
                outputs[name.removeprefix(OUTPUT_PREFIX)] = arrays[key]
    return tuple(runs[number] for number in sorted(runs))


def compare_runs(
    reference: Sequence[Arrays],
    outputs: Sequence[Arrays],
    tolerance_ratio: float,
    least_agreement_ratio: float = 0.0,
) -> ParityResult:
    """Return whether the outputs of some runs equal the reference's within the tolerance.

    Integers are labels, indices or counts, between which no distance means anything: they have to be equal, but for
    those of 8 bits, which are quantised numbers. No output has to be closer than its type can tell two numbers apart.

    Args:
        reference: arrays by output name, run by run.
        outputs: the same from the session in question; more names are ignored.
        tolerance_ratio: largest absolute difference accepted, as a share of each output's range.
        least_agreement_ratio: share of samples whose largest score must be the same, in every output of scores, and
            of labels that must be; 0 asks nothing of scores, and of labels that all are.
    """
    differing_ratio = 1 - least_agreement_ratio if least_agreement_ratio else 0.0
    found = [
        _compare(
            name,
            [run[name] for run in reference],
            [run.get(name) for run in outputs],
            tolerance_ratio,
            differing_ratio,
        )
        for name in reference[0]
    ]
    agreements = [each.agreement_ratio for each in found if each.agreement_ratio is not None]
    unequal = _first(each.unequal for each in found)
    if not unequal and (agreement := min(agreements, default=1.0)) < least_agreement_ratio:
        unequal = f"the largest score is the same in {agreement:.0%} of the samples, {least_agreement_ratio:.0%} needed"
    proves = any(each.proves for each in found)
    incomparable = _first(each.incomparable for each in found)
    if not unequal and not incomparable and not proves:
        incomparable = (
            f"the outputs vary by {max((each.variation_ratio for each in found), default=0.0):.1e} of their range "
            "between inputs, so that nearly any constant would pass; real inputs may help: --input NAME=FILE.npy"
        )
    return ParityResult(
        status="failed" if unequal else "unavailable" if incomparable else "passed",
        reason=unequal or incomparable,
        max_error_ratio=max(each.error_ratio for each in found) if proves else None,
        tolerance_ratio=max((tolerance_ratio, *(each.tolerance_ratio for each in found))),
        top1_agreement_ratio=min(agreements, default=None),
    )


@dataclass(frozen=True, slots=True)
class _Output:
    """What one output says; ratios are of its range."""

    unequal: str = ""
    """why it differs"""
    incomparable: str = ""
    """why it could not be compared"""
    error_ratio: float = 0.0
    tolerance_ratio: float = 0.0
    variation_ratio: float = 0.0
    """between inputs"""
    proves: bool = False
    """whether it varies so much that a constant would not pass"""
    agreement_ratio: float | None = None
    """of samples whose largest score is the same; None where it holds no scores"""


def _compare(
    name: str,
    expected: Sequence[Array],
    got: Sequence[Array | None],
    tolerance_ratio: float,
    differing_ratio: float,
) -> _Output:
    """Return how an output compares, within a share of its range, or of labels the share that may differ."""
    if reason := _mismatch(name, expected, got):
        return _Output(incomparable=reason) if _depends_on_data(expected) else _Output(unequal=reason)
    present = [array for array in got if array is not None]
    error, tolerance = _error(expected, present, tolerance_ratio, differing_ratio)
    if error == inf:
        return _Output(unequal=f"output {name} is not finite where the reference is, or the other way round")
    variation = _variation_ratio(expected)
    # A label that never changes is met by a constant, however little it may be off.
    wanted = min(_MIN_VARIATION * tolerance, MIN_VARIATION_RATIO)
    scores = _agreements(expected, present)
    return _Output(
        unequal=f"output {name} is {error:.1e} of its range off, tolerance {tolerance:.1e}"
        if error > tolerance
        else "",
        error_ratio=error,
        tolerance_ratio=tolerance,
        variation_ratio=variation,
        proves=variation > tolerance and variation >= wanted,
        agreement_ratio=fmean(scores) if scores else None,
    )


def _first(reasons: Iterable[str]) -> str:
    return next(filter(None, reasons), "")


def _mismatch(name: str, expected: Sequence[Array], got: Sequence[Array | None]) -> str:
    """Return why an output cannot be compared at all, or an empty text."""
    for want, has in zip(expected, got, strict=True):
        if has is None:
            return f"output {name} is missing"
        if has.shape != want.shape:
            return f"output {name} has shape {has.shape}, the reference {want.shape}"
    return ""


def _depends_on_data(expected: Sequence[Array]) -> bool:
    """Return whether an output's shape differs between inputs of one shape, as the number of detections does."""
    return len({array.shape for array in expected}) > 1


def _variation_ratio(expected: Sequence[Array]) -> float:
    """Return the error ratio with which a constant answer could meet an output, of labels the share that varies.

    A shape that varies is no constant.
    """
    if _depends_on_data(expected):
        return 1.0
    if expected[0].size and _are_labels(np.stack(expected)):
        return float(np.any(np.stack(expected) != expected[0], axis=0).mean())
    values = np.stack([_finite(array) for array in expected])
    return variation_ratio({"": values}) if values.size else 0.0


def _finite(array: Array) -> NDArray[np.float64]:
    """Return an array's numbers; those that are not finite are compared as they are, and count as 0 here."""
    values = np.asarray(array, np.float64)
    return np.where(np.isfinite(values), values, 0.0)


def _error(
    expected: Sequence[Array], got: Sequence[Array], tolerance_ratio: float, differing_ratio: float
) -> tuple[float, float]:
    """Return the largest difference as a share of the range, and what is accepted; of labels the share that differs."""
    wants = np.concatenate([np.ravel(array) for array in expected])
    has = np.concatenate([np.ravel(array) for array in got])
    if not wants.size:
        return 0.0, tolerance_ratio
    if _are_labels(wants):
        return float((wants != has).mean()), differing_ratio
    want_values, has_values = np.asarray(wants, np.float64), np.asarray(has, np.float64)
    finite = np.isfinite(want_values)
    if (
        not np.array_equal(want_values[~finite], has_values[~finite], equal_nan=True)
        or not np.isfinite(has_values[finite]).all()
    ):
        return inf, tolerance_ratio
    want_values, has_values = want_values[finite], has_values[finite]
    if not want_values.size:
        return 0.0, tolerance_ratio
    largest = float(np.abs(want_values).max())
    # The same number everywhere has no range: then its own size is the scale.
    scale = float(np.ptp(want_values)) or largest or 1.0
    step = 1.0 if wants.dtype.kind in "iu" else float(np.finfo(wants.dtype).eps) * largest
    return float(np.abs(has_values - want_values).max()) / scale, max(tolerance_ratio, step / scale)


def _are_labels(values: Array) -> bool:
    """Return whether numbers are labels, indices or counts; integers of 8 bits are where they span few values."""
    if values.dtype.kind not in "iu" or values.dtype.itemsize > 1:
        return values.dtype.kind in "biu"
    wide = np.asarray(values, np.float64)
    return float(np.ptp(wide) or np.abs(wide).max() or 1.0) < _LEAST_QUANTISED


def _agreements(expected: Sequence[Array], got: Sequence[Array]) -> list[float]:
    """Return by run the share of samples with the same largest score; none for outputs that are no scores."""
    return [
        float((want.argmax(axis=1) == has.argmax(axis=1)).mean())
        for want, has in zip(expected, got, strict=True)
        if want.ndim == 2  # noqa: PLR2004 - samples x scores
        and want.shape[1] > 1
        and want.size
        and (want.dtype.kind == "f" or want.dtype.itemsize == 1)  # larger integers are labels
    ]
