"""Rank tests beside the intervals: they assume no normal distribution, and decide nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from runner.stats.compare import Table
from runner.stats.summary import Numbers

LEAST_BLOCKS = 6
"""With 5 pairs the smallest two-sided p of Wilcoxon's test is 2 / 2^5 = 6 %: it could not reach 5 %."""
LEAST_CELLS = 3
"""for Friedman's test; two cells are Wilcoxon's"""


@dataclass(frozen=True, slots=True)
class RankTest:
    """A test statistic with its two-sided p."""

    statistic: float
    p: float


@dataclass(frozen=True, slots=True)
class Found:
    """A rank test of a family that could be made."""

    name: Literal["friedman", "wilcoxon"]
    members: tuple[int, ...]
    """places in the family: all of it for Friedman, one and whom it is held against for Wilcoxon"""
    block_count: int
    test: RankTest
    p_holm: float | None = None
    """Holm's adjusted p over the family's Wilcoxon tests; None for Friedman's"""


def family(everything: Table | None, pairs: Mapping[tuple[int, int], Table]) -> Iterator[Found]:
    """Yield the tests of one family: Friedman over all of it, then Wilcoxon for each pair.

    Args:
        everything: a row per block, a column per member; None where no block has them all.
        pairs: by places of two members, their two columns.
    """
    if everything is not None and (overall := friedman(everything)):
        yield Found("friedman", tuple(range(everything.shape[1])), len(everything), overall)
    found = [
        Found("wilcoxon", members, len(table), test)
        for members, table in pairs.items()
        if (test := wilcoxon(*table.T))
    ]
    adjusted = holm([each.test.p for each in found])
    yield from (replace(each, p_holm=p_holm) for each, p_holm in zip(found, adjusted, strict=True))


def friedman(table: Table) -> RankTest | None:
    """Return Friedman's test of whether some column is higher than another; None where it can say nothing.

    That is below three columns or six rows, or when every row is one tie. The p is that of chi-square, which is a
    little too large for few rows.

    Source:
        Conover, Practical Nonparametric Statistics, 3rd ed. (1999), section 5.8.
    """
    blocks, cells = table.shape
    if blocks < LEAST_BLOCKS or cells < LEAST_CELLS or (table == table[:, :1]).all():
        return None
    from scipy.stats import friedmanchisquare  # noqa: PLC0415 - costs 0.6 s, and only publication runs test

    statistic, p = friedmanchisquare(*table.T)
    return RankTest(float(statistic), float(p))


def wilcoxon(values: Numbers, baseline: Numbers) -> RankTest | None:
    """Return Wilcoxon's signed-rank test of paired log ratios; None below six pairs that differ.

    Equal pairs are dropped (Wilcoxon's own way). Logs, because a ratio and its reciprocal are the same distance.

    Source:
        Conover, Practical Nonparametric Statistics, 3rd ed. (1999), section 5.7.
    """
    logs = np.log(np.asarray(values, dtype=np.float64)) - np.log(np.asarray(baseline, dtype=np.float64))
    logs = logs[logs != 0]
    if logs.size < LEAST_BLOCKS:
        return None
    from scipy.stats import wilcoxon as signed_rank  # noqa: PLC0415 - as above

    statistic, p = signed_rank(logs)
    return RankTest(float(statistic), float(p))


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """Return the p values of one family, each adjusted so that any below 5 % may be claimed among all.

    Source:
        Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979).
    """
    adjusted = dict.fromkeys(range(len(ps)), 0.0)
    highest = 0.0
    for rank, place in enumerate(sorted(adjusted, key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = highest
    return tuple(adjusted.values())
