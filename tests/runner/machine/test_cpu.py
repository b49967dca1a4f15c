import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.machine import cpu
from runner.machine.cpu import CpuCounters, CpuTimes, cgroup_quota_cores, process_cpu_s, usable_cores
from runner.machine.kernel import own_cgroups

V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/cpu"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def test_our_cgroup_and_its_ancestors_are_found_in_either_version(tmp_path: Path) -> None:
    _write(tmp_path / "proc/self/cgroup", "4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n0::/user.slice")
    v2, v1 = tmp_path / V2, tmp_path / V1
    assert own_cgroups("", tmp_path) == (v2 / "user.slice", v2)
    assert own_cgroups("cpu", tmp_path) == (v1 / "docker/abc", v1 / "docker", v1)
    assert own_cgroups("memory", tmp_path) == (v2 / "memory",)


def test_without_a_quota_there_is_none(tmp_path: Path) -> None:
    assert cgroup_quota_cores(tmp_path) is None
    _write(tmp_path / "proc/self/cgroup", "0::/")
    _write(tmp_path / V2 / "cpu.max", "max 100000")
    assert cgroup_quota_cores(tmp_path) is None


def test_v2_quota_of_a_container_is_at_its_root(tmp_path: Path) -> None:
    _write(tmp_path / "proc/self/cgroup", "0::/")
    _write(tmp_path / V2 / "cpu.max", "150000 100000")
    assert cgroup_quota_cores(tmp_path) == pytest.approx(1.5)


def test_v2_the_tightest_ancestor_limits(tmp_path: Path) -> None:
    _write(tmp_path / "proc/self/cgroup", "0::/user.slice/run.scope")
    _write(tmp_path / V2 / "user.slice/run.scope/cpu.max", "max 100000")
    _write(tmp_path / V2 / "user.slice/cpu.max", "300000 100000")
    assert cgroup_quota_cores(tmp_path) == pytest.approx(3.0)
    _write(tmp_path / V2 / "user.slice/run.scope/cpu.max", "200000 100000")
    assert cgroup_quota_cores(tmp_path) == pytest.approx(2.0)


def test_v1_quota_is_found_by_its_controller(tmp_path: Path) -> None:
    _write(tmp_path / "proc/self/cgroup", "5:memory:/elsewhere\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x")
    for group, quota in (("docker/abc", "250000"), (".", "-1")):
        _write(tmp_path / V1 / group / "cpu.cfs_quota_us", quota)
        _write(tmp_path / V1 / group / "cpu.cfs_period_us", "100000")
    assert cgroup_quota_cores(tmp_path) == pytest.approx(2.5)


@pytest.mark.parametrize(("quota", "expected"), [(None, 4), (2.5, 2), (0.5, 1), (64.0, 4)])
def test_usable_cores_obey_affinity_and_quota(
    quota: float | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2, 4, 6})
    monkeypatch.setattr(cpu, "cgroup_quota_cores", lambda: quota)
    assert usable_cores() == expected


def test_a_real_affinity_is_obeyed() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from runner.machine.cpu import usable_cores; print(usable_cores())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "1"


def test_the_cpu_clock_of_another_process_runs_while_it_computes_and_is_none_once_it_is_gone() -> None:
    code = "print(1, flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        before_s = process_cpu_s(process.pid)
        assert before_s is not None
        deadline_s = time.monotonic() + 30
        while (process_cpu_s(process.pid) or 0) <= before_s + 0.05:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        process.kill()
        process.wait()
    assert process_cpu_s(process.pid) is None


def test_the_cpu_clock_of_another_process_is_the_one_it_reads_itself() -> None:
    code = "import time; sum(range(10**6)); print(time.process_time_ns(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        own_s = int(process.stdout.readline()) / 1e9
        seen_s = process_cpu_s(process.pid)
        process.communicate(b"\n")
    assert seen_s is not None
    assert own_s <= seen_s < own_s + 1


def test_busy_time_leaves_out_idle_iowait_steal_and_guest(tmp_path: Path) -> None:
    _write(tmp_path / "proc/stat", "cpu  100 20 30 99999 8888 4 5 7777 66 6\ncpu0 1 1 1 1 1 1 1 1 0 0")
    times = CpuCounters(tmp_path).read()
    assert times.busy_s == pytest.approx((100 + 20 + 30 + 4 + 5) / os.sysconf("SC_CLK_TCK"))
    assert times.steal_s == pytest.approx(7777 / os.sysconf("SC_CLK_TCK"))


