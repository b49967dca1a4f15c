import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.conditions import Conditions, MachineState, Observer, disturbance
from runner.machine import cpu
from runner.meters.gpu_state import SLOWDOWNS, GpuState
from runner.workers.protocol import Measurement

MEASURED = Measurement(
    started_s=10.0,
    ended_s=11.0,
    latencies_s=(1.0,),
    cpu_s=1.0,
    late_s=0.0,
    voluntary_switches=3,
    involuntary_switches=4,
    minor_faults=5,
    major_faults=6,
    stops=7,
)
QUIET = Conditions(
    before=MachineState(),
    after=MachineState(),
    span_s=2.0,
    cores=2,
    foreign_cpu_s=0.0,
    steal_s=0.0,
    pressure_s=0.0,
    throttled_s=0.0,
    voluntary_switches=9,
    involuntary_switches=9,
    minor_faults=9,
    major_faults=9,
    stops=0,
)
SILENT = replace(QUIET, foreign_cpu_s=None, steal_s=None, pressure_s=None, throttled_s=None)


def _gpu(*reasons: str) -> GpuState:
    return GpuState("GPU-a", 40.0, 1e9, 700.0, reasons)


class _Machine:
    """A tree of /proc and /sys, and a clock."""

    def __init__(self, root: Path) -> None:
        self.root, self.at_s = root, 100.0
        self.gpus = (_gpu("idle"),)
        self.cores: tuple[int, ...] = ()
        """user ticks of each core that is listed by itself"""
        self._write("proc/self/cgroup", "0::/run")
        self._write("sys/class/hwmon/hwmon0/name", "k10temp")
        self.set()

    def set(
        self,
        *,
        user: int = 1000,
        steal: int = 50,
        waited_us: int = 7_000_000,
        throttled_us: int = 10,
        celsius: int = 50,
    ) -> None:
        """Show these ticks, microseconds and degrees from now on."""
        cores = [f"cpu{core} {ticks} 0 0 0 0 0 0 0" for core, ticks in enumerate(self.cores)]
        self._write("proc/stat", "\n".join((f"cpu  {user} 0 200 9999 9 0 0 {steal} 0 0", *cores)))
        self._write("proc/pressure/cpu", f"some avg10=0.00 avg60=0.00 avg300=0.00 total={waited_us}")
        self._write("sys/fs/cgroup/run/cpu.stat", f"usage_usec 1\nthrottled_usec {throttled_us}")
        self._write("sys/class/hwmon/hwmon0/temp1_input", f"{celsius}000")

    def observer(self) -> Observer:
        return Observer(lambda: self.gpus, lambda: self.at_s, self.root)

    def _write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


@pytest.fixture
def machine(tmp_path: Path) -> _Machine:
    return _Machine(tmp_path)


def test_the_evidence_is_what_changed_between_begin_and_end(machine: _Machine) -> None:
    observer = machine.observer()
    observer.begin(20.0)
    machine.at_s += 1.5
    machine.set(user=1180, steal=54, waited_us=7_250_000, throttled_us=30_010, celsius=55)
    machine.gpus = (_gpu("power cap"),)
    found = observer.end(21.2, MEASURED)
    assert found.before == MachineState(50.0, None, None, (_gpu("idle"),))
    assert found.after == MachineState(55.0, None, None, (_gpu("power cap"),))
    assert found.span_s == pytest.approx(1.5)
    assert found.foreign_cpu_s == pytest.approx(1.8 - 1.2)
    assert found.steal_s == pytest.approx(0.04)
    assert found.pressure_s == pytest.approx(0.25)
    assert found.throttled_s == pytest.approx(0.03)
    assert (found.voluntary_switches, found.involuntary_switches) == (3, 4)
    assert (found.minor_faults, found.major_faults, found.stops) == (5, 6, 7)


def test_what_runs_on_cores_that_we_may_not_use_is_not_beside_us(
    machine: _Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1})
    monkeypatch.setattr(cpu, "cgroup_quota_cores", lambda: 0.5)  # which throttling is the evidence of
    machine.cores = (0, 100)
    machine.set()
    observer = machine.observer()
    observer.begin(0.0)
    machine.cores = (800, 150)
    machine.set(user=1850)
    found = observer.end(0.4, MEASURED)
    assert found.cores == 1
    assert found.foreign_cpu_s == pytest.approx(0.1)


def test_each_window_begins_anew(machine: _Machine) -> None:
    observer = machine.observer()
    observer.begin(0.0)
    machine.set(user=5000)
    machine.at_s += 60
    observer.begin(0.0)  # the worker of the first window was lost, so nothing ended it
    machine.at_s += 1
    machine.set(user=5100)
    found = observer.end(1.0, MEASURED)
    assert found.foreign_cpu_s == pytest.approx(0.0)
    assert found.span_s == 1.0


