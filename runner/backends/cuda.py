"""ONNX Runtime on NVIDIA GPUs."""

import ctypes
import io as text_io
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Literal

from runner.backends.interface import Io, Missing, OpenRequest, Option, Session
from runner.backends.session_options import GRAPH_OPTIONS, THREAD_OPTIONS, restrict_cores
from runner.backends.spec import size_bytes
from runner.backends.wheels import installed_wheels, missing_wheel
from runner.variants import VARIANTS

PROVIDER = "CUDAExecutionProvider"

_DRIVER_LIBRARY = "libcuda.so.1"
_CUDNN_LIBRARY = "libcudnn.so.9"
"""cuDNN 9 is what every onnxruntime-gpu since 1.19 is built for"""

_SEARCHES = ("heuristic", "exhaustive", "default")
_ARENAS = {"power-of-two": "kNextPowerOfTwo", "as-requested": "kSameAsRequested"}


class CudaBackend:
    """The CUDA execution provider."""

    name = "cuda"
    summary = "ONNX Runtime's CUDA execution provider, on an NVIDIA GPU"
    device: Literal["gpu"] = "gpu"
    options = (
        Option("device", "0", "index of the GPU as CUDA counts", check="index"),
        Option("tf32", "on", "whether matrix products may round to TF32", ("on", "off")),
        Option("nhwc", "off", "whether convolutions prefer channels last", ("on", "off")),
        Option("search", "heuristic", "how cuDNN picks convolution algorithms", _SEARCHES),
        Option("mem_limit", "none", "limit of the memory arena", check="size"),
        Option("arena", "power-of-two", "how the memory arena grows", tuple(_ARENAS)),
        *THREAD_OPTIONS,
        *GRAPH_OPTIONS,
    )
    ios: tuple[Io, ...] = ("host", "device")
    needs_manifest = False
    variants = VARIANTS

    def parity_tolerance_ratio(self, options: Mapping[str, str]) -> float:
        """Return the tolerance: TF32 keeps 10 bits of mantissa."""
        return 1e-2 if options["tf32"] == "on" else 1e-4

    def missing(self) -> Missing | None:
        """Return what is missing of wheel, driver and cuDNN; asks onnxruntime only when its wheel can do CUDA."""
        if wheel := missing_wheel():
            return wheel
        absent = [part for part in (_missing_provider(), _missing_driver()) if part]
        if not absent and not _loads(_CUDNN_LIBRARY):
            absent = [f"cuDNN ({_CUDNN_LIBRARY} does not load)"]
        if not absent:
            return None
        fix = "Install the gpu extra (pip install 'joulebatch[gpu]') on a machine with an NVIDIA driver"
        return Missing(f"no {'; no '.join(absent)}", f"{fix}, or pass --backend cpu")

    def open(self, request: OpenRequest) -> Session:
        """Return the session."""
        import onnxruntime as ort  # noqa: PLC0415 - only a worker opens

        from runner.backends.onnxruntime_session import open_session  # noqa: PLC0415 - the same

        restrict_cores(request.options["affinity"])
        ort.preload_dlls()
        return open_session(
            request, PROVIDER, provider_options(request.options), int(request.options["device"])
        )


def provider_options(options: Mapping[str, str]) -> dict[str, str]:
    """Return the options of a spec as the provider spells them.

    Source: onnxruntime's documentation of the CUDA execution provider.
    """
    settings = {
        "device_id": options["device"],
        "use_tf32": "1" if options["tf32"] == "on" else "0",
        "prefer_nhwc": "1" if options["nhwc"] == "on" else "0",
        "cudnn_conv_algo_search": options["search"].upper(),
        "arena_extend_strategy": _ARENAS[options["arena"]],
    }
    if options["mem_limit"] != "none":
        settings["gpu_mem_limit"] = str(size_bytes(options["mem_limit"]))
    return settings


def _missing_provider() -> str:
    import onnxruntime as ort  # noqa: PLC0415 - heavy; only asked when a wheel is there

    providers = ort.get_available_providers()
    if PROVIDER not in providers:
        have = ", ".join(name.removesuffix("ExecutionProvider") for name in providers)
        return f"GPU wheel ({'/'.join(installed_wheels())} has: {have})"
    with redirect_stdout(
        text_io.StringIO()
    ):  # it prints failures and does not raise; we look for ourselves below
        ort.preload_dlls()
    return ""


def _missing_driver() -> str:
    """Return what the driver lacks; a driver library alone proves no GPU.

    Source: CUDA driver API, ``cuInit`` and ``cuDeviceGetCount``: 0 is success.
    """
    if not _loads(_DRIVER_LIBRARY):
        return f"NVIDIA driver ({_DRIVER_LIBRARY} does not load)"
    driver, count = ctypes.CDLL(_DRIVER_LIBRARY), ctypes.c_int()
    if (code := driver.cuInit(0)) != 0:
        return f"working NVIDIA driver (cuInit returns {code})"
    driver.cuDeviceGetCount(ctypes.byref(count))
    return "" if count.value else "NVIDIA GPU (the driver sees none)"


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


BACKEND = CudaBackend()