STAT = (
    "cpu  100 0 0 0 0 0 0 10\ncpu0 70 0 0 0 0 0 0 1\ncpu3 20 5 1 9 9 2 2 4\ncpu7 10 0 0 0 0 0 0 5\nintr 9 9\n"
)


@pytest.mark.parametrize(
    ("cores", "busy_ticks", "steal_ticks"),
    [
        (None, 100, 10),
        ({3}, 30, 4),
        ({3, 7}, 40, 9),
        ({0, 3, 7}, 100, 10),
        ({4, 5, 6}, 100, 10),  # a container that lists its own cores, numbered anew
    ],
)
def test_of_a_large_machine_only_the_cores_that_we_may_use_count(
    cores: set[int] | None, busy_ticks: int, steal_ticks: int, tmp_path: Path
) -> None:
    _write(tmp_path / "proc/stat", STAT)
    times = CpuCounters(tmp_path, None if cores is None else frozenset(cores)).read()
    assert times.busy_s == pytest.approx(busy_ticks / os.sysconf("SC_CLK_TCK"))
    assert times.steal_s == pytest.approx(steal_ticks / os.sysconf("SC_CLK_TCK"))


def test_the_time_of_a_core_that_went_away_is_unknown(tmp_path: Path) -> None:
    _write(tmp_path / "proc/stat", STAT)
    counters = CpuCounters(tmp_path, frozenset({3, 7}))
    _write(tmp_path / "proc/stat", STAT.replace("cpu7", "cpu8"))
    assert counters.read().busy_s is None


def test_pressure_is_the_time_in_which_some_task_waited(tmp_path: Path) -> None:
    _write(
        tmp_path / "proc/pressure/cpu",
        "some avg10=0.30 avg60=0.69 avg300=0.39 total=948724280\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=5",
    )
    assert CpuCounters(tmp_path).read().pressure_s == pytest.approx(948.72428)


def test_v2_throttling_of_our_cgroup_and_its_ancestors_adds_up(tmp_path: Path) -> None:
    _write(tmp_path / "proc/self/cgroup", "0::/user.slice/run.scope")
    _write(tmp_path / V2 / "cpu.stat", "usage_usec 9255625403\nuser_usec 8392951562")  # the root has no quota
    _write(tmp_path / V2 / "user.slice/cpu.stat", "usage_usec 9\nnr_throttled 1\nthrottled_usec 2000000")
    _write(
        tmp_path / V2 / "user.slice/run.scope/cpu.stat", "usage_usec 9\nthrottled_usec 500000\nnr_bursts 0"
    )
    counters = CpuCounters(tmp_path)
    assert counters.read().throttled_s == pytest.approx(2.5)
    _write(tmp_path / V2 / "user.slice/run.scope/cpu.stat", "throttled_usec 750000")
    assert counters.read().throttled_s == pytest.approx(2.75)
    (tmp_path / V2 / "user.slice/cpu.stat").unlink()
    assert counters.read().throttled_s is None


def test_v1_throttling_is_in_nanoseconds(tmp_path: Path) -> None:
    _write(tmp_path / "proc/self/cgroup", "4:cpu,cpuacct:/docker/abc")
    _write(tmp_path / V1 / "docker/abc/cpu.stat", "nr_periods 7\nnr_throttled 3\nthrottled_time 1500000000")
    assert CpuCounters(tmp_path).read().throttled_s == pytest.approx(1.5)


@pytest.mark.parametrize("text", ["", "cpu 1 2 3", "cpu  1 2 3 4 5 6 7"])
def test_a_machine_that_does_not_say_is_unknown_and_not_idle(text: str, tmp_path: Path) -> None:
    nothing = CpuTimes(None, None, None, None)
    assert CpuCounters(tmp_path).read() == nothing
    for name in ("stat", "pressure/cpu"):
        _write(tmp_path / "proc" / name, text)
    assert CpuCounters(tmp_path).read() == nothing


def test_this_machine_s_times_grow_while_it_computes() -> None:
    counters = CpuCounters()
    before_s, deadline_s = counters.read().busy_s, time.monotonic() + 30
    assert before_s is not None
    while (counters.read().busy_s or 0.0) <= before_s:
        assert time.monotonic() < deadline_s
