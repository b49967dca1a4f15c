"""The batch wherever a model has it: parts of it, instances, fixed shapes and a queue's batches."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from runner.backends.batch import BatchAxes
from runner.backends.interface import Arrays, Call, Io, OpenRequest
from runner.backends.registry import find_backend
from runner.backends.spec import parse_spec
from runner.errors import AbsentError, UsageError
from runner.inputs import make_inputs
from runner.load.serving import BatchServer
from runner.manifest import TensorSpec

INPUTS = (
    TensorSpec("x", "float32", ("batch", 3)),
    TensorSpec("state", "float32", (2, "batch", 3)),
    TensorSpec("scale", "float32", ()),
)
SHAPES = {spec.name: spec.shape for spec in INPUTS}


def write_recurrent(path: Path, *, batch: str | None = "batch") -> Path:
    """Write y = (x + state[0]) * scale, next = state + x: the batch of the state is dimension 1."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceSum", ["state", "front"], ["sum"], keepdims=0),
            helper.make_node("Add", ["x", "sum"], ["added"]),
            helper.make_node("Mul", ["added", "scale"], ["y"]),
            helper.make_node("Add", ["state", "x"], ["next"]),
        ],
        "recurrent",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3]),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [2, batch, 3]),
            helper.make_tensor_value_info("scale", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 3]),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [2, batch, 3]),
        ],
        [helper.make_tensor("front", TensorProto.INT64, [1], [0])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def opened(path: Path, spec: str, shapes: dict[str, tuple[int | str, ...]] | None = None):  # type: ignore[no-untyped-def]  # noqa: ANN201 - whatever the backend opens
    parsed = parse_spec(spec)
    return find_backend(parsed.name).open(OpenRequest(path, None, parsed.options, shapes or SHAPES))


def expected(feeds: Arrays) -> dict[str, np.ndarray]:
    x, state, scale = (np.asarray(feeds[name], np.float32) for name in ("x", "state", "scale"))
    return {"y": (x + state.sum(0)) * scale, "next": state + x}


def assert_equal(outputs: Arrays, wanted: dict[str, np.ndarray]) -> None:
    assert outputs.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_allclose(np.asarray(outputs[name], np.float64), array, rtol=1e-5, atol=1e-6)


@given(st.integers(1, 6), st.data())
def test_parts_are_contiguous_and_make_the_whole_wherever_the_batch_is(
    size: int, data: st.DataObject
) -> None:
    axes, feeds = BatchAxes.of(SHAPES), make_inputs(INPUTS, size, 0)
    cut = data.draw(st.integers(0, size))
    first, second = axes.part(feeds, 0, cut), axes.part(feeds, cut, size)
    assert (axes.size(feeds), axes.size(first), axes.size(second)) == (size, cut, size - cut)
    for name, axis in (("x", 0), ("state", 1)):
        assert first[name].flags.c_contiguous
        np.testing.assert_array_equal(np.concatenate([first[name], second[name]], axis), feeds[name])
    assert first["scale"] is second["scale"] is feeds["scale"]


def test_a_part_in_front_shares_memory_with_the_whole() -> None:
    feeds = {"x": np.zeros((4, 3), np.float32)}
    assert np.shares_memory(BatchAxes().part(feeds, 0, 2)["x"], feeds["x"])


@pytest.mark.parametrize("spec", ["cpu:threads=1", "cpu:threads=1,static=on"])
def test_a_state_whose_batch_is_second_is_run_at_any_size(spec: str, tmp_path: Path) -> None:
    session = opened(write_recurrent(tmp_path / "m.onnx"), spec)
    for size in (1, 3, 2):
        feeds = make_inputs(INPUTS, size, size)
        call = session.bind(feeds, "host")
        call.run()
        assert_equal(call.outputs(), expected(feeds))


def test_a_queue_forms_batches_of_such_a_state(tmp_path: Path) -> None:
    session = opened(write_recurrent(tmp_path / "m.onnx"), "cpu:threads=1")
    bound: list[Arrays] = []

    class Recorder:
        placement, facts = session.placement, session.facts

        def bind(self, feeds: Arrays, io: Io) -> Call:
            bound.append(feeds)
            call: Call = session.bind(feeds, io)
            return call

    server = BatchServer(Recorder(), make_inputs(INPUTS, 5, 0), BatchAxes.of(SHAPES))
    assert server.size == 5
    for count in (2, 5, 1):
        server.serve(count)
    assert [feeds["state"].shape for feeds in bound] == [(2, 2, 3), (2, 5, 3), (2, 1, 3)]


def test_instances_refuse_a_batch_that_is_not_in_front(tmp_path: Path) -> None:
    path = write_recurrent(tmp_path / "m.onnx")
    with pytest.raises(
        UsageError, match=r"expected the batch in front .* 'state' in dimension 1\. Drop instances"
    ):
        opened(path, "cpu:threads=1,instances=2")


def test_instances_share_inputs_that_have_no_batch(tmp_path: Path) -> None:
    path = write_recurrent(tmp_path / "m.onnx")
    shapes: dict[str, tuple[int | str, ...]] = {**SHAPES, "state": (2, 1, 3)}
    session = opened(path, "cpu:threads=1,instances=2", shapes)
    feeds = make_inputs(tuple(TensorSpec(n, "float32", shapes[n]) for n in shapes), 5, 1)
    call = session.bind(feeds, "host")
    call.run()
    with pytest.raises(
        UsageError, match=r"in front of output 'next', got parts of \(2, 3, 3\) and \(2, 2, 3\)"
    ):
        call.outputs()
    graph = onnx.load(path)
    del graph.graph.node[3], graph.graph.output[1]
    onnx.save(graph, path)
    call = opened(path, "cpu:threads=1,instances=2", shapes).bind(feeds, "host")
    call.run()
    assert_equal(call.outputs(), {"y": expected(feeds)["y"]})


def test_fixed_shapes_need_a_batch_with_a_name(tmp_path: Path) -> None:
    path = write_recurrent(tmp_path / "m.onnx", batch=None)
    with pytest.raises(AbsentError, match="expected a batch dimension with a name, got one without"):
        opened(path, "cpu:threads=1,static=on")
