"""Joules of windows over one set of domains, and what the resting machine draws over the same."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from runner.backends.interface import Device
from runner.meters.interface import DOMAINS, Domain, Energy, Measured
from runner.report.schema import OWN_DOMAIN, IdleWindow

IDLE_AGREEMENT_RATIO = 0.05
"""by which idle power before and after may differ: docs/measurement.md, section 3"""


@dataclass(frozen=True, slots=True)
class Metering:
    """How the energy of a cell was taken."""

    device: Device
    """on which it computes"""
    measured: tuple[Domain, ...]
    """domains whose meter opened"""
    idle: tuple[IdleWindow, ...] = ()
    """the machine at rest, before and after"""


@dataclass(frozen=True, slots=True)
class IdlePower:
    """What the resting machine draws over one set of domains."""

    power_w: float
    is_reliable: bool


def summed_domains(energies: Iterable[Sequence[Energy]], metering: Metering) -> tuple[Domain, ...]:
    """Return the domains that windows are summed over: all whose meter opened and was read in any of them.

    None without the domain of the cell's own device: an idle GPU's joules are not what a CPU spent.
    """
    windows = tuple(energies)
    domains = tuple(
        domain
        for domain in DOMAINS
        if domain in metering.measured and any(is_measured(energy, domain) for energy in windows)
    )
    return domains if OWN_DOMAIN[metering.device] in domains else ()


def measured(energy: Sequence[Energy]) -> list[Measured]:
    """Return the entries that were measured."""
    return [entry for entry in energy if isinstance(entry, Measured)]


def joules(energy: Sequence[Energy], domains: Sequence[Domain]) -> float:
    """Return the sum over these domains, all of which were measured."""
    return sum(entry.energy_j for entry in measured(energy) if entry.domain in domains)


def all_measured(energy: Sequence[Energy], domains: Sequence[Domain]) -> bool:
    """Return whether every one of these domains was read."""
    return all(is_measured(energy, domain) for domain in domains)


def is_measured(energy: Sequence[Energy], domain: Domain) -> bool:
    """Return whether every meter of a domain was read; one unread package makes no total."""
    statuses = [entry.status for entry in energy if entry.domain == domain]
    return bool(statuses) and set(statuses) == {"measured"}


def idle_power(windows: Sequence[IdleWindow], domains: Sequence[Domain]) -> IdlePower | None:
    """Return the mean of idle power before and after; unreliable where they differ, or before a run has ended.

    None where these very domains were not all read before.
    """
    before_w, after_w = (_power_w(windows, domains, moment) for moment in ("before", "after"))
    if before_w is None:
        return None
    if after_w is None:
        return IdlePower(before_w, is_reliable=False)
    power_w = (before_w + after_w) / 2
    return IdlePower(power_w, is_reliable=abs(after_w - before_w) <= IDLE_AGREEMENT_RATIO * power_w)


def loaded_power_w(windows: Sequence[IdleWindow], domains: Sequence[Domain], model: str) -> float | None:
    """Return what the machine draws at rest with the sessions of a model open; else what it drew before the run."""
    own = [window for window in windows if window.model == model]
    loaded_w = _power_w(own, domains, "loaded")
    return _power_w(windows, domains, "before") if loaded_w is None else loaded_w


def _power_w(windows: Sequence[IdleWindow], domains: Sequence[Domain], moment: str) -> float | None:
    powers_w = [
        joules(window.energy, domains) / window.wall_s
        for window in windows
        if window.moment == moment and all_measured(window.energy, domains)
    ]
    return fmean(powers_w) if powers_w else None
