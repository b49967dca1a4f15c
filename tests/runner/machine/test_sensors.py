import os
from pathlib import Path

import pytest

from runner.machine.sensors import CpuSensors


@pytest.fixture(autouse=True)
def _two_cores_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2})


def _write(path: Path, text: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def _chip(root: Path, number: int, driver: str, **celsius_by_label: int) -> Path:
    folder = root / f"sys/class/hwmon/hwmon{number}"
    _write(folder / "name", driver)
    for index, (label, celsius) in enumerate(celsius_by_label.items(), 1):
        _write(folder / f"temp{index}_input", celsius * 1000)
        _write(folder / f"temp{index}_label", label.replace("_", " "))
    return folder


def _core(root: Path, core: int, khz: int, governor: str) -> Path:
    folder = root / f"sys/devices/system/cpu/cpu{core}/cpufreq"
    _write(folder / "scaling_cur_freq", khz)
    _write(folder / "scaling_governor", governor)
    return folder


def test_the_hottest_package_is_told_and_no_disk_and_no_single_core(tmp_path: Path) -> None:
    _chip(tmp_path, 0, "nvme", Composite=80)
    _chip(tmp_path, 1, "coretemp", Package_id_0=61, Core_0=64)
    package = _chip(tmp_path, 2, "coretemp", Package_id_1=63, Core_0=59)
    _chip(tmp_path, 3, "acpitz", board=90)
    sensors = CpuSensors(tmp_path)
    assert sensors.temperature_celsius() == 63
    _write(package / "temp1_input", 58500)
    assert sensors.temperature_celsius() == 61


@pytest.mark.parametrize("driver", ["k10temp", "zenpower", "cpu_thermal", "acpitz"])
def test_without_a_package_the_hottest_sensor_of_the_driver_is_told(driver: str, tmp_path: Path) -> None:
    _chip(tmp_path, 0, driver, Tctl=50, Tccd1=47)
    assert CpuSensors(tmp_path).temperature_celsius() == 50


def test_a_sensor_without_a_valid_reading_says_nothing(tmp_path: Path) -> None:
    chip = _chip(tmp_path, 0, "k10temp", Tctl=50)
    sensors = CpuSensors(tmp_path)
    (chip / "temp1_input").unlink()
    assert sensors.temperature_celsius() is None


def test_the_clock_is_the_mean_of_the_cores_we_may_use(tmp_path: Path) -> None:
    _core(tmp_path, 0, 3_000_000, "performance")
    _core(tmp_path, 1, 800_000, "schedutil")
    other = _core(tmp_path, 2, 2_000_000, "performance")
    sensors = CpuSensors(tmp_path)
    assert sensors.clock_hz() == pytest.approx(2.5e9)
    assert sensors.governor() == "performance"
    _write(other / "scaling_governor", "powersave")
    (other / "scaling_cur_freq").unlink()  # the core went offline
    assert sensors.clock_hz() == pytest.approx(3e9)
    assert sensors.governor() == "performance+powersave"


def test_a_machine_that_does_not_say_has_none(tmp_path: Path) -> None:
    _chip(tmp_path, 0, "nvme", Composite=80)
    sensors = CpuSensors(tmp_path)
    assert (sensors.temperature_celsius(), sensors.clock_hz(), sensors.governor()) == (None, None, None)
