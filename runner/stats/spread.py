"""How far repeated runs of the same thing lie from each other, told by cell and steadied by the other cells."""

from collections.abc import Sequence
from math import inf, log

import numpy as np
from numpy.typing import NDArray

from runner.stats.unpaired import LogMean, RunSpread

_HIGHEST_FREEDOM = 1000.0
"""of a prior; beyond it Student's t is the normal distribution"""


def run_spreads(cells: Sequence[Sequence[LogMean]]) -> tuple[RunSpread, ...]:
    """Return the spread of each cell over the same runs.

    Few runs tell a variance badly: five know it to a factor of 2 either way. Cells that behave alike lend each other
    what they know: each one's variance is drawn towards their common one, the more the less the variances differ among
    each other beyond chance. Cells also move together, because a busy machine slows all of them: then they know less
    together than they seem to: a mean of correlated variances from r runs has (r - 1) tr(S)^2 / tr(S^2) degrees of
    freedom, and what a cell is lent is at most what these exceed its own r - 1 by.

    Args:
        cells: of one metric; the figures of the same runs in the same order, at least two.

    Source:
        Smyth, Linear Models and Empirical Bayes Methods for Assessing Differential Expression, Statistical Applications
        in Genetics and Molecular Biology 3 (2004), section 6.2. Box, Some Theorems on Quadratic Forms, Annals of
        Mathematical Statistics 25 (1954), for the degrees of freedom.
    """
    logs = np.array([[run.log_mean for run in cell] for cell in cells])
    own = logs.var(axis=1, ddof=1)
    freedom = logs.shape[1] - 1
    within = [float(np.mean([run.log_variance for run in cell])) for cell in cells]
    prior, lent = _prior(own, freedom)
    # A cell's own degrees of freedom are added below: what all have together counts them once already.
    lent = min(lent, max(0.0, _freedom_together(logs) - freedom), _HIGHEST_FREEDOM)
    return tuple(
        RunSpread((lent * prior + freedom * float(variance)) / (lent + freedom), lent + freedom, inside)
        for variance, inside in zip(own, within, strict=True)
    )


def _prior(variances: NDArray[np.float64], freedom: int) -> tuple[float, float]:
    """Return the common variance of cells and how many degrees of freedom it stands for: 0 where none can be told."""
    from scipy.special import digamma, polygamma  # noqa: PLC0415 - costs 0.1 s, and no help needs it

    known = variances[variances > 0]
    if known.size < 2:  # noqa: PLR2004 - one cell has nobody to learn from
        return 0.0, 0.0
    beyond = float(np.log(known).var(ddof=1) - polygamma(1, freedom / 2))
    # Never below the plain mean: the source's prior is a median of sorts, and a gate had better be too wide.
    centre = log(float(known.mean()))
    lent = inf if beyond <= 0 else 2 * _inverse_trigamma(beyond)
    if lent < inf:
        e = float(np.log(known).mean() - digamma(freedom / 2) + log(freedom / 2))
        centre = max(centre, e + float(digamma(lent / 2)) - log(lent / 2))
    return float(np.exp(centre)), lent


def _inverse_trigamma(value: float) -> float:
    """Return where the trigamma function has this positive value: Newton on its reciprocal (Smyth, appendix)."""
    from scipy.special import polygamma  # noqa: PLC0415 - as above

    x = 0.5 + 1 / value
    for _ in range(50):
        step = float(polygamma(1, x) * (1 - polygamma(1, x) / value) / polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:  # of a figure that becomes degrees of freedom
            break
    return x


def _freedom_together(logs: NDArray[np.float64]) -> float:
    """Return the degrees of freedom that the mean of the cells' variances has, each cell counting alike."""
    off = logs - logs.mean(axis=1, keepdims=True)
    scale = np.sqrt((off**2).sum(axis=1, keepdims=True))
    alike = (off / np.where(scale > 0, scale, 1.0)) @ (off / np.where(scale > 0, scale, 1.0)).T
    squares = float((alike**2).sum())
    return (logs.shape[1] - 1) * float(np.trace(alike)) ** 2 / squares if squares else 0.0
