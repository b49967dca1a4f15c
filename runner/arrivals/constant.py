"""``constant``: a camera, a frame each period."""

import numpy as np

from runner.arrivals.interface import ArrivalsKind
from runner.arrivals.renewal import Renewal

KIND = ArrivalsKind(
    name="constant",
    form="constant",
    summary="equal gaps",
    make=lambda _argument: Renewal("constant", lambda _rng, shape: np.ones(shape)),
)
