"""Services, arrivals and a slow simulation that is obviously right, for the tests of the twin."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from runner.policies.interface import Policy
from runner.twin.service import Counts, Floats, Rows

TimeOf = Callable[[int, float], float]
"""service time in seconds of a batch size after so much idle time"""


@dataclass(frozen=True)
class Deterministic:
    """Equal batches after equal idle times take equal times; a batch costs twice its service time."""

    time_of: TimeOf

    def start(self, rows: int, rng: np.random.Generator) -> "Deterministic":
        return self

    def draw(self, rows: Rows, counts: Counts, idle_s: Floats) -> tuple[Floats, Floats]:
        assert rows.shape == counts.shape == idle_s.shape
        assert np.unique(rows).size == rows.size
        assert counts.min() >= 1
        assert idle_s.min() >= 0
        service_s = np.array([self.time_of(*each) for each in zip(counts, idle_s, strict=True)], np.float64)
        return service_s, 2 * service_s


def constant(service_s: float) -> Deterministic:
    return Deterministic(lambda count, idle_s: service_s)


@dataclass(frozen=True)
class Scattered:
    """Every batch takes a gamma distributed time of one mean: exponential at shape 1, 20 % of scatter at shape 25."""

    mean_s: float
    shape: float = 1.0
    rng: np.random.Generator | None = None

    def start(self, rows: int, rng: np.random.Generator) -> "Scattered":
        return Scattered(self.mean_s, self.shape, rng)

    def draw(self, rows: Rows, counts: Counts, idle_s: Floats) -> tuple[Floats, Floats]:
        assert self.rng
        service_s = self.rng.standard_gamma(self.shape, counts.size) * (self.mean_s / self.shape)
        return service_s, service_s


def poisson(rate_hz: float | Sequence[float], rows: int, seed: int, size: int = 500) -> Iterator[Floats]:
    """Yield Poisson arrivals without end."""
    rng = np.random.default_rng(seed)
    rates_hz = np.broadcast_to(np.asarray(rate_hz), rows)[:, None]
    elapsed = np.zeros((rows, 1))
    while True:
        times_s: Floats = elapsed + (rng.exponential(1, (rows, size)) / rates_hz).cumsum(axis=1)
        elapsed = times_s[:, -1:]
        yield times_s


def regular(gap_s: float, count: int, rows: int = 1) -> Iterator[Floats]:
    """Yield arrivals one gap apart, from the first gap on, as one chunk."""
    yield np.tile(np.arange(1, count + 1) * gap_s, (rows, 1))


@dataclass(frozen=True)
class Batch:
    head: int
    count: int
    start_s: float
    idle_s: float
    service_s: float

    @property
    def end_s(self) -> float:
        return self.start_s + self.service_s


def by_hand(policy: Policy, times_s: Sequence[float], time_of: TimeOf) -> list[Batch]:
    """Return the batches of one queue, found event by event in plain Python."""
    batches: list[Batch] = []
    now_s, free_s, head = 0.0, 0.0, 0
    while head < len(times_s):
        waiting = sum(each <= now_s for each in times_s) - head
        to_come = [each for each in times_s if each > now_s]
        if not waiting:
            now_s = to_come[0]
            continue
        count, until_s = policy.next_dispatch(now_s, times_s[head], waiting, not to_come)
        if count:
            service_s = time_of(int(count), now_s - free_s)
            batches.append(Batch(head, int(count), now_s, now_s - free_s, service_s))
            now_s = free_s = now_s + service_s
            head += int(count)
        else:
            now_s = min(float(until_s), *to_come[:1], float("inf"))
    return batches
