"""A session of ONNX Runtime: what its providers share. Runs in a worker; onnxruntime is imported when opened."""

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import numpy as np

from runner.backends.batch import NO_NAMES, BatchAxes
from runner.backends.cuda_graphs import FIRST_GRAPH_ID, GraphedBatch
from runner.backends.interface import Array, Arrays, Call, Io, OpenRequest, Placement, Session
from runner.backends.placement import CPU_PROVIDER, placement_of
from runner.backends.provider_options import check_in_force, check_known
from runner.backends.session_options import config_entries, session_options, threads
from runner.backends.static_shapes import StaticSession
from runner.errors import AbsentError

_NO_CAPTURE = "graph capture"
"""what ONNX Runtime's message says when a session cannot be captured"""


@dataclass(frozen=True, slots=True)
class ProviderUse:
    """How sessions use the provider that a backend stands for."""

    provider: str
    options: Mapping[str, str] = field(default_factory=dict)
    """all that it is given"""
    passed: Mapping[str, str] = field(default_factory=dict)
    """those of them that a spec passed on as they are written"""
    fallbacks: tuple[str, ...] = ()
    """providers that take what it leaves, before the CPU does"""
    devices: tuple[Any, ...] = ()
    """of a plugin, as ONNX Runtime lists them; empty: the wheel has the provider"""
    host_memory: bool = False
    """whether it computes in the host's memory, so that arrays are bound once and without copies"""
    tensors_on: tuple[str, int] | None = None
    """the memory in which io=device leaves tensors: ONNX Runtime's word for it and the device's index"""
    graphs: bool = False
    """whether batches are captured as CUDA graphs"""
    facts: Mapping[str, str] = field(default_factory=dict)
    """what a report is to say besides"""


def open_session(request: OpenRequest, use: ProviderUse) -> Session:
    """Return the session that a backend stands for: one, or with ``static=on`` one for each batch size."""
    if request.options.get("static", "off") == "off":
        return OnnxRuntimeSession(request, use)
    sizes, batches = _symbolic_dimensions(request)
    return StaticSession(
        lambda size: OnnxRuntimeSession(request, use, {**sizes, **dict.fromkeys(batches, size)}),
        BatchAxes.of(request.shapes),
    )


class OnnxRuntimeSession:
    """A model opened by ONNX Runtime under one provider.

    Args:
        request: what to open.
        use: of the provider that the backend stands for.
        fixed: sizes of symbolic dimensions, by name.

    Raises:
        UsageError, AbsentError: an option that the provider does not know, or whose value it did not take.
    """

    def __init__(
        self, request: OpenRequest, use: ProviderUse, fixed: Mapping[str, int] | None = None
    ) -> None:
        import onnxruntime as ort  # noqa: PLC0415 - only a worker imports it

        self._use = use
        self._session = _create(request, use, fixed or {})
        self._graph_ids = count(FIRST_GRAPH_ID)
        self._output_names = [output.name for output in self._session.get_outputs()]
        self._placement = placement_of(_assigned(self._session), use.provider)
        reported = self._session.get_provider_options()[use.provider]
        self._facts = {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "onnxruntime": ort.__version__,
            "onnxruntime_file": ort.__file__.replace(sys.prefix, "<prefix>", 1),
            **use.facts,
            "intra_op_num_threads": str(threads(request.options)),
            **config_entries(request.options),
            **check_in_force(use.provider, use.options, use.passed, reported),
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
        if self._use.host_memory:
            return self._bind_in_host_memory(feeds)
        if self._use.graphs:
            assert self._use.tensors_on
            batch = GraphedBatch(self._session, feeds, self._use.tensors_on, next(self._graph_ids))
            return Call(batch.run_on_device if io == "device" else batch.run_through_host, batch.outputs)
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

        assert self._use.tensors_on
        memory, index = self._use.tensors_on
        binding = self._session.io_binding()
        for name, array in feeds.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array, memory, index))
        for name in self._output_names:
            binding.bind_output(name, memory, index)

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


def _create(request: OpenRequest, use: ProviderUse, fixed: Mapping[str, int]) -> Any:  # noqa: ANN401 - onnxruntime ships no types
    """Return onnxruntime's own session; what it says of an option or a graph that fails becomes one line of ours."""
    try:
        return _create_with(request, use, use.options, fixed)
    except Exception as error:
        if use.graphs and _NO_CAPTURE in str(error).lower():
            raise AbsentError(
                f"Cannot capture CUDA graphs of {request.model_path.name}",
                expected="a graph without control flow whose every node runs on CUDA",
                got=" ".join(str(error).split()),
                fix="Drop graphs=on",
            ) from error
        if use.passed:
            # Providers such as CUDA refuse a key that they do not know without saying which they do.
            rest = {name: value for name, value in use.options.items() if name not in use.passed}
            session = _create_with(request, use, rest, fixed)
            reported = session.get_provider_options()[use.provider]
            if not reported.keys() <= rest.keys():
                check_known(use.provider, use.passed, reported)
        raise


def _create_with(
    request: OpenRequest, use: ProviderUse, options: Mapping[str, str], fixed: Mapping[str, int]
) -> Any:  # noqa: ANN401 - onnxruntime ships no types
    import onnxruntime as ort  # noqa: PLC0415 - only a worker imports it

    settings = session_options(ort, request.options)
    for name, size in fixed.items():
        settings.add_free_dimension_override_by_name(name, size)
    chosen: dict[str, Any] = {}
    if use.devices:
        settings.add_provider_for_devices(list(use.devices), dict(options))
    else:
        others = [name for name in (*use.fallbacks, CPU_PROVIDER) if name != use.provider]
        chosen["providers"] = [(use.provider, dict(options)), *others]
    # disable_fallback() after the constructor would be too late
    return ort.InferenceSession(str(request.model_path), settings, enable_fallback=0, **chosen)


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
    names = {name for name in batches if name not in NO_NAMES}
    if names != batches:
        raise AbsentError(
            f"Cannot fix the batch size of {request.model_path.name}",
            expected="a batch dimension with a name",
            got="one without",
            fix="Drop static=on, or name it when the model is exported",
        )
    return {name: size for name, size in sizes.items() if name not in NO_NAMES}, {str(name) for name in names}


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
