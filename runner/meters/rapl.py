"""RAPL: the energy counters of CPU packages and memory, read by pyRAPL where it understands the tree."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Literal

from runner.clock import Clock
from runner.meters.domain import CounterChannel, DomainMeter
from runner.meters.interface import Meter, MeterFault, Unavailable
from runner.meters.powercap import OpenCounter, Zone, find_zones, guarded, preflight
from runner.meters.tick import CounterSource, watch

RaplDomain = Literal["cpu_package", "dram"]


def open_domains(clock: Clock) -> tuple[Meter | Unavailable, ...]:
    """Return a meter, or why there is none, for ``cpu_package`` and for ``dram``."""
    return tuple(_open(domain, clock) for domain in ("cpu_package", "dram"))


def _open(domain: RaplDomain, clock: Clock) -> Meter | Unavailable:
    with ExitStack() as opened:
        try:
            zones = find_zones(domain)
            preflight(zones)
            source, reads = _readers(domain, zones, opened)
            sources = [CounterSource(zone.counter(), read) for zone, read in zip(zones, reads, strict=True)]
            counters = watch(sources, clock)
        except MeterFault as fault:
            return Unavailable(domain, fault.reason, fault.remedy)
        channels = tuple(CounterChannel(counter, source, clock) for counter in counters)
        return DomainMeter(domain, channels, on_close=opened.pop_all().close)


def _readers(
    domain: RaplDomain, zones: tuple[Zone, ...], opened: ExitStack
) -> tuple[str, list[Callable[[], int]]]:
    """Return pyRAPL's readers, or our own where it fails: dies, offline processors, gaps in numbering."""
    try:
        return "pyRAPL", [pyrapl_reader(domain, zone) for zone in zones]
    except MeterFault:
        return "powercap", [opened.enter_context(closing(OpenCounter(zone))).read_count for zone in zones]


def pyrapl_reader(domain: RaplDomain, zone: Zone) -> Callable[[], int]:
    """Return a reader of one counter; each has its own ``Sensor``, so that no other counter can spoil it.

    Raises:
        MeterFault: pyRAPL does not understand this tree.
    """
    if zone.is_die:
        raise MeterFault("pyRAPL knows no dies")
    with _silenced():
        from pyRAPL import Device, PyRAPLException, Sensor  # noqa: PLC0415 - its import warns; only where it is used

    device = Device.PKG if domain == "cpu_package" else Device.DRAM
    try:
        sensor = Sensor(devices=[device], socket_ids=[zone.package])
    except (PyRAPLException, OSError, ValueError, IndexError) as error:
        raise MeterFault(f"pyRAPL rejects this tree ({error!r})") from error
    index = 2 * zone.package + int(device)  # the layout of Sensor.energy(): package, dram, package, dram, ...

    def read() -> int:
        count = int(sensor.energy()[index])
        if count < 0:  # pyRAPL's mark for an absent counter
            raise MeterFault(f"the counter of {zone.device} reads {count}: it is gone")
        return count

    def read_guarded() -> int:
        return guarded(read, zone.device)

    read_guarded()
    return read_guarded


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep pyRAPL's import from logging about packages nobody needs, and from setting up logging."""

    def is_not_pyrapl(record: logging.LogRecord) -> bool:
        return "pyRAPL" not in record.pathname

    # logging.warning() installs a root handler where there is none; ours stands in for it during the import.
    handler = logging.NullHandler()
    logging.root.addHandler(handler)
    logging.root.addFilter(is_not_pyrapl)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in its source
            yield
    finally:
        logging.root.removeFilter(is_not_pyrapl)
        logging.root.removeHandler(handler)
