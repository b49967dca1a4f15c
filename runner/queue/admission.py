"""Which queue cells are replayed: what a backend can serve, how fast requests come, and what the budget holds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from runner.bench import Roster
from runner.contender import Contender
from runner.policies.registry import POLICIES, parse_policy
from runner.queue.arrivals import mean_rate_hz
from runner.report.lines import QueueCellLine
from runner.report.schema import NOT_REACHED, QueueCell, QueueStatus

LEAST_GIVE_UP_S = 2.0
"""Ours: a pause of the whole machine is no queue that grows."""
GIVE_UP_CYCLES = 100
"""Ours: a request that waits longer than so many times what filling and serving a batch take stands in a queue that
only grows. With Poisson arrivals and equal services at 95 % of capacity its chance is below 1e-9 (Kingman's heavy
traffic approximation)."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A queue cell that is replayed in every block."""

    cell: QueueCell
    service_s: NDArray[np.float64]
    """expected by batch size, up to the largest of its policy; entry 0 is not used"""

    @property
    def window_s(self) -> float:
        """What a window is predicted to take: until the last request has come, and its batch."""
        return self.last_arrival_s + float(self.service_s[-1])

    @property
    def rate_hz(self) -> float:
        """Requests per second."""
        rate_hz = self.cell.load.request_rate_hz
        assert rate_hz is not None, self.cell.key
        return rate_hz

    @property
    def last_arrival_s(self) -> float:
        """When the last request of a window comes, on average."""
        return self.cell.load.request_count / self.rate_hz

    @property
    def longest_wait_s(self) -> float:
        """The wait after which a window is given up."""
        policy = parse_policy(self.cell.load.policy)
        cycle_s = policy.largest_batch / self.rate_hz + float(self.service_s[-1])
        return max(LEAST_GIVE_UP_S, GIVE_UP_CYCLES * cycle_s + policy.delay_s)


