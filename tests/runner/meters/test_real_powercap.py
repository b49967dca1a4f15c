"""The whole RAPL meter on real files that another process writes, wraps included, against the closed form."""

import time
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.powercap_writer import (
    FIRST_WRAP_S,
    UNIT_J,
    UPDATE_PERIOD_S,
    ZONES,
    energy_j,
    powercap,
    updates,
    written_tree,
)
from runner.meters import powercap as tree
from runner.meters.interface import Measured
from runner.meters.recorder import Ahead
from runner.meters.registry import open_meters

RANGE_J = 1600.0  # package-0 wraps each 4 s, package-1 each 3.2 s
WINDOWS = 4
WINDOW_S = 1.5
PEAK_RATIO = 1.5


def no_pyrapl(**kwargs: object) -> object:
    raise ValueError(kwargs)


def longest_update_s(at_s: list[float], moment_s: float) -> float:
    """Return how long the writer, which is no hardware, left its counters alone around a moment."""
    around = [at for at in at_s if abs(at - moment_s) < 0.2]
    return max(after - before for before, after in pairwise(around))


def test_windows_are_within_one_tick_of_what_the_writer_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "_POWERCAP", powercap(tmp_path))
    monkeypatch.setattr(tree, "_CONTROL", powercap(tmp_path) / "intel-rapl")
    monkeypatch.setattr(tree, "_TOPOLOGY", tmp_path / "cpu")
    monkeypatch.setattr(tree, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("pyRAPL.Sensor", no_pyrapl)  # it would read this machine's own counters
    taken = []
    with written_tree(tmp_path, RANGE_J), open_meters("rapl") as meters:
        assert [entry.source for entry in meters.entries[:2]] == ["powercap"] * 2
        for entry in meters.entries[:2]:
            assert entry.tick_s is not None
            assert UPDATE_PERIOD_S / 2 < entry.tick_s < 0.1
        for _ in range(WINDOWS):
            meters.begin(Ahead(0.05, WINDOW_S))
            time.sleep(0.05)
            started_s = time.monotonic()
            time.sleep(WINDOW_S)
            ended_s = time.monotonic()
            taken.append((started_s, ended_s, meters.end(started_s, ended_s)))
    at_s = updates(tmp_path)
    for started_s, ended_s, energies in taken:
        assert [energy.domain for energy in energies] == ["cpu_package", "dram"]
        tick_s = max(longest_update_s(at_s, moment_s) for moment_s in (started_s, ended_s))
        for energy in energies:
            assert isinstance(energy, Measured), energy
            means_w = [mean_w for name, mean_w in ZONES if name.endswith("dram") == (energy.domain == "dram")]
            true_j = sum(energy_j(mean_w, ended_s) - energy_j(mean_w, started_s) for mean_w in means_w)
            tick_j = sum(means_w) * PEAK_RATIO * tick_s + len(means_w) * UNIT_J
            assert abs(energy.energy_j - true_j) <= tick_j + energy.bound_j
            assert energy.bound_j < 0.1 * true_j
    # Package-0 wraps about a second after its start and each 4 s from there; all windows together take 6 s.
    wraps_s = [at_s[0] + FIRST_WRAP_S + n * RANGE_J / ZONES[0][1] for n in range(4)]
    assert any(started_s < wrap_s < ended_s for started_s, ended_s, _ in taken for wrap_s in wraps_s)
