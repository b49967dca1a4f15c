import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner import cpu
from runner.cpu import cgroup_quota_cores, machine_busy_s, process_cpu_s, usable_cores


def _cgroups(monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    """Say what /proc/self/cgroup would."""
    real = cpu._text
    monkeypatch.setattr(cpu, "_text", lambda path: own if str(path) == "/proc/self/cgroup" else real(path))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def test_without_a_quota_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _cgroups(monkeypatch, "0::/")
    assert cgroup_quota_cores(tmp_path, tmp_path / "none") is None
    _write(tmp_path / "cpu.max", "max 100000")
    assert cgroup_quota_cores(tmp_path, tmp_path / "none") is None


def test_v2_quota_of_a_container_is_at_its_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _cgroups(monkeypatch, "0::/")
    _write(tmp_path / "cpu.max", "150000 100000")
    assert cgroup_quota_cores(tmp_path, tmp_path / "none") == pytest.approx(1.5)


def test_v2_the_tightest_ancestor_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _cgroups(monkeypatch, "0::/user.slice/run.scope")
    _write(tmp_path / "user.slice" / "run.scope" / "cpu.max", "max 100000")
    _write(tmp_path / "user.slice" / "cpu.max", "300000 100000")
    assert cgroup_quota_cores(tmp_path, tmp_path / "none") == pytest.approx(3.0)
    _write(tmp_path / "user.slice" / "run.scope" / "cpu.max", "200000 100000")
    assert cgroup_quota_cores(tmp_path, tmp_path / "none") == pytest.approx(2.0)


def test_v1_quota_is_found_by_its_controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _cgroups(monkeypatch, "5:memory:/elsewhere\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x")
    folder = tmp_path / "docker" / "abc"
    _write(folder / "cpu.cfs_quota_us", "250000")
    _write(folder / "cpu.cfs_period_us", "100000")
    _write(tmp_path / "cpu.cfs_quota_us", "-1")
    _write(tmp_path / "cpu.cfs_period_us", "100000")
    assert cgroup_quota_cores(tmp_path / "none", tmp_path) == pytest.approx(2.5)


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
        "from runner.cpu import usable_cores; print(usable_cores())"
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
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 99999 8888 4 5 7777 66 6\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
    assert machine_busy_s(stat) == pytest.approx((100 + 20 + 30 + 4 + 5) / os.sysconf("SC_CLK_TCK"))


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n"])
def test_a_machine_that_does_not_say_is_unknown_and_not_idle(text: str, tmp_path: Path) -> None:
    (tmp_path / "stat").write_text(text)
    assert machine_busy_s(tmp_path / "stat") is None
    assert machine_busy_s(tmp_path / "none") is None
