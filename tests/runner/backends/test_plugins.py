"""Plugin packages beside onnxruntime: found, registered once, and what they expose told before anything is measured."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import onnxruntime as ort
import pytest

from runner.backends import plugins, provider_backend
from runner.backends.interface import Missing
from runner.backends.nvidia import loads
from runner.backends.plugins import Plugin, describe_device, find_devices
from runner.backends.providers import COREML, OPENVINO, QNN, TENSORRT, TENSORRT_RTX, WEBGPU, XNNPACK
from runner.workers.interpreter import probe
from tests.processes import joulebatch

pytestmark = pytest.mark.live

ORT124 = "JOULEBATCH_TEST_ORT124"
"""the environment that has the plugin, too"""
GPU_OR_NPU = Plugin("onnxruntime-ep-imaginary", "onnxruntime_ep_imaginary", ("NPU", "GPU"))
IMAGINARY = "ImaginaryExecutionProvider"


def device(kind: str, provider: str = IMAGINARY, vendor: str = "Imaginary") -> Any:
    hardware = SimpleNamespace(type=f"OrtHardwareDeviceType.{kind}", vendor=vendor)
    return SimpleNamespace(ep_name=provider, device=hardware)


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[tuple[str, str]]]]:
    """Install a plugin that exposes these devices; return what was registered."""
    registered: list[tuple[str, str]] = []

    def install(*devices: Any, plugin: Plugin = GPU_OR_NPU) -> list[tuple[str, str]]:
        module: Any = ModuleType(plugin.module)
        module.__spec__ = SimpleNamespace(name=plugin.module)
        module.get_library_path = lambda: "/somewhere/lib.so"
        monkeypatch.setitem(sys.modules, plugin.module, module)
        own = device("CPU", "CPUExecutionProvider", "AMD")
        monkeypatch.setattr(ort, "get_ep_devices", lambda: [own, *devices])
        monkeypatch.setattr(
            ort, "register_execution_provider_library", lambda *given: registered.append(given)
        )
        return registered

    for cached in (plugins.bundled_providers, find_devices):
        cached.cache_clear()
    yield install
    for cached in (plugins.bundled_providers, find_devices):
        cached.cache_clear()


def test_a_plugin_registers_once_under_its_provider_s_name(register: Callable[..., Any]) -> None:
    gpu = device("GPU")
    registered = register(gpu, device("CPU"))
    assert find_devices(GPU_OR_NPU, IMAGINARY) == (gpu,)
    assert find_devices(GPU_OR_NPU, IMAGINARY) == (gpu,)
    assert registered == [(IMAGINARY, "/somewhere/lib.so")]
    assert describe_device(gpu) == "GPU Imaginary"


def test_the_best_kind_of_device_is_taken(register: Callable[..., Any]) -> None:
    npu, gpu = device("NPU"), device("GPU")
    register(gpu, npu, device("NPU"))
    assert find_devices(GPU_OR_NPU, IMAGINARY) == (npu,)


@pytest.mark.parametrize(
    ("devices", "reason"),
    [
        (
            (),
            "onnxruntime-ep-imaginary registers and exposes no device on this machine (onnxruntime finds CPU AMD)",
        ),
        ((device("CPU"),), "onnxruntime-ep-imaginary registers and exposes CPU, no NPU or GPU"),
    ],
)
def test_a_plugin_without_a_device_of_use_says_exactly_that(
    register: Callable[..., Any], devices: tuple[Any, ...], reason: str
) -> None:
    register(*devices)
    found = find_devices(GPU_OR_NPU, IMAGINARY)
    assert isinstance(found, Missing)
    assert found.reason == reason


def test_a_plugin_that_does_not_load_is_missing_with_what_it_said(
    register: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    register()

    def refuse(*_: str) -> None:
        raise RuntimeError("libcuda.so.1:\n cannot open")

    monkeypatch.setattr(ort, "register_execution_provider_library", refuse)
    found = find_devices(GPU_OR_NPU, IMAGINARY)
    assert isinstance(found, Missing)
    assert found.reason.endswith(
        f"does not register with onnxruntime {ort.__version__}: libcuda.so.1: cannot open"
    )


def test_a_backend_is_there_when_its_plugin_exposes_a_device(register: Callable[..., Any]) -> None:
    plugin = QNN.row.plugin
    assert plugin
    register(device("NPU", QNN.row.provider), plugin=plugin)
    assert QNN.missing() is None


def test_a_plugin_without_devices_sends_to_the_wheel(register: Callable[..., Any]) -> None:
    plugin = OPENVINO.row.plugin
    assert plugin
    register(plugin=plugin)
    missing = OPENVINO.missing()
    assert missing
    assert "registers and exposes no device on this machine" in missing.reason
    assert "pip install onnxruntime-openvino" in missing.fix


def test_each_provider_names_what_brings_it() -> None:
    fixes = {backend.name: backend.missing() for backend in (TENSORRT_RTX, QNN, WEBGPU, XNNPACK, COREML)}
    texts = {name: f"{missing.reason}. {missing.fix}" if missing else "" for name, missing in fixes.items()}
    assert "pip install onnxruntime-ep-nv-tensorrt-rtx" in texts["tensorrt-rtx"]
    assert "beside onnxruntime: pip install onnxruntime-qnn" in texts["qnn"]
    assert (
        "pip install onnxruntime-webgpu, then --interpreter wgpu=WGPU --backend webgpu@wgpu"
        in texts["webgpu"]
    )
    assert "--use_xnnpack" in texts["xnnpack"]
    assert texts["coreml"].startswith("Core ML is of macOS alone")


def test_tensorrt_needs_driver_and_libraries_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_backend, "bundled_providers", lambda: {TENSORRT.row.provider})
    monkeypatch.setattr("runner.backends.nvidia.preload", lambda: None)
    monkeypatch.setattr("runner.backends.nvidia.missing_driver", lambda: "")
    monkeypatch.setattr("runner.backends.nvidia.loads", lambda library, folder="": "nvinfer" not in library)
    missing = TENSORRT.missing()
    assert missing
    assert missing.reason == "no TensorRT (libnvinfer.so.10 does not load)"
    assert "pip install 'tensorrt<11'" in missing.fix
    monkeypatch.setattr("runner.backends.nvidia.loads", lambda library, folder="": True)
    assert TENSORRT.missing() is None


def test_a_library_is_found_in_the_package_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = next(Path(ort.__file__).parent.glob("capi/libonnxruntime_providers_shared.so"))
    folder = tmp_path / "imaginary_libs"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "libimaginary.so.10").symlink_to(real)
    assert not loads("libimaginary.so.10")
    assert not loads("libimaginary.so.10", "imaginary_libs")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert loads("libimaginary.so.10", "imaginary_libs")
    assert not loads("libimaginary.so.11", "imaginary_libs")


@pytest.fixture
def beside() -> Path:
    if ORT124 not in os.environ:
        pytest.skip(f"{ORT124} names no Python with onnxruntime-ep-openvino; make test prepares one")
    return Path(os.environ[ORT124])


def test_openvino_s_plugin_is_told_before_anything_is_measured(beside: Path, home: Path) -> None:
    missing = probe("beside", beside, ["openvino"]).missing["openvino"]
    if missing is None or missing.reason.startswith("no OpenVINO"):
        pytest.skip(
            "its plugin exposes a device here, on an Intel CPU" if missing is None else missing.reason
        )
    assert missing.reason.startswith("onnxruntime-ep-openvino ")
    assert "registers and exposes no device on this machine (onnxruntime finds CPU " in missing.reason
    result = joulebatch(
        "run", "-m", "tiny", "--backend", "openvino@p", "--interpreter", f"p={beside}", cwd=home
    )
    assert result.returncode == 3
    assert "registers and exposes no device on this machine" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (home / "reports").exists()
