"""A straight line through figures over time, and how well its slope is known."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from runner.stats.intervals import CONFIDENCE, MeanInterval
from runner.stats.summary import Numbers

LEAST_FOR_LIMITS = 3
"""points; through two the line fits exactly, and nothing is left that says how far it may be off"""


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line: y = height + slope (x - center)."""

    slope: MeanInterval
    """in units of y per unit of x; without limits below three points"""
    center: float
    """mean x"""
    height: float
    """mean y"""

    def at(self, x: float) -> float:
        """Return y on the line."""
        return self.height + self.slope.mean * (x - self.center)


def fit_line(xs: Numbers, ys: Numbers) -> Line | None:
    """Return the line of least squares with the 95 % t limits of its slope; None where all x are equal.

    All points weigh the same. The limits take their scatter around the line as independent and equally wide everywhere.

    Args:
        xs: one at least.
        ys: as many.

    Source:
        Draper and Smith, Applied Regression Analysis, 3rd ed. (1998), sections 1.2 (the line) and 1.4 (its slope's
        limits).
    """
    x, y = np.asarray(xs, dtype=np.float64), np.asarray(ys, dtype=np.float64)
    center, height = float(x.mean()), float(y.mean())
    spread = float(((x - center) ** 2).sum())
    if spread == 0:
        return None
    slope = float(((x - center) * (y - height)).sum()) / spread
    if x.size < LEAST_FOR_LIMITS:
        return Line(MeanInterval(slope, None, None), center, height)
    from scipy.special import stdtrit  # noqa: PLC0415 - costs 0.1 s

    freedom = x.size - 2
    off = y - height - slope * (x - center)
    error = sqrt(float((off**2).sum()) / freedom / spread)
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * error
    return Line(MeanInterval(slope, slope - half, slope + half), center, height)
