import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from runner.errors import AbsentError, FileError, JoulebatchError
from runner.inputs import make_inputs
from runner.manifest import TensorSpec
from runner.onnxfile import open_onnx, read_graph
from tests.models import CLASSES, SIZE, write_onnx


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    write_onnx(path)
    return path.read_bytes()


def _write(path: Path, inputs: Sequence[onnx.ValueInfoProto]) -> Path:
    """Write a model that hands each input on."""
    nodes = [helper.make_node("Identity", [value.name], [f"{value.name}_out"]) for value in inputs]
    outputs = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in inputs]
    for value in outputs:
        value.name += "_out"
    graph = helper.make_graph(nodes, "identity", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def test_a_file_says_what_goes_in_and_out(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    write_onnx(path)
    file = open_onnx(path, {})
    assert (file.name, file.variant, file.manifest, file.reference_path) == ("tiny", "fp32", None, None)
    assert file.inputs == (TensorSpec("input", "float32", ("batch", 3, SIZE, SIZE)),)
    assert file.outputs == (TensorSpec("logits", "float32", ("batch", CLASSES)),)
    assert file.fixed_batch is None
    assert file.size_bytes == path.stat().st_size


def test_a_fixed_batch_is_the_only_one(tmp_path: Path) -> None:
    write_onnx(tmp_path / "tiny.onnx", batch=4)
    file = open_onnx(tmp_path / "tiny.onnx", {})
    assert file.fixed_batch == 4
    assert make_inputs(file.inputs, 4, 0)["input"].shape == (4, 3, SIZE, SIZE)


def test_several_inputs_of_several_types(tmp_path: Path) -> None:
    types = {"int64": TensorProto.INT64, "uint8": TensorProto.UINT8, "float16": TensorProto.FLOAT16}
    values = [helper.make_tensor_value_info(name, kind, ["n", 5]) for name, kind in types.items()]
    values.append(helper.make_tensor_value_info("bool", TensorProto.BOOL, ["n"]))
    file = open_onnx(_write(tmp_path / "m.onnx", values), {})
    assert [spec.dtype for spec in file.inputs] == [*types, "bool"]
    arrays = make_inputs(file.inputs, 3, 0)
    assert {name: (array.dtype.name, array.shape) for name, array in arrays.items()} == {
        **{name: (name, (3, 5)) for name in types},
        "bool": ("bool", (3,)),
    }


def test_initializers_that_are_listed_as_inputs_are_no_inputs(tmp_path: Path) -> None:
    path = tmp_path / "old.onnx"
    model = write_onnx(path)
    model.graph.input.append(helper.make_tensor_value_info("fc", TensorProto.FLOAT, [CLASSES, 8]))
    onnx.save(model, path)
    assert [spec.name for spec in read_graph(path)[1].inputs] == ["input"]


def test_unnamed_dimensions_are_dynamic(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])
    (spec,) = open_onnx(_write(tmp_path / "m.onnx", [value]), {}).inputs
    assert spec.has_dynamic_batch
    assert spec.shape[1:] == (4,)


def test_given_sizes_fix_every_dimension_but_the_batch(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m.onnx", size="side")
    (spec,) = open_onnx(tmp_path / "m.onnx", {"input": (3, 32, 32)}).inputs
    assert spec.shape == ("batch", 3, 32, 32)


def test_a_missing_file_and_a_folder_are_absent(tmp_path: Path) -> None:
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(AbsentError, match="expected an ONNX file, got no file"):
            open_onnx(path, {})


@pytest.mark.parametrize("suffix", ["onnx", "json", "onnxtxt", "textproto", "bin"])
@pytest.mark.parametrize("content", [b"", b"hello, world\n", b"{}", b"\x80\x00\xff"])
def test_what_is_no_onnx_file_is_refused_in_one_line(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"m.{suffix}"
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"Cannot open .*: expected a whole ONNX file, got .*Export it again"):
        open_onnx(path, {})


def test_a_whole_file_opens_whatever_its_suffix(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(whole)
    assert len(open_onnx(path, {}).inputs) == 1


@given(st.data())
def test_a_file_that_was_cut_off_anywhere_is_refused(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.onnx"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(FileError):
        open_onnx(path, {})


@given(st.data())
def test_damage_is_an_error_of_ours_or_goes_unseen_but_never_a_traceback(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    damaged = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=3)):
        damaged[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(damaged)
    with suppress(JoulebatchError):
        assert open_onnx(path, {}).inputs


def test_a_damaged_name_is_no_traceback(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(whole.replace(b"Relu", b"R\xe9lu"))  # the checker itself fails on it
    with pytest.raises(FileError, match="expected a whole ONNX file"):
        open_onnx(path, {})


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (
            helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, ["n", 4])),
            "sequence(float32)",
        ),
        (
            helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.INT64, [])),
            "optional(int64)",
        ),
        (
            helper.make_sequence_type_proto(
                helper.make_map_type_proto(
                    TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
                )
            ),
            "sequence(map(int64, float32))",
        ),
        (helper.make_tensor_type_proto(TensorProto.STRING, ["n"]), "string"),
        (helper.make_tensor_type_proto(TensorProto.BFLOAT16, ["n"]), "bfloat16"),
        (helper.make_tensor_type_proto(TensorProto.COMPLEX64, ["n"]), "complex64"),
    ],
)
def test_inputs_that_are_no_tensors_of_numbers_can_be_read_and_not_run(
    kind: onnx.TypeProto, named: str, tmp_path: Path
) -> None:
    path = _write(tmp_path / "m.onnx", [helper.make_value_info("boxes", kind)])
    assert read_graph(path)[1].inputs[0].dtype == named
    with pytest.raises(
        FileError, match=rf"input 'boxes' to be a tensor of numbers .*, got {re.escape(named)}\."
    ):
        open_onnx(path, {})


