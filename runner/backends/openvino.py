"""OpenVINO through ONNX Runtime, on the CPU: its wheel overwrites ``onnxruntime``, so it lives under another Python."""

from collections.abc import Mapping
from typing import Literal

from runner.backends.interface import Io, Missing, OpenRequest, Option, Session
from runner.backends.session_options import AFFINITY, restrict_cores, threads
from runner.backends.wheels import installed_wheels, missing_wheel
from runner.variants import VARIANTS

PROVIDER = "OpenVINOExecutionProvider"


class OpenVinoBackend:
    """The OpenVINO execution provider on the CPU."""

    name = "openvino"
    summary = "ONNX Runtime's OpenVINO execution provider, on the CPU"
    device: Literal["cpu"] = "cpu"
    options = (
        Option("threads", "auto", "threads of the provider; auto: the usable cores", check="count"),
        AFFINITY,
    )
    ios: tuple[Io, ...] = ("host",)
    needs_manifest = False
    variants = VARIANTS

    def parity_tolerance_ratio(self, options: Mapping[str, str]) -> float:  # noqa: ARG002 - part of the interface
        """Return the tolerance for another order of the same fp32 sums."""
        return 1e-4

    def missing(self) -> Missing | None:
        """Return why this interpreter cannot run it."""
        if wheel := missing_wheel():
            return wheel
        import onnxruntime as ort  # noqa: PLC0415 - heavy; only asked when a wheel is there

        if PROVIDER in ort.get_available_providers():
            return None
        return Missing(
            f"no OpenVINO in {'/'.join(installed_wheels())}",
            "Give it an environment of its own: python3 -m venv OV && OV/bin/python -m pip install"
            " onnxruntime-openvino, then --interpreter ov=OV --backend openvino@ov",
        )

    def open(self, request: OpenRequest) -> Session:
        """Return the session."""
        from runner.backends.onnxruntime_session import OnnxRuntimeSession  # noqa: PLC0415 - only a worker opens

        restrict_cores(request.options["affinity"])
        return OnnxRuntimeSession(request, PROVIDER, provider_options(request.options))


def provider_options(options: Mapping[str, str]) -> dict[str, str]:
    """Return the options of a spec as the provider spells them; it does not read ONNX Runtime's thread count.

    Source: onnxruntime's documentation of the OpenVINO execution provider.
    """
    return {"device_type": "CPU", "precision": "FP32", "num_of_threads": str(threads(options))}


BACKEND = OpenVinoBackend()
