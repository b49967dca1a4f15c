"""Operators and parameters are counted wherever a file keeps them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from runner.graph.contents import count_operators, count_parameters, stored_bytes


def branch(name: str, weights: np.ndarray) -> onnx.GraphProto:
    return helper.make_graph(
        [
            helper.make_node(
                "Constant", [], [f"{name}_c"], value=numpy_helper.from_array(weights, f"{name}_c")
            ),
            helper.make_node("Add", [f"{name}_c", f"{name}_w"], [f"{name}_o"]),
        ],
        name,
        [],
        [helper.make_tensor_value_info(f"{name}_o", TensorProto.FLOAT, [4])],
        [numpy_helper.from_array(weights, f"{name}_w")],
    )


def model() -> onnx.ModelProto:
    graph = helper.make_graph(
        [
            helper.make_node(
                "If",
                ["choice"],
                ["o"],
                then_branch=branch("yes", np.ones(4, np.float32)),
                else_branch=branch("no", np.ones(4, np.float32)),
            ),
            helper.make_node("Gelu", ["o"], ["g"], domain="com.microsoft"),
        ],
        "branches",
        [helper.make_tensor_value_info("choice", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("g", TensorProto.FLOAT, [4])],
        [
            numpy_helper.from_array(np.zeros(8, np.int8), "q"),
            numpy_helper.from_array(np.zeros(5, np.int64), "axes"),
        ],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    )


def test_operators_of_branches_and_other_domains_are_counted() -> None:
    assert count_operators(model()) == {"Add": 2, "Constant": 2, "If": 1, "com.microsoft.Gelu": 1}


def test_parameters_are_initializers_and_constants_of_all_graphs_but_no_indices() -> None:
    assert count_parameters(model()) == 2 * (4 + 4) + 8
    assert stored_bytes(model()) == 2 * (4 + 4) * 4 + 8 + 5 * 8


def test_external_data_count_without_being_read() -> None:
    outside = model()
    tensor = outside.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    assert count_parameters(outside) == count_parameters(model())
