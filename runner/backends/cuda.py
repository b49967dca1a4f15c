"""ONNX Runtime on NVIDIA GPUs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from runner.backends import nvidia
from runner.backends.interface import HALF, SINGLE, Io, Missing, OpenRequest, Option, Passing, Session
from runner.backends.provider_options import split_options
from runner.backends.session_options import GRAPH_OPTIONS, THREAD_OPTIONS, restrict_cores
from runner.backends.spec import size_bytes
from runner.backends.wheels import installed_wheels, missing_wheel
from runner.variants import VARIANTS

PROVIDER = "CUDAExecutionProvider"

_CUDNN_LIBRARY = "libcudnn.so.9"
"""cuDNN 9 is what every onnxruntime-gpu since 1.19 is built for"""

_SEARCHES = ("heuristic", "exhaustive", "default")
_ARENAS = {"power-of-two": "kNextPowerOfTwo", "as-requested": "kSameAsRequested"}
_KEYS = {
    "device": "device_id",
    "tf32": "use_tf32",
    "nhwc": "prefer_nhwc",
    "search": "cudnn_conv_algo_search",
    "arena": "arena_extend_strategy",
    "mem_limit": "gpu_mem_limit",
    "graphs": "enable_cuda_graph",
}
"""the provider's key by the option of ours that sets it. Source: onnxruntime's documentation of the provider"""
_ADDRESSES = (
    "user_compute_stream",
    "has_user_compute_stream",
    "gpu_external_alloc",
    "gpu_external_free",
    "gpu_external_empty_cache",
)
"""of objects in the caller's memory: a spec has none to give"""


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
        Option(
            "graphs", "off", "whether each batch size is captured as a CUDA graph and replayed", ("on", "off")
        ),
        Option("mem_limit", "none", "limit of the memory arena", check="size"),
        Option("arena", "power-of-two", "how the memory arena grows", tuple(_ARENAS)),
        *THREAD_OPTIONS,
        *GRAPH_OPTIONS,
    )
    passing = Passing({key: option for option, key in _KEYS.items()} | dict.fromkeys(_ADDRESSES, ""))
    ios: tuple[Io, ...] = ("host", "device")
    needs_manifest = False
    variants = VARIANTS

    def parity_tolerance_ratio(self, options: Mapping[str, str]) -> float:
        """Return the tolerance: TF32 keeps 10 bits of mantissa."""
        return HALF if options["tf32"] == "on" else SINGLE

    def missing(self) -> Missing | None:
        """Return what is missing of wheel, driver and cuDNN; asks onnxruntime only when its wheel can do CUDA."""
        if wheel := missing_wheel():
            return wheel
        absent = [part for part in (_missing_provider(), nvidia.missing_driver()) if part]
        if not absent and not nvidia.loads(_CUDNN_LIBRARY):
            absent = [f"cuDNN ({_CUDNN_LIBRARY} does not load)"]
        if not absent:
            return None
        fix = "Install the gpu extra (pip install 'joulebatch[gpu]') on a machine with an NVIDIA driver"
        return Missing(f"no {'; no '.join(absent)}", f"{fix}, or pass --backend cpu")

    def open(self, request: OpenRequest) -> Session:
        """Return the session."""
        from runner.backends.onnxruntime_session import ProviderUse, open_session  # noqa: PLC0415 - only a worker opens

        restrict_cores(request.options["affinity"])
        nvidia.preload()
        ours, passed = split_options(request.options, self.options)
        use = ProviderUse(
            PROVIDER,
            {**provider_options(ours), **passed},
            passed,
            tensors_on=("cuda", int(ours["device"])),
            graphs=ours["graphs"] == "on",
        )
        return open_session(replace(request, options=ours), use)


def provider_options(options: Mapping[str, str]) -> dict[str, str]:
    """Return the options of a spec as the provider spells them."""
    switch = {"on": "1", "off": "0"}
    values = {
        "device": options["device"],
        "tf32": switch[options["tf32"]],
        "nhwc": switch[options["nhwc"]],
        "search": options["search"].upper(),
        "arena": _ARENAS[options["arena"]],
    }
    if options["mem_limit"] != "none":
        values["mem_limit"] = str(size_bytes(options["mem_limit"]))
    if options["graphs"] == "on":
        values["graphs"] = "1"
    return {_KEYS[option]: value for option, value in values.items()}


def _missing_provider() -> str:
    import onnxruntime as ort  # noqa: PLC0415 - heavy; only asked when a wheel is there

    providers = ort.get_available_providers()
    if PROVIDER not in providers:
        have = ", ".join(name.removesuffix("ExecutionProvider") for name in providers)
        return f"GPU wheel ({'/'.join(installed_wheels())} has: {have})"
    nvidia.preload()
    return ""


BACKEND = CudaBackend()