class Services:
    """What batches of one model take each contender, as this run saw so far; between sizes on straight lines."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._seen_s: dict[tuple[Contender, float], dict[int, float]] = {}
        for key, cell in roster.ready.items():
            if cell.load.pace_hz is None and cell.io == "host" and not cell.load.mixed:
                sizes = self._seen_s.setdefault((cell.contender, cell.load.gap_s), {})
                sizes[cell.load.batch_size] = self._mean_s(key)

    def _mean_s(self, key: str) -> float:
        means_s = self._roster.so_far.means_s.get(key)
        return fmean(means_s.values()) if means_s else self._roster.inference_s[key]

    def largest(self, contender: Contender) -> int:
        """Return the largest batch that was measured back to back; 0 where none was."""
        return max(self._seen_s.get((contender, 0.0), {0: 0.0}))

    def hot_s(self, contender: Contender, largest: int) -> NDArray[np.float64]:
        """Return the times back to back by batch size, from 0 (unused) to the largest."""
        return self._by_size(self._seen_s[contender, 0.0], largest)

    def after_gaps_s(self, contender: Contender, largest: int) -> NDArray[np.float64]:
        """Return the longest times after any gap by batch size: what a deadline has to allow for.

        Beyond the largest batch that was measured after a gap, the gap adds what it adds to that one.
        """
        hot = self._seen_s[contender, 0.0]
        added = [
            self._by_size({size: sizes[size] - hot[size] for size in both}, largest)
            for (who, gap_s), sizes in self._seen_s.items()
            if who == contender and gap_s and (both := sizes.keys() & hot.keys())
        ]
        longest_s = self.hot_s(contender, largest) + np.max([np.zeros(largest + 1), *added], axis=0)
        return np.asarray(longest_s)

    def _by_size(self, sizes: dict[int, float], largest: int) -> NDArray[np.float64]:
        known = sorted(sizes)
        return np.interp(np.arange(largest + 1), known, [sizes[size] for size in known])


def queue_need_s(roster: Roster) -> float:
    """Return what replaying all cells is predicted to take, as often as the profile says."""
    if not roster.plan.queue:
        return 0.0
    services = Services(roster)
    rated = [_rated(cell, services) for cell in _open_cells(roster)]
    admitted = [Admitted(cell, _expected_s(cell, services)) for cell in rated if cell.reason == NOT_REACHED]
    return roster.bench.profile.replays * sum(each.window_s for each in admitted)


def admit(roster: Roster, windows: int, left_s: float, around_s: float) -> dict[str, Admitted]:
    """Return the cells to be replayed, by key; what cannot be is journaled with the reason.

    Args:
        roster: of the model, its batches measured.
        windows: how many are still to be taken of each cell.
        left_s: what the budget has left for replays and what goes with them.
        around_s: of it, for measuring batches before each block and for starting workers.
    """
    services = Services(roster)
    admitted: dict[str, Admitted] = {}
    for cell in _open_cells(roster):
        rated = _rated(cell, services)
        if (rated.status, rated.reason) != (cell.status, cell.reason):
            tell(roster, rated)
            continue
        entry = Admitted(rated, _expected_s(rated, services))
        replays_s = windows * entry.window_s
        need_s = replays_s + around_s
        if need_s > left_s and not roster.so_far.queue.blocks:
            reason = (
                f"budget: needs {need_s:.0f} s with fresh workers and the batches before each block, "
                f"{max(0.0, left_s):.0f} s are left"
            )
            close(roster, rated, "skipped", reason)
        else:
            left_s -= replays_s
            admitted[cell.key] = entry
            tell(roster, rated)
    return admitted


def close(roster: Roster, cell: QueueCell, status: QueueStatus, reason: str) -> None:
    """Journal what became of a cell that is not replayed any more."""
    tell(roster, _closed(cell, status, reason))


def tell(roster: Roster, cell: QueueCell) -> None:
    """Journal what is known of a cell."""
    roster.so_far.queue.cells[cell.key] = cell
    roster.bench.journal.write(QueueCellLine(entry=cell))


def _open_cells(roster: Roster) -> Iterator[QueueCell]:
    """Yield the planned cells whose fate is open, as the latest journal line has them."""
    for planned in roster.plan.queue:
        latest = roster.so_far.queue.cells.get(planned.key, planned)
        if (latest.status, latest.reason) == (planned.status, planned.reason):
            yield latest


def _expected_s(cell: QueueCell, services: Services) -> NDArray[np.float64]:
    """Return the expected times of batches: those that the policy was told, or what was seen so far."""
    if cell.expected_service_s:
        return np.array(cell.expected_service_s)
    return services.after_gaps_s(cell.contender, parse_policy(cell.load.policy).largest_batch)


def _rated(cell: QueueCell, services: Services) -> QueueCell:
    """Return a cell with its rate and capacity, or why there is nothing to replay; once told, they stay."""
    policy = parse_policy(cell.load.policy)
    if services.largest(cell.contender) < policy.largest_batch:
        return _closed(cell, "skipped", f"batch {policy.largest_batch} was not measured on {cell.contender}")
    if cell.capacity_hz is not None:
        return cell
    hot_s = services.hot_s(cell.contender, policy.largest_batch)
    capacity_hz = capacity(hot_s, fixed=policy.kind == "fixed")
    rate_hz = _rate_hz(cell, services)
    load = cell.load.model_copy(update={"request_rate_hz": rate_hz})
    told: dict[str, object] = {"capacity_hz": capacity_hz, "load": load}
    if POLICIES[policy.kind].needs_service_times:
        told["expected_service_s"] = tuple(
            services.after_gaps_s(cell.contender, policy.largest_batch).tolist()
        )
    cell = cell.model_copy(update=told)
    if rate_hz >= capacity_hz:
        return _closed(cell, "overloaded", f"{rate_hz:.3g} requests/s, capacity {capacity_hz:.3g}/s")
    return cell


def _rate_hz(cell: QueueCell, services: Services) -> float:
    """Return how many requests come per second: as asked for, as a share of the capacity, or as a trace has them."""
    load = cell.load
    if load.request_rate_hz is not None:
        return load.request_rate_hz
    if load.relative_load is not None:
        largest = services.largest(cell.contender)
        return load.relative_load * capacity(services.hot_s(cell.contender, largest), fixed=False)
    return mean_rate_hz(load.arrivals, load.request_count)


def _closed(cell: QueueCell, status: QueueStatus, reason: str) -> QueueCell:
    return cell.model_copy(update={"status": status, "reason": reason})


def capacity(hot_s: Sequence[float] | NDArray[np.float64], *, fixed: bool) -> float:
    """Return the most requests per second that can be served.

    Args:
        hot_s: time of a batch by its size, entry 0 unused.
        fixed: whether every batch is of the largest size; otherwise those that waited make the best one.
    """
    sizes = np.arange(1, len(hot_s))
    rates = sizes / np.asarray(hot_s)[1:]
    return float(rates[-1] if fixed else rates.max())
