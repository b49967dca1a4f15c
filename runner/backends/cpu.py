"""ONNX Runtime on the CPU."""

from collections.abc import Mapping
from typing import Literal

from runner.backends.interface import Io, Missing, OpenRequest, Option, Session
from runner.backends.placement import CPU_PROVIDER
from runner.backends.wheels import missing_wheel

THREAD_OPTIONS = (
    Option("threads", "auto", "threads of the session; auto: the usable cores", check="count"),
    Option(
        "spin",
        "on",
        "whether idle threads busy-wait: faster when hot, burns CPU between requests",
        ("on", "off"),
    ),
)


class CpuBackend:
    """The CPU execution provider."""

    name = "cpu"
    summary = "ONNX Runtime's CPU execution provider"
    device: Literal["cpu"] = "cpu"
    options = THREAD_OPTIONS
    ios: tuple[Io, ...] = ("host",)
    needs_manifest = False

    def parity_tolerance_ratio(self, options: Mapping[str, str]) -> float:  # noqa: ARG002 - part of the interface
        """Return the tolerance for another order of the same fp32 sums."""
        return 1e-4

    def missing(self) -> Missing | None:
        """Return why this machine cannot run it."""
        return missing_wheel()

    def open(self, request: OpenRequest) -> Session:
        """Return the session."""
        from runner.backends.onnxruntime_session import OnnxRuntimeSession  # noqa: PLC0415 - only a worker opens

        return OnnxRuntimeSession(request, CPU_PROVIDER, {})


BACKEND = CpuBackend()
