"""Arrivals, as the live queue and the twin ask for them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runner.errors import UsageError

Rates = float | NDArray[np.float64] | None
"""mean arrivals per second: one number, one per row, or none where a file holds the times"""


class Arrivals(Protocol):
    """When requests arrive. It keeps no state; the generator that the caller seeds is all that varies."""

    @property
    def spec(self) -> str:
        """In full, so that it is read as the same arrivals again: ``burst:22``."""

    @property
    def takes_rate(self) -> bool:
        """Whether a rate must be given; if not, none may be."""

    @property
    def available(self) -> int | None:
        """How many arrivals there are; None where there is no end."""

    def times_s(self, rate_hz: Rates, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return the first arrival times, ascending, in seconds from the start of the queue.

        The queue starts as if a request had just come, which does not count: the first gap is waited for as well.

        Args:
            rate_hz: mean arrivals per second, one number.
            count: how many, from 1 on.
            rng: equal states give equal arrivals, and at another rate the same ones, stretched.

        Raises:
            UsageError: fewer are available, no rate above 0, or a rate where none is taken.
        """

    def chunks(
        self, rate_hz: Rates, rows: int, size: int, rng: np.random.Generator
    ) -> Iterator[NDArray[np.float64]]:
        """Return arrival times of many queues, shape (rows, size): each chunk goes on where the one before it ended.

        Memory is that of one chunk, and each is the caller's to keep or change. Drawn arrivals are independent between
        rows and never end. Those of a file are the same in all rows, end, and may end in a smaller chunk.

        Args:
            rate_hz: mean arrivals per second, one number or one per row.
            rows: how many queues, from 1 on.
            size: how many arrivals of each queue a chunk holds, from 1 on.
            rng: equal states give equal arrivals for the same rows and size, and other ones for others.

        Raises:
            UsageError: no rate above 0, or a rate where none is taken; at once, not with the first chunk.
        """


@dataclass(frozen=True, slots=True)
class ArrivalsKind:
    """A kind of arrivals: what its spec looks like, and what makes one."""

    name: str
    """before the colon"""
    form: str
    """as help shows it"""
    summary: str
    make: Callable[[str], Arrivals]
    """of what follows the name and a colon; empty where nothing does"""
    argument: str = ""
    """what may follow the name, colon included, as a regular expression; nothing by default"""
    limits: str = ""
    """of the argument, as an error says them"""


def positive_rates(rate_hz: Rates, spec: str) -> NDArray[np.float64]:
    """Return rates in arrivals per second, all above 0 and finite.

    Raises:
        UsageError: one is not, or there is none.
    """
    rates_hz = np.asarray(np.nan if rate_hz is None else rate_hz, dtype=np.float64)
    wrong = rates_hz[~(np.isfinite(rates_hz) & (rates_hz > 0))]
    if wrong.size:
        raise UsageError(
            f"Cannot draw {spec} arrivals",
            expected="a request rate above 0",
            got="none" if rate_hz is None else f"{wrong[0]:g}",
            fix="Pass for example --request-rate 32",
        )
    return rates_hz