def test_outputs_that_are_no_tensors_are_refused_before_anything_is_measured(tmp_path: Path) -> None:
    boxes = helper.make_tensor_sequence_value_info("boxes", TensorProto.FLOAT, None)
    graph = helper.make_graph(
        [helper.make_node("SequenceConstruct", ["x"], ["boxes"])],
        "sequence",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [boxes],
    )
    onnx.save(helper.make_model(graph, ir_version=10), tmp_path / "m.onnx")
    with pytest.raises(FileError, match=r"expected output 'boxes' to be a tensor of numbers"):
        open_onnx(tmp_path / "m.onnx", {})


def test_what_is_counted_is_known_of_a_file_that_is_run(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m.onnx")
    counts = open_onnx(tmp_path / "m.onnx", {}).counts
    assert counts is not None
    conv, gemm = 8 * SIZE * SIZE * 27, 8 * CLASSES
    assert (counts.opset, counts.parameter_count, counts.multiply_adds) == (18, 296, conv + gemm)


def test_the_multiply_adds_of_a_fixed_batch_are_those_of_one_image(tmp_path: Path) -> None:
    write_onnx(tmp_path / "one.onnx")
    write_onnx(tmp_path / "four.onnx", batch=4)
    one, four = (open_onnx(tmp_path / f"{name}.onnx", {}).multiply_adds for name in ("one", "four"))
    assert one == four


def test_a_model_without_inputs_is_refused(tmp_path: Path) -> None:
    constant = helper.make_tensor("c", TensorProto.FLOAT, [1], [1.0])
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["o"], value=constant)],
        "constant",
        [],
        [helper.make_tensor_value_info("o", TensorProto.FLOAT, [1])],
    )
    onnx.save(helper.make_model(graph, ir_version=10), tmp_path / "m.onnx")
    assert read_graph(tmp_path / "m.onnx")[1].inputs == ()
    with pytest.raises(FileError, match="expected a model with inputs, got none"):
        open_onnx(tmp_path / "m.onnx", {})


def test_external_data_counts_in_size_and_hash(tmp_path: Path) -> None:
    path, data = tmp_path / "m.onnx", tmp_path / "m.onnx.data"
    write_onnx(path, external=True)
    before = open_onnx(path, {})
    assert before.size_bytes == path.stat().st_size + data.stat().st_size
    array = np.fromfile(data, np.float32)
    array[0] += 1
    array.tofile(data)
    after = open_onnx(path, {})
    assert after.sha256 != before.sha256
    assert after.size_bytes == before.size_bytes


def test_missing_external_data_is_named(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m.onnx", external=True)
    (tmp_path / "m.onnx.data").unlink()
    with pytest.raises(FileError, match=r"its external data m\.onnx\.data beside it, got no such file"):
        open_onnx(tmp_path / "m.onnx", {})


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "sub/../../secret", "link"])
def test_external_data_outside_its_folder_is_never_read(location: str, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(10_000))
    (folder / "link").symlink_to(secret)
    path = folder / "m.onnx"
    write_onnx(path, external=True)
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(model.SerializeToString())
    with pytest.raises(FileError, match="expected external data in its own folder, got"):
        open_onnx(path, {})


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_of_no_real_size_is_dynamic(batch: int, tmp_path: Path) -> None:
    write_onnx(tmp_path / "odd.onnx", batch=batch)
    _, file, _ = read_graph(tmp_path / "odd.onnx")
    assert file.fixed_batch is None
    assert file.inputs[0].has_dynamic_batch


def test_graphs_and_functions_that_go_round_in_circles_are_refused(tmp_path: Path) -> None:
    x, o = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "xo")
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("my", 1)]
    circle = [helper.make_node("Add", ["x", "b"], ["o"]), helper.make_node("Relu", ["o"], ["b"])]
    own = helper.make_node("F", ["x"], ["o"], domain="my")
    function = helper.make_function("my", "F", ["x"], ["o"], [own], opsets)
    for nodes, functions in ((circle, []), ([own], [function])):
        graph = helper.make_graph(nodes, "circle", [x], [o])
        model = helper.make_model(graph, ir_version=10, opset_imports=opsets, functions=functions)
        onnx.save(model, tmp_path / "m.onnx")
        with pytest.raises(FileError, match=r"Cannot open .*: expected a whole ONNX file, got"):
            open_onnx(tmp_path / "m.onnx", {})


def test_shapes_that_contradict_each_other_leave_the_count_open(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    o = helper.make_tensor_value_info("o", TensorProto.FLOAT, ["n", 3])
    weights = helper.make_tensor("w", TensorProto.FLOAT, [5, 3], [0.0] * 15)
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["o"])], "wrong", [x], [o], [weights])
    onnx.save(helper.make_model(graph, ir_version=10), tmp_path / "m.onnx")
    with suppress(FileError):  # some versions of onnx find it when the file is opened
        assert open_onnx(tmp_path / "m.onnx", {}).multiply_adds is None
