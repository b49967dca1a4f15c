"""Execution providers of packages that stand beside a plain onnxruntime and are registered with it when used."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from runner.backends.interface import Missing


@dataclass(frozen=True, slots=True)
class Plugin:
    """A package that brings a provider as a library of its own."""

    distribution: str
    module: str
    """has ``get_library_path()``, as ONNX Runtime's guide to packaging plugins recommends"""
    hardware: tuple[str, ...]
    """kinds of devices that the backend stands for, the best first: CPU, GPU, NPU"""


@cache
def bundled_providers() -> frozenset[str]:
    """Return the providers that the installed wheel itself has; those registered later are not among them."""
    import onnxruntime as ort  # noqa: PLC0415 - heavy; only asked when a wheel is there

    return frozenset(ort.get_available_providers())


def is_installed(plugin: Plugin) -> bool:
    """Return whether the package is there; imports nothing."""
    return find_spec(plugin.module) is not None


@cache
def find_devices(plugin: Plugin, provider: str) -> tuple[Any, ...] | Missing:
    """Return the devices that a plugin offers its provider on, or why there are none. Registers it, once.

    A library registers under its provider's name: some (QNN's) call their provider as they are registered.

    Source: onnxruntime.ai, "Plugin Execution Provider Libraries"; OrtEpDevice pairs a provider with a device.
    """
    import onnxruntime as ort  # noqa: PLC0415 - heavy; only asked when a wheel is there

    bundled_providers()  # before the plugin's own provider joins them
    named = _named(plugin)
    try:
        module: Any = import_module(plugin.module)
        ort.register_execution_provider_library(provider, str(module.get_library_path()))
    except Exception as error:  # noqa: BLE001 - whatever a foreign package raises is why it is of no use
        said = " ".join(str(error).split()) or type(error).__name__
        return Missing(
            f"{named} does not register with onnxruntime {ort.__version__}: {said}", "Reinstall it"
        )
    offered = [device for device in ort.get_ep_devices() if device.ep_name == provider]
    for wanted in plugin.hardware:
        if found := tuple(device for device in offered if _kind(device) == wanted):
            return found[:1]  # most providers take one for a session
    if offered:
        only = ", ".join(sorted({_kind(device) for device in offered}))
        return Missing(f"{named} registers and exposes {only}, no {' or '.join(plugin.hardware)}", "")
    seen = ", ".join(sorted({describe_device(device) for device in ort.get_ep_devices()}))
    return Missing(f"{named} registers and exposes no device on this machine (onnxruntime finds {seen})", "")


def describe_device(device: Any) -> str:  # noqa: ANN401 - onnxruntime ships no types
    """Return the kind and the vendor of a device, for a report: a simulator on a CPU is no NPU."""
    return f"{_kind(device)} {device.device.vendor}".strip()


def _kind(device: Any) -> str:  # noqa: ANN401 - onnxruntime ships no types
    return str(device.device.type).rpartition(".")[2]


def _named(plugin: Plugin) -> str:
    try:
        return f"{plugin.distribution} {version(plugin.distribution)}"
    except PackageNotFoundError:
        return plugin.distribution
