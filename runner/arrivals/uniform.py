"""``uniform``: a period with jitter, as in the study."""

from runner.arrivals.interface import ArrivalsKind
from runner.arrivals.renewal import Renewal

SHORTEST, LONGEST = 0.8, 1.2
"""of the mean gap. Source: Yarally et al. 2023 (arXiv 2307.11434): each gap is the period +-20 %, uniformly."""


KIND = ArrivalsKind(
    name="uniform",
    form="uniform",
    summary="a period with a uniform jitter of +-20 %, as in the study",
    make=lambda _argument: Renewal("uniform", lambda rng, shape: rng.uniform(SHORTEST, LONGEST, shape)),
)
