"""pyRAPL and our own reader on generated trees: both agree wherever both work, and ours works on the rest."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyfakefs.fake_filesystem import FakeFilesystem

from runner.meters import rapl
from runner.meters.interface import MeterFault
from runner.meters.powercap import find_zones
from tests.runner.meters.simulated import Machine


@dataclass(frozen=True, slots=True)
class Tree:
    """What a kernel may show of a machine."""

    packages: tuple[int, ...]
    """in the order of their zones"""
    dies: int
    """per package; 0 where the kernel names none"""
    has_dram: bool
    has_parts: bool
    psys_at: int | None
    """before which zone"""
    gap_at: int | None
    """before which zone a number is missing"""
    is_amd: bool
    offline_cpu: bool

    def build(self, machine: Machine) -> None:
        machine.cpus(
            [package for package in sorted(self.packages) for _ in range(2)],
            vendor="AuthenticAMD" if self.is_amd else "GenuineIntel",
            offline=int(self.offline_cpu),
        )
        parts = [*(["core"] if self.has_parts else []), *(["dram"] if self.has_dram else [])]
        number = 0
        for index, name in enumerate(self.names()):
            number += index == self.gap_at
            if index == self.psys_at:
                machine.zone(number, "psys")
                number += 1
            machine.zone(number, name, parts)
            number += 1
        for index, directory in enumerate(machine.zones.values()):
            Path(directory, "energy_uj").write_text(f"{10**9 + 2**index}\n", encoding="ascii")

    def names(self) -> tuple[str, ...]:
        if not self.dies:
            return tuple(f"package-{package}" for package in self.packages)
        return tuple(f"package-{package}-die-{die}" for package in self.packages for die in range(self.dies))

    @property
    def is_for_pyrapl(self) -> bool:
        """Whether pyRAPL understands it: by what its source does, not by trying."""
        has_gap = self.gap_at is not None and self.gap_at < len(self.packages)
        return not self.dies and not has_gap and not self.offline_cpu


trees = st.builds(
    Tree,
    packages=st.permutations(range(4)).flatmap(
        lambda order: st.integers(1, 4).map(lambda count: tuple(p for p in order if p < count))
    ),
    dies=st.sampled_from([0, 0, 1, 2]),
    has_dram=st.booleans(),
    has_parts=st.booleans(),
    psys_at=st.none() | st.integers(0, 3),
    gap_at=st.none() | st.none() | st.integers(0, 3),
    is_amd=st.booleans(),
    offline_cpu=st.sampled_from([False, False, True]),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # each example begins with an empty file system
@given(tree=trees)
def test_both_readers_agree_wherever_both_work_and_ours_always_does(fs: FakeFilesystem, tree: Tree) -> None:
    fs.reset()
    machine = Machine(fs)
    tree.build(machine)
    domains: tuple[Literal["cpu_package", "dram"], ...] = ("cpu_package", "dram")
    for domain in domains:
        if domain == "dram" and not tree.has_dram:
            with pytest.raises(MeterFault, match="no counter for memory"):
                find_zones(domain)
            continue
        zones = find_zones(domain)
        ours = [zone.read_count() for zone in zones]
        assert sorted(ours) == sorted(_shown(machine, tree, domain))
        with ExitStack() as opened:
            source, reads = rapl._readers(domain, zones, opened)
            assert [read() for read in reads] == ours
        assert source == ("pyRAPL" if tree.is_for_pyrapl else "powercap")


def _shown(machine: Machine, tree: Tree, domain: Literal["cpu_package", "dram"]) -> list[int]:
    """Return the counters that make the domain: every package once, and never its parts or psys."""
    names = tree.names()
    if tree.is_amd and tree.dies:  # the dies of a package mirror one counter
        names = tuple(name for name in names if name.endswith("-die-0"))
    keys = names if domain == "cpu_package" else tuple(f"{name}/dram" for name in names)
    paths = [Path(machine.zones[key], "energy_uj") for key in keys]
    return [int(path.read_text(encoding="ascii")) for path in paths]
