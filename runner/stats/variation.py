"""What makes the figures of one cell unsteady over its windows, and what to do about it."""

from dataclasses import dataclass
from enum import Enum
from math import erfc, sqrt

import numpy as np
from numpy.typing import NDArray

from runner.stats.summary import Numbers

SCATTER_LIMIT_RATIO = 0.1
"""standard deviation / mean from which pyperf's check calls a benchmark unstable"""
DRIFT_LIMIT_RATIO = 0.05
"""change over the whole run: a smaller drift shifts a mean by less than 2.5 %, about what runs aim at"""
DRIFT_LEVEL = 0.01
"""p of a trend; stricter than 5 % because every cell of a run is looked at"""
LEAST_FOR_TREND = 10
"""from so many values on S is close to normal: Kendall, Rank Correlation Methods, 4th ed. (1975), section 4"""


class Instability(Enum):
    """Why absolute figures of a cell are doubtful: what was seen, its likely cause, and what to do."""

    SCATTER = (
        "its windows scatter by more than 10 %: other programs or virtual machines use this machine too; close them"
        " and rerun with --profile publication"
    )
    SLOWER = (
        "it grew slower throughout: the machine throttles as it heats up, or other load sets in; let it cool, fix the"
        " CPU frequency governor and rerun"
    )
    FASTER = (
        "it grew faster throughout: the warm-up was too short, or other load ended; fix the CPU frequency governor"
        " and rerun with --profile publication, which warms up longer"
    )


@dataclass(frozen=True, slots=True)
class Trend:
    """A monotone change over time."""

    change_ratio: float
    """from the first value to the last, as a share of their median"""
    p: float


def variation_ratio(values: Numbers) -> float | None:
    """Return the standard deviation / mean of positive values; None below two."""
    samples = np.asarray(values, dtype=np.float64)
    if samples.size < 2:  # noqa: PLR2004 - one value has no spread
        return None
    return float(samples.std(ddof=1) / samples.mean())


def instabilities(values: Numbers) -> tuple[Instability, ...]:
    """Return what is wrong with positive values in order of time, the worst first."""
    scatter, found = variation_ratio(values), trend(values)
    seen = []
    if found and found.p < DRIFT_LEVEL and abs(found.change_ratio) > DRIFT_LIMIT_RATIO:
        seen.append(Instability.SLOWER if found.change_ratio > 0 else Instability.FASTER)
    if scatter is not None and scatter > SCATTER_LIMIT_RATIO:
        seen.append(Instability.SCATTER)
    return tuple(seen)


def trend(values: Numbers) -> Trend | None:
    """Return the Mann-Kendall test against time with Sen's slope; None below ten values, or when all are equal.

    The same p as ``scipy.stats.kendalltau(range(n), values, method="asymptotic")`` but for the correction for
    continuity.

    Source:
        Gilbert, Statistical Methods for Environmental Pollution Monitoring (1987), sections 16.4.2 (normal
        approximation, ties) and 16.5 (Sen's slope).
    """
    samples = np.asarray(values, dtype=np.float64)
    if samples.size < LEAST_FOR_TREND:
        return None
    variance = _variance_of_s(samples)
    if variance <= 0:
        return None
    earlier, later = np.triu_indices(samples.size, k=1)
    steps = samples[later] - samples[earlier]
    s = float(np.sign(steps).sum())
    z = max(abs(s) - 1, 0) / sqrt(variance)
    slope = float(np.median(steps / (later - earlier)))
    return Trend(slope * (samples.size - 1) / float(np.median(samples)), erfc(z / sqrt(2)))


def _variance_of_s(samples: NDArray[np.float64]) -> float:
    """Return the variance of Kendall's S without a trend, less what ties take from it."""
    sizes = np.array([samples.size, *np.unique(samples, return_counts=True)[1]], dtype=np.float64)
    terms = sizes * (sizes - 1) * (2 * sizes + 5)
    return float(terms[0] - terms[1:].sum()) / 18  # as in the source
