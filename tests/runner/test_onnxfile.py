from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from runner.errors import AbsentError, FileError, JoulebatchError, UsageError
from runner.inputs import make_inputs
from runner.modelfile import TensorSpec
from runner.onnxfile import open_onnx, parse_shape, read_onnx
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
    assert [spec.name for spec in read_onnx(path).inputs] == ["input"]


def test_unnamed_dimensions_are_dynamic(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])
    (spec,) = open_onnx(_write(tmp_path / "m.onnx", [value]), {}).inputs
    assert spec.has_dynamic_batch
    assert spec.shape[1:] == (4,)


def test_given_sizes_fix_every_dimension_but_the_batch(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m.onnx", size="side")
    (spec,) = open_onnx(tmp_path / "m.onnx", {"input": (3, 32, 48)}).inputs
    assert spec.shape == ("batch", 3, 32, 48)


def test_dynamic_dimensions_without_sizes_are_refused_with_the_flag_to_pass(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m.onnx", size="side")
    with pytest.raises(
        UsageError, match=r"\(batch, 3, side, side\), got none\. Pass --shape input=3xNxN with"
    ):
        open_onnx(tmp_path / "m.onnx", {})


@pytest.mark.parametrize("sizes", [(3, 16), (3, 16, 16, 16), (1, 3, 16, 16), (4, 16, 16), ()])
def test_sizes_of_another_rank_or_against_the_file_are_refused(
    sizes: tuple[int, ...], tmp_path: Path
) -> None:
    write_onnx(tmp_path / "m.onnx", size="side")
    with pytest.raises(UsageError, match=r"Wrong --shape for .*: expected 3 sizes that fit input 'input'"):
        open_onnx(tmp_path / "m.onnx", {"input": sizes})


@pytest.mark.parametrize(
    ("text", "expected"),
    [("images=3x640x480", ("images", (3, 640, 480))), ("a=7", ("a", (7,))), ("a=b=2X3", ("a=b", (2, 3)))],
)
def test_a_shape_is_a_name_and_sizes(text: str, expected: tuple[str, tuple[int, ...]]) -> None:
    assert parse_shape(text) == expected


@pytest.mark.parametrize(
    "text", ["", "3x4", "=3x4", "a=0", "a=3x0", "a=3x-1", "a=3xN", "a=3,4", "a=x", "a=3x", "a=²"]
)
def test_what_is_no_shape_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"Cannot read --shape: expected NAME=SIZExSIZE.*images=3x640x640"):
        parse_shape(text)


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


def test_inputs_that_are_no_tensors_are_refused(tmp_path: Path) -> None:
    value = helper.make_tensor_sequence_value_info("boxes", TensorProto.FLOAT, ["n", 4])
    with pytest.raises(FileError, match="expected 'boxes' to be a tensor, got a sequence"):
        open_onnx(_write(tmp_path / "m.onnx", [value]), {})


def test_a_model_without_inputs_is_refused(tmp_path: Path) -> None:
    constant = helper.make_tensor("c", TensorProto.FLOAT, [1], [1.0])
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["o"], value=constant)],
        "constant",
        [],
        [helper.make_tensor_value_info("o", TensorProto.FLOAT, [1])],
    )
    onnx.save(helper.make_model(graph, ir_version=10), tmp_path / "m.onnx")
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
    file = read_onnx(tmp_path / "odd.onnx")
    assert file.fixed_batch is None
    assert file.inputs[0].has_dynamic_batch
