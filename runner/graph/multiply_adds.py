"""How many multiply-adds an inference takes: those of the operators whose work grows with channels x channels.

Counted are convolutions, matrix products and recurrent layers, quantised and fused ones among them, as torchvision
counts its networks'; what is element by element, a norm or a pool is not. An operator that should be counted and cannot
be is named, never taken for 0.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from runner.backends.placement import HEAVY_OPERATORS
from runner.graph.folding import Shape, StaticGraph, fold_shapes
from runner.inputs import Constant, make_inputs, parse_values, sizes_of
from runner.modelfile import ModelFile

if TYPE_CHECKING:
    import onnx

_UNCOUNTED = HEAVY_OPERATORS | {"DFT", "DeformConv", "STFT"}
"""Operators that compute, for which there may be no rule here."""
_STANDARD = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training", "ai.onnx.training"})
"""Domains whose operators this file knows, counted or not."""


class _UnknownError(Exception):
    """A shape or attribute that a count needs is not known."""


@dataclass(frozen=True, slots=True)
class Node:
    """What a count needs of a node."""

    inputs: Sequence[str]
    outputs: Sequence[str]
    attributes: Mapping[str, object]
    shapes: Mapping[str, Shape]

    def input(self, place: int) -> Shape:
        """Return the shape of an input."""
        return self._shape(self.inputs, place)

    def output(self, place: int = 0) -> Shape:
        """Return the shape of an output."""
        return self._shape(self.outputs, place)

    def _shape(self, names: Sequence[str], place: int) -> Shape:
        if place >= len(names) or names[place] not in self.shapes:
            raise _UnknownError
        return self.shapes[names[place]]


@dataclass(frozen=True, slots=True)
class MultiplyAdds:
    """What was counted, and what could not be."""

    total: int
    by_operator: Mapping[str, int]
    uncounted: Mapping[str, int]
    """nodes by type"""


def count_multiply_adds(static: StaticGraph) -> MultiplyAdds:
    """Return the multiply-adds of one inference of a graph whose shapes are known."""
    counted: Counter[str] = Counter()
    uncounted: Counter[str] = Counter()
    _count(static.model.graph.node, static.shapes, counted, uncounted)
    return MultiplyAdds(sum(counted.values()), dict(counted), dict(uncounted))


def count_file(model: "onnx.ModelProto", file: ModelFile) -> MultiplyAdds:
    """Return the multiply-adds of an inference of the smallest batch that a file takes.

    Args:
        model: the file's graph.
        file: opened to be run, so that only the batch has no size.
    """
    import onnx  # noqa: PLC0415 - only needed for files without a manifest

    sizes = {spec.name: sizes_of(spec, 1) for spec in file.inputs}
    scalars = tuple(
        spec
        for spec in file.inputs
        if prod(sizes[spec.name]) == 1
        and isinstance(parse_values(file.input_values.get(spec.name, "0:1")), Constant)
    )
    values = make_inputs(scalars, 1, 0, file.input_values)
    try:
        static = fold_shapes(model, sizes, values)
    except (
        onnx.shape_inference.InferenceError,
        ValueError,
    ):  # a graph that contradicts itself, or is above 2 GB
        static = StaticGraph(model, {})
    return count_multiply_adds(static)


def _count(
    nodes: "Iterable[onnx.NodeProto]",
    shapes: Mapping[str, Shape],
    counted: Counter[str],
    uncounted: Counter[str],
) -> None:
    from onnx import helper  # noqa: PLC0415 - only needed for files without a manifest

    for node in nodes:
        bodies = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
        if bodies:  # an If whose branch, or a loop whose turns the sizes do not determine
            if any(_has_heavy(body) for body in bodies):
                uncounted[node.op_type] += 1
            continue
        rule = COUNTS.get(node.op_type)
        if rule is None:
            if node.op_type in _UNCOUNTED or node.domain not in _STANDARD:
                uncounted[node.op_type] += 1
            continue
        attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        try:
            counted[node.op_type] += rule(Node(node.input, node.output, attributes, shapes))
        except (_UnknownError, KeyError, IndexError, ValueError, TypeError):
            uncounted[node.op_type] += 1


def _has_heavy(graph: "onnx.GraphProto") -> bool:
    return any(
        node.op_type in COUNTS
        or node.op_type in _UNCOUNTED
        or any(_has_heavy(each.g) for each in node.attribute if each.HasField("g"))
        for node in graph.node
    )


def _convolution(weight: int) -> Callable[[Node], int]:
    """Count one output element per weight of its channel: output x (input channels / groups) x kernel."""
    return lambda node: prod(node.output()) * prod(node.input(weight)[1:])


def _transposed_convolution(node: Node) -> int:
    """Count one input element per weight of its channel."""
    return prod(node.input(0)) * prod(node.input(1)[1:])


def _product(left: int, right: int) -> Callable[[Node], int]:
    """Count a matrix product: its elements, batch dimensions broadcast, x the shared dimension."""

    def count(node: Node) -> int:
        a, b = node.input(left), node.input(right)
        if node.attributes.get("transA"):
            a = (*a[:-2], a[-1], a[-2])
        if node.attributes.get("transB"):
            b = (*b[:-2], b[-1], b[-2])
        if a[-1] != (b[-2] if len(b) > 1 else b[-1]):
            raise _UnknownError
        rows, columns = (a[-2] if len(a) > 1 else 1), (b[-1] if len(b) > 1 else 1)
        return prod(_broadcast(a[:-2], b[:-2])) * rows * columns * a[-1]

    return count


def _broadcast(a: Shape, b: Shape) -> Shape:
    length = max(len(a), len(b))
    padded = ((1,) * (length - len(shape)) + tuple(shape) for shape in (a, b))
    return tuple(max(pair) if min(pair) else 0 for pair in zip(*padded, strict=True))


def _packed_product(node: Node) -> int:
    """Count a product with weights of a few bits, which say their sizes in attributes."""
    return prod(node.input(0)[:-1]) * _whole(node, "K") * _whole(node, "N")


def _whole(node: Node, name: str) -> int:
    number = node.attributes[name]
    if not isinstance(number, int):
        raise _UnknownError
    return number


def _recurrent(node: Node) -> int:
    """Count the gates of every step: input and recurrent weights, in all directions."""
    steps, batch, _ = node.input(0)
    if node.attributes.get("layout"):
        steps, batch = batch, steps
    return steps * batch * (prod(node.input(1)) + prod(node.input(2)))


def _einsum(node: Node) -> int:
    """Count the products of two operands: the sizes of all letters; more are contracted in an order unknown here."""
    equation = node.attributes["equation"]
    if not isinstance(equation, bytes) or b"." in equation or len(node.inputs) != 2:  # noqa: PLR2004 - two operands
        raise _UnknownError
    terms = equation.decode().replace(" ", "").partition("->")[0].split(",")
    letters = {
        letter: size
        for place, term in enumerate(terms)
        for letter, size in zip(term, node.input(place), strict=True)
    }
    return prod(letters.values())


COUNTS: Mapping[str, Callable[[Node], int]] = {
    "Conv": _convolution(1),
    "ConvInteger": _convolution(1),
    "QLinearConv": _convolution(3),
    "FusedConv": _convolution(1),
    "ConvTranspose": _transposed_convolution,
    "Gemm": _product(0, 1),
    "FusedGemm": _product(0, 1),
    "QGemm": _product(0, 3),
    "MatMul": _product(0, 1),
    "FusedMatMul": _product(0, 1),
    "MatMulInteger": _product(0, 1),
    "MatMulIntegerToFloat": _product(0, 1),
    "DynamicQuantizeMatMul": _product(0, 1),
    "QLinearMatMul": _product(0, 3),
    "MatMulNBits": _packed_product,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    "Einsum": _einsum,
}
"""By operator type: the multiply-adds of one node."""
