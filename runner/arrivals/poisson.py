"""``poisson``: many users who know nothing of each other."""

from runner.arrivals.interface import ArrivalsKind
from runner.arrivals.renewal import Renewal

KIND = ArrivalsKind(
    name="poisson",
    form="poisson",
    summary="exponential gaps: independent users",
    make=lambda _argument: Renewal("poisson", lambda rng, shape: rng.standard_exponential(shape)),
)
