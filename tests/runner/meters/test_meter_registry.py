import sys

import pynvml
import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from runner.errors import AbsentError, UsageError
from runner.meters.interface import DOMAINS, MeterStatus
from runner.meters.registry import CHOICES, METERS, open_meters
from tests.runner.meters.fake_pynvml import FakeGpu, FakeNvml
from tests.runner.meters.simulated import FakeClock, Machine


@pytest.fixture
def machine(fs: FakeFilesystem, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine without a GPU and, until a zone is added, without RAPL."""
    fake = FakeNvml(FakeClock(), init_error=pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    machine = Machine(fs)
    machine.cpus([0])
    return machine


def by_domain(entries: tuple[MeterStatus, ...]) -> dict[str, MeterStatus]:
    assert tuple(entry.domain for entry in entries) == DOMAINS
    return {entry.domain: entry for entry in entries}


def test_auto_takes_what_is_there_and_explains_the_rest(machine: Machine) -> None:
    machine.zone(0, "package-0")
    with open_meters("auto", clock=machine.clock) as meters:
        entries = by_domain(meters.entries)
        package = entries["cpu_package"]
        assert (package.status, package.source, package.devices) == ("measured", "pyRAPL", ("package-0",))
        assert meters.minimum_window_s == 1.0
    for domain in ("dram", "gpu"):
        assert entries[domain].status == "unavailable"
        assert entries[domain].reason
    assert "Install the driver" in entries["gpu"].remedy


@pytest.mark.parametrize("choice", METERS)
def test_a_meter_asked_for_by_name_must_be_there(machine: Machine, choice: str) -> None:
    with pytest.raises(AbsentError, match=f"Cannot measure energy with {choice}: expected .*, got no "):
        open_meters(choice)


def test_only_what_was_asked_for_is_opened(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = machine.clock
    machine.zone(0, "package-0", ["dram"])
    fake = FakeNvml(clock, FakeGpu())
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    with open_meters("rapl", clock=clock) as meters:
        entries = by_domain(meters.entries)
        assert fake.users == 0
    assert entries["dram"].devices == ("dram-0",)
    assert entries["gpu"].reason == "not asked for (--meter rapl)"
    with open_meters("NVML", clock=clock) as meters:
        assert by_domain(meters.entries)["gpu"].devices == ("GPU-aaaa",)
        assert meters.minimum_window_s == 2.0
        assert fake.users == 1
    assert fake.users == 0


def test_an_unknown_meter_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"Unknown meter nvlm\. Did you mean nvml\?") as caught:
        open_meters("nvlm")
    assert all(choice in str(caught.value) for choice in CHOICES)


def test_an_estimate_fills_in_and_never_replaces_a_measurement(machine: Machine) -> None:
    without = by_domain(open_meters("none").entries)
    assert {entry.status for entry in without.values()} == {"unavailable"}
    for choice in ("auto", "none"):
        assert by_domain(open_meters(choice, (10.0, 50.0)).entries)["cpu_package"].status == "estimated"
    machine.zone(0, "package-0")
    with open_meters("auto", (10.0, 50.0), machine.clock) as meters:
        assert by_domain(meters.entries)["cpu_package"].status == "measured"
