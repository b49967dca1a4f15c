"""How many blocks a precision takes."""

from math import ceil

from runner.stats.intervals import CONFIDENCE


def blocks_needed(width_ratio: float, blocks: int, target_ratio: float) -> int:
    """Return about how many blocks narrow a half-width to its target, the spread of pairs staying as it was.

    The half-width is t(n - 1) s / sqrt(n): the spread s follows from what was seen, and n from the target with the
    normal quantile, which t approaches long before the numbers at which this matters.

    Args:
        width_ratio: half-width after so many blocks.
        blocks: at least two.
        target_ratio: half-width that is asked for.
    """
    from scipy.special import ndtri, stdtrit  # noqa: PLC0415 - costs 0.1 s

    probability = (1 + CONFIDENCE) / 2
    spread_ratio = width_ratio * blocks**0.5 / float(stdtrit(blocks - 1, probability))
    root: float = ndtri(probability) * spread_ratio / target_ratio
    return ceil(root * root)
