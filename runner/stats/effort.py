"""How many blocks a precision takes."""

from math import ceil, log1p

from runner.stats.estimate import LEAST_WORKERS
from runner.stats.intervals import CONFIDENCE, RatioInterval


def blocks_needed(seen: RatioInterval, target_ratio: float) -> int:
    """Return about how many blocks narrow a half-width to its target, all spread staying as it was.

    The half-width is exp(t(n - 1) s / sqrt(n)) - 1: the spread s follows from what was seen. The n are pairs of
    workers from three on, each with as many blocks as before, and else blocks. For few of them t is far above the
    normal quantile, which would promise a target after fewer blocks than have already missed it.

    Args:
        seen: of at least two pairs, its half-width above the target.
        target_ratio: half-width that is asked for.
    """
    from scipy.special import ndtri, stdtrit  # noqa: PLC0415 - costs 0.1 s

    count = seen.worker_count if seen.worker_count >= LEAST_WORKERS else seen.pair_count
    probability = (1 + CONFIDENCE) / 2
    spread = log1p(seen.half_width_ratio) * count**0.5 / float(stdtrit(count - 1, probability))
    wanted = log1p(target_ratio)
    root: float = ndtri(probability) * spread / wanted
    needed = max(2, ceil(root * root))
    # The normal quantile is only a few short of t: this ends at once.
    while float(stdtrit(needed - 1, probability)) * spread > wanted * needed**0.5:
        needed += 1
    return ceil(needed * seen.pair_count / count)
