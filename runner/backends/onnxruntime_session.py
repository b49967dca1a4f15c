"""A session of ONNX Runtime: what its providers share. Runs in a worker; onnxruntime is imported when opened."""

import platform
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from runner.backends.batch import BatchAxes
from runner.backends.interface import Array, Arrays, Call, Io, OpenRequest, Placement, Session
from runner.backends.placement import CPU_PROVIDER, placement_of
from runner.backends.session_options import config_entries, session_options, threads
from runner.backends.static_shapes import StaticSession
from runner.errors import AbsentError

_NO_NAMES = (None, "?")
"""Paddle2ONNX writes ? for every dimension that it does not name."""


def open_session(
    request: OpenRequest,
    provider: str,
    provider_options: Mapping[str, str],
    device_id: int | None = None,
) -> Session:
    """Return the session that a backend stands for: one, or with ``static=on`` one for each batch size.

    Args:
        request: as of ``OnnxRuntimeSession``, as are the others.
        provider: the same.
        provider_options: the same.
        device_id: the same.
    """
    if request.options["static"] == "off":
        return OnnxRuntimeSession(request, provider, provider_options, device_id)
    sizes, batches = _symbolic_dimensions(request)
    return StaticSession(
        lambda size: OnnxRuntimeSession(
            request, provider, provider_options, device_id, {**sizes, **dict.fromkeys(batches, size)}
        ),
        BatchAxes.of(request.shapes),
    )


class OnnxRuntimeSession:
    """A model opened by ONNX Runtime under one provider.

    Args:
        request: what to open.
        provider: the execution provider that the backend stands for.
        provider_options: passed to it as they are.
        device_id: of the provider's device; None for a provider that computes in host memory.
        fixed: sizes of symbolic dimensions, by name.
    """

    def __init__(
        self,
        request: OpenRequest,
        provider: str,
        provider_options: Mapping[str, str],
        device_id: int | None = None,
        fixed: Mapping[str, int] | None = None,
    ) -> None:
        import onnxruntime as ort  # noqa: PLC0415 - only a worker imports it

        self._device_id = device_id
        settings = session_options(ort, request.options)
        for name, size in (fixed or {}).items():
            settings.add_free_dimension_override_by_name(name, size)
        self._session = ort.InferenceSession(
            str(request.model_path),
            settings,
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
            **config_entries(request.options),
            **_provider_facts(provider_options, self._session.get_provider_options()[provider]),
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


def _provider_facts(asked: Mapping[str, str], reported: Mapping[str, str]) -> dict[str, str]:
    """Return the provider's options in force: as it reports them, and as asked where it reports none, as OpenVINO."""
    return {f"provider.{name}": str(value) for name, value in sorted({**asked, **reported}.items())}


def _symbolic_dimensions(request: OpenRequest) -> tuple[dict[str, int], set[str]]:
    """Return the sizes of a model's symbolic dimensions by name, and the names of those that are the batch.

    Raises:
        AbsentError: a batch has no name, so that nothing can fix it.
    """
    import onnxruntime as ort  # noqa: PLC0415 - only a worker imports it

    settings = session_options(ort, {**request.options, "opt": "off"})
    session = ort.InferenceSession(str(request.model_path), settings, providers=[CPU_PROVIDER])
    sizes: dict[str, int] = {}
    batches: set[str | None] = set()
    for feed in session.get_inputs():
        asked = request.shapes.get(feed.name, tuple(feed.shape[:1]))
        for declared, size in zip(feed.shape, asked, strict=False):
            if isinstance(size, str) or size is None:
                batches.add(declared)
            elif isinstance(declared, str):
                sizes[declared] = size
    names = {name for name in batches if name not in _NO_NAMES}
    if names != batches:
        raise AbsentError(
            f"Cannot fix the batch size of {request.model_path.name}",
            expected="a batch dimension with a name",
            got="one without",
            fix="Drop static=on, or name it when the model is exported",
        )
    return {name: size for name, size in sizes.items() if name not in _NO_NAMES}, {
        str(name) for name in names
    }


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