def test_the_worker_s_finer_clock_never_makes_others_negative(machine: _Machine) -> None:
    observer = machine.observer()
    observer.begin(0.0)
    assert observer.end(0.009, MEASURED).foreign_cpu_s == 0.0


@pytest.mark.parametrize("worker_cpu_s", [(None, 1.0), (1.0, None)])
def test_without_the_worker_s_time_that_of_others_is_unknown(
    worker_cpu_s: tuple[float | None, float | None], machine: _Machine
) -> None:
    observer = machine.observer()
    observer.begin(worker_cpu_s[0])
    assert observer.end(worker_cpu_s[1], MEASURED).foreign_cpu_s is None


def test_a_steal_that_falls_says_nothing(machine: _Machine) -> None:
    observer = machine.observer()
    observer.begin(0.0)
    machine.set(steal=49)
    assert observer.end(0.0, MEASURED).steal_s is None


def test_a_machine_that_says_nothing_leaves_none_and_never_0(tmp_path: Path) -> None:
    observer = Observer(root=tmp_path / "none")
    observer.begin(1.0)
    found = observer.end(2.0, MEASURED)
    assert found.before == found.after == MachineState(None, None, None, ())
    assert (found.foreign_cpu_s, found.steal_s, found.pressure_s, found.throttled_s) == (None,) * 4


def test_this_machine_is_observed_as_it_is() -> None:
    observer = Observer()
    observer.begin(0.0)
    found = observer.end(0.0, MEASURED)
    assert found.span_s > 0
    assert found.foreign_cpu_s is not None
    assert found.foreign_cpu_s >= 0


@pytest.mark.parametrize("conditions", [QUIET, SILENT, replace(QUIET, pressure_s=2.0)])
def test_a_quiet_machine_and_one_that_says_nothing_disturb_nothing(conditions: Conditions) -> None:
    assert disturbance(conditions) == ""


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"stops": 1}, "a signal stopped the worker once"),
        ({"throttled_s": 0.05}, "the CPU quota of our cgroup was spent (throttled for 0.05 s)"),
        ({"foreign_cpu_s": 0.6}, "other processes took 0.6 s of CPU time in 2 s on 2 cores"),
        ({"steal_s": 0.3}, "the hypervisor took 0.3 s of CPU time in 2 s on 2 cores"),
    ],
)
def test_a_cause_is_named_with_its_numbers(change: dict[str, float], cause: str) -> None:
    assert disturbance(replace(QUIET, **change)) == cause  # type: ignore[arg-type] # stops is an int


@given(
    st.sampled_from([("foreign_cpu_s", 0.10), ("steal_s", 0.05)]),
    st.floats(0.05, 60),
    st.integers(1, 256),
    st.floats(0.0, 2.0),
)
def test_cpu_time_of_others_disturbs_above_its_share_of_the_cores_and_two_ticks(
    limit: tuple[str, float], span_s: float, cores: int, of_limit: float
) -> None:
    name, ratio = limit
    limit_s = ratio * cores * span_s + 0.02
    taken_s = of_limit * limit_s
    if not math.isclose(taken_s, limit_s):
        taken = replace(QUIET, span_s=span_s, cores=cores, **{name: taken_s})  # type: ignore[arg-type] # a float field
        assert bool(disturbance(taken)) == (taken_s > limit_s)


@pytest.mark.parametrize("reason", SLOWDOWNS)
@pytest.mark.parametrize("edge", ["before", "after"])
def test_a_gpu_that_is_too_hot_or_short_of_supply_disturbs(reason: str, edge: str) -> None:
    state = MachineState(gpus=(_gpu("idle", reason),))
    conditions = replace(QUIET, **{edge: state})  # type: ignore[arg-type] # a state field
    assert disturbance(conditions) == f"GPU-a was throttled: {reason}"


def test_a_power_cap_is_a_choice_and_what_a_gpu_does_not_say_disturbs_nothing() -> None:
    capped = MachineState(gpus=(_gpu("power cap", "application clocks", "idle"),))
    silent = MachineState(gpus=(GpuState("GPU-b", None, None, None, None),))
    assert disturbance(replace(QUIET, before=capped, after=silent)) == ""


def test_several_causes_stand_beside_each_other_each_once() -> None:
    hot = MachineState(gpus=(_gpu(SLOWDOWNS[0]),))
    found = disturbance(replace(QUIET, before=hot, after=hot, stops=2))
    assert found == f"a signal stopped the worker 2 times; GPU-a was throttled: {SLOWDOWNS[0]}"
