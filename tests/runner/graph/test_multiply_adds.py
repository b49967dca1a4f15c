"""Multiply-adds: against arithmetic on small graphs, published figures of known networks, and each other."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from runner.graph.folding import fold_shapes
from runner.graph.multiply_adds import COUNTS, count_multiply_adds
from runner.onnxfile import read_graph

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
"""networks that the onnx package ships without their weights"""


def graph_of(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[int, ...]],
    constants: dict[str, np.ndarray] | None = None,
    outputs: tuple[str, ...] = ("o",),
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    domains = {"": 18, "com.microsoft": 1, "my.company": 1}
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid(*each) for each in domains.items()], ir_version=10
    )


def counted(model: onnx.ModelProto, **sizes: tuple[int, ...]) -> tuple[int, dict[str, int]]:
    found = count_multiply_adds(fold_shapes(model, sizes, {}))
    return found.total, dict(found.uncounted)


def zeros(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return np.zeros(shape, dtype)


X8 = np.uint8
SCALE = np.array(1.0, np.float32)
ZERO = np.array(0, np.uint8)
CASES: dict[str, tuple[list[onnx.NodeProto], dict[str, tuple[int, ...]], dict[str, np.ndarray], int]] = {
    "Conv": (
        [helper.make_node("Conv", ["x", "w"], ["o"], group=2, strides=[2, 2], pads=[1, 1, 1, 1])],
        {"x": (2, 4, 8, 8)},
        {"w": zeros(6, 2, 3, 3)},
        2 * 6 * 4 * 4 * 2 * 9,
    ),
    "ConvTranspose": (
        [helper.make_node("ConvTranspose", ["x", "w"], ["o"], strides=[2, 2])],
        {"x": (1, 4, 5, 5)},
        {"w": zeros(4, 3, 2, 2)},
        4 * 25 * 3 * 4,
    ),
    "Gemm": (
        [helper.make_node("Gemm", ["x", "w"], ["o"], transA=1, transB=1)],
        {"x": (7, 2)},
        {"w": zeros(5, 7)},
        2 * 7 * 5,
    ),
    "MatMul": (
        [helper.make_node("MatMul", ["x", "w"], ["o"])],
        {"x": (3, 1, 4, 5), "w": (6, 5, 2)},
        {},
        3 * 6 * 4 * 5 * 2,
    ),
    "MatMul of a vector": ([helper.make_node("MatMul", ["x", "w"], ["o"])], {"x": (5,), "w": (5, 2)}, {}, 10),
    "Einsum": (
        [helper.make_node("Einsum", ["x", "w"], ["o"], equation="bij, bjk -> bik")],
        {"x": (2, 3, 4), "w": (2, 4, 5)},
        {},
        2 * 3 * 4 * 5,
    ),
    "LSTM": (
        [helper.make_node("LSTM", ["x", "w", "r"], ["o"], hidden_size=8, direction="bidirectional")],
        {"x": (10, 3, 6)},
        {"w": zeros(2, 32, 6), "r": zeros(2, 32, 8)},
        10 * 3 * 2 * 4 * 8 * (6 + 8),
    ),
    "GRU": (
        [helper.make_node("GRU", ["x", "w", "r"], ["o"], hidden_size=8)],
        {"x": (10, 3, 6)},
        {"w": zeros(1, 24, 6), "r": zeros(1, 24, 8)},
        10 * 3 * 3 * 8 * (6 + 8),
    ),
    "QLinearConv": (
        [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
            helper.make_node("QLinearConv", ["q", "s", "z", "w", "s", "z", "s", "z"], ["c"]),
            helper.make_node("DequantizeLinear", ["c", "s", "z"], ["o"]),
        ],
        {"x": (1, 3, 6, 6)},
        {"w": zeros(4, 3, 3, 3, dtype=X8), "s": SCALE, "z": ZERO},
        4 * 16 * 27,
    ),
    "MatMulInteger": (
        [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
            helper.make_node("MatMulInteger", ["q", "w", "z"], ["m"]),
            helper.make_node("Cast", ["m"], ["o"], to=FLOAT),
        ],
        {"x": (3, 4)},
        {"w": zeros(4, 5, dtype=X8)},
        3 * 4 * 5,
    ),
    "MatMulNBits": (
        [
            helper.make_node(
                "MatMulNBits", ["x", "w", "s"], ["o"], domain="com.microsoft", K=16, N=8, bits=4, block_size=16
            )
        ],
        {"x": (2, 3, 16)},
        {"w": zeros(8, 1, 8, dtype=X8), "s": zeros(8)},
        6 * 16 * 8,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_operator_is_counted_by_its_shapes(case: str) -> None:
    nodes, inputs, constants, expected = CASES[case]
    assert counted(graph_of(nodes, inputs, constants)) == (expected, {})


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(3, 9))
def test_a_convolution_counts_what_its_equivalent_product_does(
    batch: int, channels: int, filters: int, kernel: int, side: int
) -> None:
    conv = graph_of(
        [helper.make_node("Conv", ["x", "w"], ["o"])],
        {"x": (batch, channels, side, side)},
        {"w": zeros(filters, channels, kernel, kernel)},
    )
    places, weights = (side - kernel + 1) ** 2, channels * kernel**2
    columns = graph_of(
        [helper.make_node("MatMul", ["w", "x"], ["o"])],
        {"x": (batch, weights, places)},
        {"w": zeros(filters, weights)},
    )
    assert counted(conv) == counted(columns)


def test_what_computes_without_a_rule_is_named_and_what_is_elementwise_is_not() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Attention", ["r", "w"], ["a"], domain="com.microsoft", num_heads=2),
        helper.make_node("Invented", ["a"], ["i"], domain="my.company"),
        helper.make_node("MatMul", ["i", "i"], ["o"]),  # of unknown shape: neither 0 nor left out
    ]
    model = graph_of(nodes, {"x": (1, 4, 8)}, {"w": zeros(8, 24)})
    assert counted(model) == (0, {"Attention": 1, "Invented": 1, "MatMul": 1})


def test_a_loop_that_computes_is_named() -> None:
    body = helper.make_graph(
        [helper.make_node("MatMul", ["h", "h"], ["h2"]), helper.make_node("Identity", ["c"], ["c2"])],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("h", FLOAT, [4, 4]),
        ],
        [
            helper.make_tensor_value_info("c2", TensorProto.BOOL, []),
            helper.make_tensor_value_info("h2", FLOAT, [4, 4]),
        ],
    )
    loop = helper.make_node("Loop", ["n", "", "x"], ["o"], body=body)
    assert counted(graph_of([loop], {"x": (4, 4)}, {"n": np.array(7)})) == (0, {"Loop": 1})


def test_shapes_that_a_graph_computes_are_followed_for_any_size() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Concat", ["n", "minus"], ["to"], axis=0),
        helper.make_node("Reshape", ["x", "to"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["o"]),
    ]
    constants = {"zero": np.array([0]), "minus": np.array([-1]), "w": zeros(48, 5)}
    model = graph_of(nodes, {"x": (1, 1, 1, 1)}, constants)
    for dim in model.graph.input[0].type.tensor_type.shape.dim:
        dim.dim_param = "d"
    assert counted(model, x=(2, 3, 4, 4)) == (2 * 48 * 5, {})


def test_the_branch_that_a_given_value_chooses_is_the_one_that_counts() -> None:
    def branch(name: str, width: int) -> onnx.GraphProto:
        return helper.make_graph(
            [helper.make_node("MatMul", ["x", f"{name}_w"], [f"{name}_o"])],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_o", FLOAT, [None, None])],
            [numpy_helper.from_array(zeros(4, width), f"{name}_w")],
        )

    nodes = [
        helper.make_node("Equal", ["sr", "rate"], ["is16"]),
        helper.make_node("If", ["is16"], ["o"], then_branch=branch("a", 8), else_branch=branch("b", 2)),
    ]
    model = graph_of(nodes, {"x": (3, 4)}, {"rate": np.array(16000)})
    model.graph.input.append(helper.make_tensor_value_info("sr", INT64, []))
    for rate, expected in ((16000, 3 * 4 * 8), (8000, 3 * 4 * 2)):
        static = fold_shapes(model, {"x": (3, 4), "sr": ()}, {"sr": np.array(rate)})
        assert count_multiply_adds(static).total == expected
    assert counted(model, x=(3, 4), sr=()) == (0, {"If": 1})  # nobody knows which


def test_a_constant_that_would_not_fit_memory_is_never_made() -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["huge"], ["c"]),
        helper.make_node("Range", ["zero", "many", "one"], ["r"]),
        helper.make_node("Identity", ["x"], ["o"]),
    ]
    constants = {
        "huge": np.array([2**20, 2**20]),
        "zero": np.array(0),
        "many": np.array(2**40),
        "one": np.array(1),
    }
    assert counted(graph_of(nodes, {"x": (1,)}, constants)) == (0, {})


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("resnet50", 4.09e9),
        ("densenet121", 2.834e9),
        ("squeezenet", 0.349e9),
        ("vgg19", 19.63e9),
    ],
)
def test_known_networks_take_the_published_operations(name: str, published: float) -> None:
    """Source: torchvision's metadata of these networks (`_ops`), SqueezeNet's being version 1.1."""
    graph, file, _ = read_graph(LIGHT / f"light_{name}.onnx")
    found = count_multiply_adds(fold_shapes(graph, {spec.name: spec.shape for spec in file.inputs}, {}))  # type: ignore[misc]  # all fixed
    assert found.uncounted == {}
    assert found.total == pytest.approx(published, rel=5e-3)


def test_every_rule_is_of_an_operator_that_placement_calls_heavy_or_says_why_not() -> None:
    from runner.backends.placement import HEAVY_OPERATORS  # noqa: PLC0415 - only here

    quantised = {
        "DynamicQuantizeMatMul",
        "MatMulIntegerToFloat",
    }  # fused by ONNX Runtime, seen only inside of it
    assert set(COUNTS) - HEAVY_OPERATORS <= quantised
