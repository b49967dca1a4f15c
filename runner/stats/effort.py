"""How many blocks a precision takes."""

from math import ceil, log1p

from runner.stats.intervals import CONFIDENCE


def blocks_needed(width_ratio: float, blocks: int, target_ratio: float) -> int:
    """Return about how many blocks narrow a half-width to its target, the spread of pairs staying as it was.

    The half-width is exp(t(n - 1) s / sqrt(n)) - 1: the spread s follows from what was seen. For few blocks t is far
    above the normal quantile, which would promise a target after fewer blocks than have already missed it.

    Args:
        width_ratio: half-width after so many blocks, above the target.
        blocks: at least two.
        target_ratio: half-width that is asked for.
    """
    from scipy.special import ndtri, stdtrit  # noqa: PLC0415 - costs 0.1 s

    probability = (1 + CONFIDENCE) / 2
    spread = log1p(width_ratio) * blocks**0.5 / float(stdtrit(blocks - 1, probability))
    wanted = log1p(target_ratio)
    root: float = ndtri(probability) * spread / wanted
    needed = max(2, ceil(root * root))
    # The normal quantile is only a few blocks short of t: this ends at once.
    while float(stdtrit(needed - 1, probability)) * spread > wanted * needed**0.5:
        needed += 1
    return needed
