import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runner.backend_selection import select_backends
from runner.backends import cuda, nvidia, wheels
from runner.backends.registry import find_backend
from runner.backends.wheels import installed_wheels, missing_wheel
from runner.config import RunConfig
from runner.errors import AbsentError
from runner.machine.cpu import usable_cores
from tests.models import write_onnx
from tests.processes import environment

pytestmark = pytest.mark.live


def _dist_info(site: Path, *names: str) -> Path:
    """Leave the metadata that pip leaves of an installed wheel."""
    for name in names:
        folder = site / f"{name.replace('-', '_')}-1.32.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.32.0\n")
    return site


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Make a folder the only one whose distributions are seen."""
    from importlib.metadata import distributions  # noqa: PLC0415 - the real one, before it is replaced

    monkeypatch.setattr(wheels, "distributions", lambda: distributions(path=[str(tmp_path)]))
    return tmp_path


def test_the_installed_wheel_is_found_and_alone() -> None:
    assert len(installed_wheels()) == 1
    assert missing_wheel() is None


@pytest.mark.parametrize(
    "name", ["onnxruntime", "onnxruntime-gpu", "onnxruntime_gpu", "ONNXRuntime-OpenVINO"]
)
def test_one_wheel_of_any_build_is_enough(site: Path, name: str) -> None:
    _dist_info(site, name, "onnxruntime-extensions", "onnxruntime-genai", "onnx", "numpy")
    assert installed_wheels() == (name.lower().replace("_", "-"),)
    assert missing_wheel() is None


def test_a_plugin_that_is_named_like_a_wheel_is_none(site: Path) -> None:
    _dist_info(site, "onnxruntime", "onnxruntime-qnn")
    record = site / "onnxruntime_qnn-1.32.0.dist-info" / "RECORD"
    record.write_text("onnxruntime/__init__.py,,\n")  # as before 2.0
    assert installed_wheels() == ("onnxruntime", "onnxruntime-qnn")
    record.write_text("onnxruntime_qnn/__init__.py,,\nonnxruntime_qnn/libonnxruntime_providers_qnn.so,,\n")
    assert installed_wheels() == ("onnxruntime",)
    assert missing_wheel() is None


def test_no_wheel_is_missing_with_both_ways_to_get_one(site: Path) -> None:
    _dist_info(site, "onnx", "onnxruntime-extensions")
    missing = missing_wheel()
    assert missing is not None
    assert missing.reason == "onnxruntime is not installed"
    assert "joulebatch[cpu]" in missing.fix
    assert "joulebatch[gpu]" in missing.fix


@pytest.mark.parametrize(
    ("version", "too_old"),
    [
        ("1.23.2", True),
        ("0.9.0", True),
        ("1.24.0", False),
        ("1.100.0", False),
        ("2.0", False),
        ("1.24rc1", False),
    ],
)
def test_a_wheel_that_cannot_say_what_ran_where_is_missing(site: Path, version: str, too_old: bool) -> None:
    (_dist_info(site, "onnxruntime") / "onnxruntime-1.32.0.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: onnxruntime\nVersion: {version}\n"
    )
    missing = missing_wheel()
    assert (missing is not None) == too_old
    if missing:
        assert missing.reason.startswith(f"onnxruntime {version}, which cannot say what ran where; 1.24 is")
        assert missing.fix == "Upgrade it: pip install 'onnxruntime>=1.24'"


def test_two_wheels_are_named_with_the_commands_that_leave_one(site: Path) -> None:
    _dist_info(site, "onnxruntime", "onnxruntime-gpu")
    missing = missing_wheel()
    assert missing is not None
    assert (
        missing.reason
        == "onnxruntime and onnxruntime-gpu are both installed and overwrite each other's files"
    )
    assert "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu" in missing.fix


@pytest.mark.parametrize("name", ["cpu", "cuda"])
@pytest.mark.parametrize("installed", [(), ("onnxruntime", "onnxruntime-gpu")])
def test_without_exactly_one_wheel_a_backend_is_absent(
    site: Path, name: str, installed: tuple[str, ...]
) -> None:
    _dist_info(site, *installed)
    reason = "both installed" if installed else "not installed"
    values = {"batch_sizes": "1", "target_ci_ratio": "2%", "models_dir": site, "reports_dir": site}
    for backends in ((name,), ()):  # asked for, and by default
        with pytest.raises(
            AbsentError, match=rf"Cannot run backend c\w+: got onnxruntime .*{reason}"
        ) as caught:
            select_backends(RunConfig.read({**values, "backends": backends}))
        assert caught.value.exit_code == 3


def test_a_run_with_both_wheels_installed_measures_nothing(tmp_path: Path) -> None:
    write_onnx(tmp_path / "tiny.onnx")
    site = _dist_info(tmp_path / "site", "onnxruntime", "onnxruntime-gpu")
    ran = subprocess.run(
        [sys.executable, "-m", "runner", "run", "--onnx", "tiny.onnx", "--backend", "cpu"],
        cwd=tmp_path,
        env={**environment(), "PYTHONPATH": f"{environment()['PYTHONPATH']}{os.pathsep}{site}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 3
    assert "onnxruntime and onnxruntime-gpu are both installed" in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "reports").exists()


def test_what_joulebatch_finds_where_both_wheels_are_and_another_backend_could_run(tmp_path: Path) -> None:
    site = _dist_info(tmp_path / "site", "onnxruntime-gpu")
    write_onnx(tmp_path / "tiny.onnx")

    def ask(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "runner", *arguments],
            cwd=tmp_path,
            env={**environment(), "PYTHONPATH": f"{environment()['PYTHONPATH']}{os.pathsep}{site}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout

    threads = usable_cores() + 1
    said = ask(
        "run", "--onnx", "tiny.onnx", "--backend", f"faulty:threads={threads}", "--batch-sizes", "1",
        "--profile", "quick", "--meter", "none",
    )  # fmt: skip
    said = " ".join(said.split())
    assert (
        f"threads {threads}, usable cores {threads - 1}. Use --backend faulty:threads={threads - 1}." in said
    )
    assert "Several wheels of ONNX Runtime overwrite each other: onnxruntime" in said
    assert "and onnxruntime-gpu 1.32.0 in one" in said
    assert "onnxruntime and onnxruntime-gpu are both installed" in " ".join(ask("doctor").split())


def test_cuda_on_the_cpu_wheel_names_the_wheel_and_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "loads", lambda library: False)
    pytest.importorskip("onnxruntime", reason="asks the real wheel")
    if "onnxruntime-gpu" in installed_wheels():
        pytest.skip("the CPU wheel is not installed")
    missing = find_backend("cuda").missing()
    assert missing is not None
    assert "no GPU wheel (onnxruntime has: " in missing.reason
    assert "CPU" in missing.reason
    assert "no NVIDIA driver (libcuda.so.1 does not load)" in missing.reason
    assert "joulebatch[gpu]" in missing.fix
    assert "--backend cpu" in missing.fix


def test_cuda_with_wheel_and_driver_still_needs_cudnn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "_missing_provider", lambda: "")
    monkeypatch.setattr(nvidia, "loads", lambda library: "cudnn" not in library)
    monkeypatch.setattr("ctypes.CDLL", lambda library: Driver(init=0, gpus=1))
    missing = find_backend("cuda").missing()
    assert missing is not None
    assert missing.reason == "no cuDNN (libcudnn.so.9 does not load)"
    monkeypatch.setattr(nvidia, "loads", lambda library: True)
    assert find_backend("cuda").missing() is None


class Driver:
    """What libcuda.so.1 answers."""

    def __init__(self, init: int, gpus: int) -> None:
        self._init, self._gpus = init, gpus

    def cuInit(self, flags: int) -> int:  # noqa: N802 - the driver's name
        return self._init

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802 - the driver's name
        count._obj.value = self._gpus
        return 0


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        (Driver(init=100, gpus=0), "cuInit returns 100"),
        (Driver(init=0, gpus=0), "no NVIDIA GPU (the driver sees none)"),
    ],
)
def test_a_driver_library_alone_is_no_gpu(
    driver: Driver, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda, "_missing_provider", lambda: "")
    monkeypatch.setattr(nvidia, "loads", lambda library: True)
    monkeypatch.setattr("ctypes.CDLL", lambda library: driver)
    missing = find_backend("cuda").missing()
    assert missing is not None
    assert reason in missing.reason
