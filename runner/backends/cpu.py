"""ONNX Runtime on the CPU."""

from collections.abc import Mapping
from typing import Literal

from runner.backends.interface import SINGLE, Io, Missing, OpenRequest, Session
from runner.backends.placement import CPU_PROVIDER
from runner.backends.session_options import ARENA, GRAPH_OPTIONS, INSTANCES, THREAD_OPTIONS, restrict_cores
from runner.backends.wheels import missing_wheel
from runner.variants import VARIANTS


class CpuBackend:
    """The CPU execution provider."""

    name = "cpu"
    summary = "ONNX Runtime's CPU execution provider"
    device: Literal["cpu"] = "cpu"
    options = (*THREAD_OPTIONS, *GRAPH_OPTIONS, ARENA, INSTANCES)
    passing = None  # its provider has no options
    ios: tuple[Io, ...] = ("host",)
    needs_manifest = False
    variants = VARIANTS

    def parity_tolerance_ratio(self, options: Mapping[str, str]) -> float:  # noqa: ARG002 - part of the interface
        """Return the tolerance for another order of the same fp32 sums."""
        return SINGLE

    def missing(self) -> Missing | None:
        """Return why this machine cannot run it."""
        return missing_wheel()

    def open(self, request: OpenRequest) -> Session:
        """Return the session."""
        from runner.backends.batch import BatchAxes  # noqa: PLC0415 - only a worker opens
        from runner.backends.instances import SplitSession  # noqa: PLC0415 - the same
        from runner.backends.onnxruntime_session import ProviderUse, open_session  # noqa: PLC0415 - the same

        restrict_cores(request.options["affinity"])
        use = ProviderUse(CPU_PROVIDER, host_memory=True)
        sessions = tuple(open_session(request, use) for _ in range(int(request.options["instances"])))
        return SplitSession(sessions, BatchAxes.of(request.shapes)) if len(sessions) > 1 else sessions[0]


BACKEND = CpuBackend()
