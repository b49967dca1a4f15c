"""How much effort a run makes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, inf

from runner.config import RunConfig
from runner.load.warmup import WarmUpRule

CALIBRATION_BLOCKS = 3
"""That tell a queue what its batches take. Another one goes before each block of the queue: a machine's speed wanders,
and the twin is to know the one that its queue was served by."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How much effort a run makes, and what it may claim."""

    name: str
    min_blocks: int
    max_blocks: float
    """no end where a time budget is the end"""
    warm_up: WarmUpRule
    workers: int
    """fresh processes of each backend that the fewest blocks are spread over; more blocks take more of them"""
    replays: int = 0
    """windows of each queue cell, where a queue was asked for"""

    @property
    def blocks_each(self) -> float:
        """Blocks by one set of workers, one of each backend; no end where there is one set."""
        return ceil(max(self.min_blocks, self.replays) / self.workers) if self.workers > 1 else inf


PROFILES: Mapping[str, Profile] = {
    "quick": Profile("quick", 3, 10, WarmUpRule(2, 1.0, steady=False), workers=1),
    "standard": Profile("standard", 10, 200, WarmUpRule(2, 10.0, steady=True), workers=5),
    "publication": Profile("publication", 30, 1000, WarmUpRule(2, 60.0, steady=True), workers=10),
}
"""Blocks, warm-up and workers.

The upper limits of blocks only end a run whose target no number of blocks would reach. Two or three blocks each make
fresh workers, which take about as long as half a block, worth their time; five sets are the fewest whose t is below 3.
"""


def profile_of(config: RunConfig) -> Profile:
    """Return the profile that was asked for; with ``--workers`` its fewest blocks are as many for each of them.

    Whoever gives ``standard`` or ``publication`` a time budget says when to end; a count of blocks would end it before.
    """
    profile = PROFILES[config.profile]
    if config.queue and config.queue.policies:
        replays = profile.min_blocks
        profile = replace(
            profile, min_blocks=CALIBRATION_BLOCKS, max_blocks=CALIBRATION_BLOCKS, replays=replays
        )
    elif config.time_budget_s is not None and profile.warm_up.steady:
        profile = replace(profile, max_blocks=inf)
    if config.workers is None:
        return profile
    if profile.replays:
        return replace(profile, workers=config.workers, replays=_whole(profile.replays, config.workers))
    fewest = _whole(profile.min_blocks, config.workers)
    most = max(profile.max_blocks, fewest)
    return replace(profile, workers=config.workers, min_blocks=fewest, max_blocks=most)


def _whole(blocks: int, workers: int) -> int:
    """Return the fewest blocks, and no less, of which each worker takes as many."""
    return workers * ceil(blocks / workers)
