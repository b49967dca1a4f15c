"""``burst[:N]``: bursts of N requests on average, and silence between them."""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from runner.arrivals.interface import ArrivalsKind
from runner.arrivals.renewal import Renewal

ON_S, OFF_S = 0.352, 0.650
"""Mean lengths of burst and silence of the best-known on-off source, a talker; only their ratio is used.

Source: Sriram and Whitt 1986, Characterizing Superposition Arrival Processes in Packet Multiplexers for Voice and Data,
IEEE Journal on Selected Areas in Communications 4(6).
"""
ON_RATIO = ON_S / (ON_S + OFF_S)
"""share of the time that is burst, 35 %: within one the rate is 2.8 times the mean"""
BURST_REQUESTS = 22
"""mean arrivals of a burst. Source: the same, a packet each 16 ms of 352 ms."""


def burst(mean_requests: int) -> Renewal:
    """Return an interrupted Poisson process: exponential bursts and silences, Poisson arrivals within a burst.

    Its gaps are independent, each exponential with one of two means, and need no state between them. Their squared
    coefficient of variation is 1 + 2 N (1 - share of burst)^2: 19.5 by default, against 1 of a Poisson process.

    Source: Kuczura 1973, The Interrupted Poisson Process As an Overflow Process, Bell System Technical Journal 52(3),
    equations of the equivalence to hyperexponential gaps.
    """
    # All rates are per mean gap, so that the mean rate is 1.
    arrival = 1 / ON_RATIO
    ending = arrival / mean_requests
    beginning = ending * ON_RATIO / (1 - ON_RATIO)
    total = arrival + ending + beginning
    root = sqrt(total**2 - 4 * arrival * beginning)
    fast, slow = (total + root) / 2, (total - root) / 2
    fast_ratio = (arrival - slow) / (fast - slow)

    def draw_gaps(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
        gaps = rng.standard_exponential(shape)
        gaps *= np.where(rng.random(shape) < fast_ratio, 1 / fast, 1 / slow)
        return gaps

    return Renewal(f"burst:{mean_requests}", draw_gaps)


KIND = ArrivalsKind(
    name="burst",
    form="burst[:N]",
    summary=f"bursts of N requests on average ({BURST_REQUESTS} by default), and silence between them",
    make=lambda argument: burst(int(argument or BURST_REQUESTS)),
    argument=r":[1-9][0-9]{0,5}|",
    limits=" with N from 1 to 999999",
)
