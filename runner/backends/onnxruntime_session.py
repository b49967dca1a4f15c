"""A session of ONNX Runtime: what its providers share. Runs in a worker; onnxruntime is imported when opened."""

import platform
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from runner.backends.interface import Array, Arrays, Call, Io, OpenRequest, Placement
from runner.backends.placement import CPU_PROVIDER, placement_of
from runner.errors import AbsentError
from runner.machine.cpu import usable_cores

_WARNING = 2
"""onnxruntime's log severities: 0 verbose, 1 info, 2 warning"""


class OnnxRuntimeSession:
    """A model opened by ONNX Runtime under one provider.

    Args:
        request: what to open.
        provider: the execution provider that the backend stands for.
        provider_options: passed to it as they are.
        device_id: of the provider's device; None for a provider that computes in host memory.
    """

    def __init__(
        self,
        request: OpenRequest,
        provider: str,
        provider_options: Mapping[str, str],
        device_id: int | None = None,
    ) -> None:
        import onnxruntime as ort  # noqa: PLC0415 - only a worker imports it

        self._device_id = device_id
        self._session = ort.InferenceSession(
            str(request.model_path),
            _session_options(ort, request),
            providers=[
                (provider, dict(provider_options)),
                *([] if provider == CPU_PROVIDER else [CPU_PROVIDER]),
            ],
            enable_fallback=0,  # disable_fallback() after the constructor would be too late
        )
        self._output_names = [output.name for output in self._session.get_outputs()]
        self._placement = placement_of(_assigned(self._session), provider)
        self._facts = {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "onnxruntime": ort.__version__,
            "onnxruntime_file": ort.__file__.replace(sys.prefix, "<prefix>", 1),
            "intra_op_num_threads": str(threads(request.options)),
            **_config_entries(request.options),
            **{
                f"provider.{k}": str(v)
                for k, v in sorted(self._session.get_provider_options()[provider].items())
            },
        }

    @property
    def placement(self) -> Placement:
        """What ran where."""
        return self._placement

    @property
    def facts(self) -> Mapping[str, str]:
        """Versions, files and settings in force."""
        return self._facts

    def bind(self, feeds: Arrays, io: Io) -> Call:
        """Return the call that runs this batch."""
        if self._device_id is None:
            return self._bind_in_host_memory(feeds)
        return self._bind_on_device(feeds) if io == "device" else self._run_through_host(feeds)

    def _bind_in_host_memory(self, feeds: Arrays) -> Call:
        """Bind once: the device is the host, so the bound run is host array in, host array out."""
        binding = self._session.io_binding()
        for name, array in feeds.items():
            binding.bind_cpu_input(name, array)
        for name in self._output_names:
            binding.bind_output(name)
        return Call(partial(self._session.run_with_iobinding, binding), partial(self._fetch, binding))

    def _bind_on_device(self, feeds: Arrays) -> Call:
        import onnxruntime as ort  # noqa: PLC0415 - only a worker imports it

        binding = self._session.io_binding()
        for name, array in feeds.items():
            binding.bind_ortvalue_input(
                name, ort.OrtValue.ortvalue_from_numpy(array, "cuda", self._device_id)
            )
        for name in self._output_names:
            binding.bind_output(name, "cuda", self._device_id)

        def run() -> None:
            self._session.run_with_iobinding(binding)
            binding.synchronize_outputs()

        return Call(run, partial(self._fetch, binding))

    def _run_through_host(self, feeds: Arrays) -> Call:
        """Copy in and out within every call; a binding would copy the input only once, when it is bound."""
        last: list[Array] = []
        arrays = dict(feeds)

        def run() -> None:
            last[:] = self._session.run(self._output_names, arrays)

        return Call(run, lambda: dict(zip(self._output_names, last, strict=True)))

    def _fetch(self, binding: Any) -> dict[str, Array]:  # noqa: ANN401 - onnxruntime ships no types
        values = (np.asarray(array) for array in binding.copy_outputs_to_cpu())
        return dict(zip(self._output_names, values, strict=True))


def threads(options: Mapping[str, str]) -> int:
    """Return the number of threads in force: always explicit, never left to the library."""
    return usable_cores() if options["threads"] == "auto" else int(options["threads"])


def _config_entries(options: Mapping[str, str]) -> dict[str, str]:
    """Return our session keys; misspelt ones are accepted in silence, so they live in this one place.

    Source: onnxruntime_session_options_config_keys.h.
    """
    return {
        "session.intra_op.allow_spinning": "1" if options["spin"] == "on" else "0",
        "session.record_ep_graph_assignment_info": "1",
    }


def _session_options(ort: Any, request: OpenRequest) -> Any:  # noqa: ANN401 - onnxruntime ships no types
    settings = ort.SessionOptions()
    settings.log_severity_level = _WARNING
    settings.intra_op_num_threads = threads(request.options)
    settings.inter_op_num_threads = 1
    for key, value in _config_entries(request.options).items():
        settings.add_session_config_entry(key, value)
    return settings


def _assigned(session: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - onnxruntime ships no types
    """Return provider and operator type of every node; a provider can own several subgraphs."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        raise AbsentError(
            "Cannot prove what ran where",
            expected="onnxruntime 1.24 or newer",
            fix="Upgrade onnxruntime",
        )
    return [
        (part.ep_name, node.op_type)
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    ]
