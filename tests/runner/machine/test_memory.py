from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.machine.memory import MemoryForecast, available_bytes

GB = 10**9


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8 * GB))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def _v2(root: Path, group: str, limit: str, used: int, inactive_file: int) -> None:
    folder = root / "sys/fs/cgroup" / group
    _write(folder / "memory.max", limit)
    _write(folder / "memory.current", str(used))
    _write(folder / "memory.stat", f"anon 5\nfile 7\ninactive_file {inactive_file}\nactive_file 3")


def test_without_cgroups_it_is_what_the_machine_has(tmp_path: Path) -> None:
    assert available_bytes(tmp_path) == 8 * GB


def test_v2_the_tightest_of_our_cgroups_limits_and_cached_files_are_free(tmp_path: Path) -> None:
    _write(tmp_path / "proc/self/cgroup", "0::/user.slice/run.scope")
    _v2(tmp_path, "user.slice/run.scope", "max", used=4 * GB, inactive_file=0)
    assert available_bytes(tmp_path) == 8 * GB
    _v2(tmp_path, "user.slice", str(6 * GB), used=5 * GB, inactive_file=2 * GB)
    assert available_bytes(tmp_path) == 3 * GB
    _v2(tmp_path, "user.slice/run.scope", str(5 * GB), used=4 * GB, inactive_file=0)
    assert available_bytes(tmp_path) == 1 * GB


def test_v2_a_container_sees_its_limit_at_the_root(tmp_path: Path) -> None:
    _write(tmp_path / "proc/self/cgroup", "0::/")
    _v2(tmp_path, ".", str(2 * GB), used=GB // 2, inactive_file=GB // 4)
    assert available_bytes(tmp_path) == 2 * GB - GB // 4


def test_v1_limits_likewise(tmp_path: Path) -> None:
    _write(tmp_path / "proc/self/cgroup", "5:cpu,cpuacct:/elsewhere\n4:memory:/docker/abc")
    folder = tmp_path / "sys/fs/cgroup/memory/docker/abc"
    _write(folder / "memory.limit_in_bytes", "9223372036854771712")  # none
    _write(folder / "memory.usage_in_bytes", str(GB))
    assert available_bytes(tmp_path) == 8 * GB
    _write(folder / "memory.limit_in_bytes", str(3 * GB))
    _write(folder / "memory.stat", f"inactive_file 1\ntotal_inactive_file {GB // 2}")
    assert available_bytes(tmp_path) == 2 * GB + GB // 2


def test_a_group_over_its_limit_has_nothing_left(tmp_path: Path) -> None:
    _v2(tmp_path, ".", "1000", used=1200, inactive_file=100)
    assert available_bytes(tmp_path) == 0


def test_nothing_is_forecast_before_a_batch_was_seen_to_grow_the_process() -> None:
    forecast = MemoryForecast()
    assert forecast.need_bytes("cpu", 8) is None
    forecast.saw_open("cpu", 450)
    assert forecast.need_bytes("cpu", 8) is None
    forecast.saw("cpu", 1, 450)  # opening took more for a moment than the batch
    assert forecast.need_bytes("cpu", 8) is None
    forecast.saw("cpu", 2, 470)
    assert forecast.need_bytes("cpu", 8) == 2 * (4 * 20 - 20)
    assert forecast.need_bytes("torch", 8) is None


@given(st.integers(0, 10**9), st.integers(1, 10**8), st.integers(1, 64), st.integers(1, 64))
def test_a_process_that_grows_by_the_image_needs_that_for_every_further_image_with_the_margin(
    weights_bytes: int, image_bytes: int, seen: int, asked: int
) -> None:
    forecast = MemoryForecast()
    forecast.saw_open("cpu", weights_bytes)
    forecast.saw("cpu", seen, weights_bytes + seen * image_bytes)
    need_bytes = forecast.need_bytes("cpu", asked)
    assert need_bytes == pytest.approx(2 * image_bytes * max(0, asked - seen), abs=1)
    forecast.saw_open("cpu", weights_bytes)  # a fresh worker holds none of it yet
    assert forecast.need_bytes("cpu", asked) == pytest.approx(2 * image_bytes * asked, abs=1)


@given(st.integers(1, 10**8), st.lists(st.integers(1, 100), min_size=2, max_size=8))
def test_an_arena_that_rounds_regions_up_to_powers_of_two_never_takes_more_than_forecast(
    image_bytes: int, sizes: list[int]
) -> None:
    forecast = MemoryForecast()
    forecast.saw_open("cpu", 0)
    arena_bytes = 0
    for size in sorted(sizes):
        missing_bytes = max(0, size * image_bytes - arena_bytes)
        region_bytes = 1 << (missing_bytes - 1).bit_length() if missing_bytes else 0
        need_bytes = forecast.need_bytes("cpu", size)
        assert need_bytes is None or region_bytes <= need_bytes
        arena_bytes += region_bytes
        forecast.saw("cpu", size, arena_bytes)


def test_the_largest_batch_speaks_whatever_order_they_come_in() -> None:
    forecast = MemoryForecast()
    forecast.saw_open("cpu", 100)
    forecast.saw("cpu", 8, 180)
    forecast.saw("cpu", 1, 184)  # fragments
    assert forecast.need_bytes("cpu", 16) == 2 * (160 - 84)
