"""The meters that there are, and what ``--meter`` opens; a new meter is one file and one entry here."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from runner.clock import Clock, SystemClock
from runner.errors import AbsentError, UsageError, nearest
from runner.meters.interface import DOMAINS, Domain, Meter, Unavailable
from runner.meters.recorder import MeterSet


@dataclass(frozen=True, slots=True)
class MeterKind:
    """A way to read energy; its module has ``open_domains(clock)``, which answers for each of its domains."""

    module: str
    domains: tuple[Domain, ...]
    summary: str


METERS: Mapping[str, MeterKind] = {
    "rapl": MeterKind(
        "runner.meters.rapl", ("cpu_package", "dram"), "CPU packages and memory, through pyRAPL or powercap"
    ),
    "nvml": MeterKind("runner.meters.nvml", ("gpu",), "every NVIDIA GPU of the machine, used or idle"),
}
CHOICES = ("auto", "none", *METERS)
"""what ``--meter`` accepts"""


def open_meters(
    choice: str, cpu_watts: tuple[float, float] | None = None, clock: Clock | None = None
) -> MeterSet:
    """Return the meters that were asked for, with the reason for each domain that has none.

    Args:
        choice: ``auto`` for what is there, ``none``, or one name.
        cpu_watts: idle and full power; a domain that is measured is never estimated.
        clock: the machine's own by default.

    Raises:
        UsageError: no such meter.
        AbsentError: the meter that was asked for by name can read nothing here.
    """
    choice, clock = choice.lower(), clock or SystemClock()
    if choice not in CHOICES:
        raise UsageError(f"Unknown meter {choice}", fix=nearest(choice, CHOICES))
    meters: dict[Domain, Meter] = {}
    absent: dict[Domain, Unavailable] = {
        domain: Unavailable(domain, f"not asked for (--meter {choice})") for domain in DOMAINS
    }
    for name, kind in METERS.items():
        if choice in ("auto", name):
            for found in _open(kind, clock):
                if isinstance(found, Unavailable):
                    absent[found.domain] = found
                else:
                    meters[found.status.domain] = found
    if choice in METERS and not meters:
        why = absent[METERS[choice].domains[0]]
        raise AbsentError(
            f"Cannot measure energy with {choice}",
            expected="a counter that can be read",
            got=why.reason,
            fix=why.remedy or "Pass --meter auto to run without it",
        )
    if cpu_watts is not None and "cpu_package" not in meters:
        from runner.meters.estimate import EstimateMeter  # noqa: PLC0415 - only where it was asked for

        meters["cpu_package"] = EstimateMeter(cpu_watts, clock)
    return MeterSet(
        tuple(meters[domain] for domain in DOMAINS if domain in meters),
        tuple(absent[domain] for domain in DOMAINS if domain not in meters),
        clock,
    )


def _open(kind: MeterKind, clock: Clock) -> tuple[Meter | Unavailable, ...]:
    return cast("tuple[Meter | Unavailable, ...]", import_module(kind.module).open_domains(clock))
