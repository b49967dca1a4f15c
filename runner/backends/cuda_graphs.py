"""Batches whose kernels are captured once as a CUDA graph and replayed: one launch instead of one for each kernel.

ONNX Runtime keeps a graph for each id that a run names, replays it for the same id, and demands that inputs and outputs
keep their addresses and shapes; it captures in the thread that runs, after the runs of that id that its arena needs.

Source: onnxruntime's documentation of the CUDA execution provider, "Using CUDA Graphs", and its run options:
``gpu_graph_id`` is any whole number, 0 is its own, and -1 neither captures nor replays.
"""

from typing import Any

import numpy as np

from runner.backends.interface import Array, Arrays
from runner.errors import AbsentError

FIRST_GRAPH_ID = 1
_GRAPH_ID = "gpu_graph_id"
_NO_GRAPH = "-1"


class GraphedBatch:
    """One batch with buffers of its own on the device, and the graph that computes on them.

    The first run learns the shapes of the outputs without a graph, gives them buffers that stay, and captures. The
    buffers come from ``OrtValue`` and not from a run: a run's outputs lie in the session's arena, where a later replay
    of another graph may write its intermediate results.

    Args:
        session: onnxruntime's own, whose provider has graphs switched on.
        feeds: arrays by input name; through the host, every run reads them anew.
        memory: ONNX Runtime's word for the device's memory, and the device's index.
        graph_id: that no other batch of the session has.
    """

    def __init__(self, session: Any, feeds: Arrays, memory: tuple[str, int], graph_id: int) -> None:  # noqa: ANN401 - onnxruntime ships no types
        import onnxruntime as ort  # noqa: PLC0415 - only a worker imports it

        self._session, self._feeds, self._memory = session, feeds, memory
        self._names = [output.name for output in session.get_outputs()]
        self._binding = session.io_binding()
        self._inputs = {
            name: ort.OrtValue.ortvalue_from_numpy(array, *memory) for name, array in feeds.items()
        }
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        self._options = _run_options(str(graph_id))
        self._outputs: dict[str, Any] = {}
        self._latest: dict[str, Array] = {}

    def run_on_device(self) -> None:
        """Run on the inputs as they were bound; outputs stay on the device."""
        self._run()
        self._binding.synchronize_outputs()

    def run_through_host(self) -> None:
        """Copy the inputs in, run, and copy the outputs out."""
        for name, array in self._feeds.items():
            self._inputs[name].update_inplace(array)
        self._run()
        self._latest = {name: value.numpy() for name, value in self._outputs.items()}

    def outputs(self) -> dict[str, Array]:
        """Return the outputs of the last run."""
        return self._latest or {name: np.asarray(value.numpy()) for name, value in self._outputs.items()}

    def _run(self) -> None:
        if not self._outputs:
            self._capture()
            return
        self._session.run_with_iobinding(self._binding, self._options)

    def _capture(self) -> None:
        try:
            self._outputs = self._fixed_outputs()
            for name, value in self._outputs.items():
                self._binding.bind_ortvalue_output(name, value)
            self._session.run_with_iobinding(self._binding, self._options)
        except Exception as error:
            self._outputs = {}
            shapes = ", ".join(f"{name} {array.shape}" for name, array in self._feeds.items())
            raise AbsentError(
                f"Cannot capture a CUDA graph for {shapes}",
                expected="kernels that neither wait nor allocate memory while they are captured",
                got=" ".join(str(error).split()),
                fix="Drop graphs=on",
            ) from error

    def _fixed_outputs(self) -> dict[str, Any]:
        """Return a buffer for each output, of the shape that a run without a graph gives it."""
        import onnxruntime as ort  # noqa: PLC0415 - only a worker imports it

        for name in self._names:
            self._binding.bind_output(name, *self._memory)
        self._session.run_with_iobinding(self._binding, _run_options(_NO_GRAPH))
        found = zip(self._names, self._binding.get_outputs(), strict=True)
        make = ort.OrtValue.ortvalue_from_shape_and_type
        return {name: make(value.shape(), value.element_type(), *self._memory) for name, value in found}


def _run_options(graph_id: str) -> Any:  # noqa: ANN401 - onnxruntime ships no types
    import onnxruntime as ort  # noqa: PLC0415 - only a worker imports it

    options = ort.RunOptions()
    options.add_run_config_entry(_GRAPH_ID, graph_id)
    return options
