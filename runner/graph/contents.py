"""What is stored in an ONNX file: operators, parameters, and where their numbers are."""

from collections import Counter
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import onnx


def graphs(graph: "onnx.GraphProto") -> "Iterator[onnx.GraphProto]":
    """Yield a graph and all within it: branches and loop bodies."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
                yield from graphs(inner)


def count_operators(model: "onnx.ModelProto") -> dict[str, int]:
    """Return operator types and how often each occurs, branches, loop bodies and functions included.

    The most frequent come first; a type of another domain than the default one is written ``domain.Type``.
    """
    counts = Counter(_operator_name(node) for node in _nodes(model))
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def _nodes(model: "onnx.ModelProto") -> "Iterator[onnx.NodeProto]":
    for graph in graphs(model.graph):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def _operator_name(node: "onnx.NodeProto") -> str:
    return node.op_type if node.domain in {"", "ai.onnx"} else f"{node.domain}.{node.op_type}"


def stored_tensors(model: "onnx.ModelProto") -> "Iterator[onnx.TensorProto]":
    """Yield every tensor that a file stores: initializers and constants, those of branches, loops and functions too."""
    for graph in graphs(model.graph):
        yield from graph.initializer
        yield from (sparse.values for sparse in graph.sparse_initializer)
        yield from _constants(graph.node)
    for function in model.functions:
        yield from _constants(function.node)


def _constants(nodes: "Iterable[onnx.NodeProto]") -> "Iterator[onnx.TensorProto]":
    return (
        attribute.t
        for node in nodes
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.HasField("t")
    )


def count_parameters(model: "onnx.ModelProto") -> int:
    """Return how many numbers a file stores that are no indices: elements of all types but int64, bool and text."""
    from onnx import TensorProto  # noqa: PLC0415 - only needed for files without a manifest

    no_parameters = {TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING}
    return sum(prod(t.dims) for t in stored_tensors(model) if t.data_type not in no_parameters)


def stored_bytes(model: "onnx.ModelProto") -> int:
    """Return the bytes that a file's tensors take, external data included."""
    from onnx import helper  # noqa: PLC0415 - only needed for files without a manifest

    return sum(
        prod(t.dims) * helper.tensor_dtype_to_np_dtype(t.data_type).itemsize
        for t in stored_tensors(model)
        if t.data_type != t.STRING
    )
