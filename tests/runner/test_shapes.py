from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.manifest import TensorSpec
from runner.shapes import BATCH, Shapes, Size, batch_and_sizes, parse_shape, unsized

FILE = Path("m.onnx")
sizes = st.integers(1, 999)


def spec(name: str, *shape: int | str) -> TensorSpec:
    return TensorSpec(name, "float32", shape)


def resolve(*inputs: TensorSpec, **shapes: tuple[Size, ...]) -> list[tuple[int | str, ...]]:
    return [each.shape for each in batch_and_sizes(FILE, inputs, shapes)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("images=3x640x480", ("images", (3, 640, 480))),
        ("a=7", ("a", (7,))),
        ("a=b=2X3", ("a=b", (2, 3))),
        ("state=2xBx128", ("state", (2, "B", 128))),
        ("state=2xbx128", ("state", (2, "B", 128))),
        ("lengths=B", ("lengths", ("B",))),
    ],
)
def test_a_shape_is_a_name_and_sizes(text: str, expected: tuple[str, tuple[Size, ...]]) -> None:
    assert parse_shape(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3x4",
        "=3x4",
        "a=",
        "a=0",
        "a=3x0",
        "a=3x-1",
        "a=3xN",
        "a=3,4",
        "a=x",
        "a=3x",
        "a=²",
        "a=BxB",
        "a=2BxB",
    ],
)
def test_what_is_no_shape_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"Cannot read --shape: expected NAME=SIZExSIZE.*state=2xBx128"):
        parse_shape(text)


@given(st.lists(sizes | st.just(BATCH), min_size=1, max_size=5).filter(lambda each: each.count(BATCH) < 2))
def test_a_shape_reads_back_as_it_was_written(written: list[Size]) -> None:
    assert parse_shape(f"x={'x'.join(map(str, written))}") == ("x", tuple(written))


def test_a_symbolic_front_is_the_batch_whatever_each_input_calls_it() -> None:
    assert resolve(spec("ids", "unk__1", 8), spec("mask", "unk__2", 8)) == [("unk__1", 8), ("unk__2", 8)]


def test_a_dimension_of_the_batch_s_name_is_the_batch_anywhere() -> None:
    assert resolve(spec("input", "batch", 512), spec("state", 2, "batch", 128)) == [
        ("batch", 512),
        (2, "batch", 128),
    ]


def test_the_batch_of_a_nameless_dimension_is_where_b_says() -> None:
    inputs = (spec("input", "input.0", "input.1"), spec("state", 2, "state.1", 128), spec("sr"))
    assert resolve(*inputs, input=(512,), state=(2, BATCH, 128)) == [
        ("input.0", 512),
        (2, "state.1", 128),
        (),
    ]


def test_a_front_with_a_number_is_no_batch_and_neither_are_its_namesakes() -> None:
    assert resolve(spec("boxes", "n", 4), spec("labels", "n"), spec("image", "b", 3), boxes=(7, 4)) == [
        (7, 4),
        (7,),
        ("b", 3),
    ]


def test_dimensions_of_one_name_share_their_size() -> None:
    inputs = (spec("ids", "batch", "seq"), spec("mask", "batch", "seq"))
    assert resolve(*inputs, ids=(128,)) == [("batch", 128), ("batch", 128)]
    with pytest.raises(UsageError, match="one size for all dimensions 'seq', got 128 and 64"):
        resolve(*inputs, ids=(128,), mask=(64,))


@given(st.lists(sizes | st.sampled_from(["a", "b", "c"]), min_size=2, max_size=5), st.data())
def test_all_dimensions_given_leave_none_open_and_change_no_fixed_one(
    shape: list[int | str], data: st.DataObject
) -> None:
    by_name = {name: data.draw(sizes) for name in "abc"}
    given_sizes = tuple(by_name[each] if isinstance(each, str) else each for each in shape)
    assert resolve(spec("x", *shape), x=given_sizes) == [given_sizes]


@pytest.mark.parametrize(
    "shape", [(3, 16), (3, 16, 16, 16, 1), (1, 4, 16, 16), (4, 16, 16), (16,), (BATCH, 3, BATCH), (3, BATCH)]
)
def test_sizes_of_another_rank_or_against_the_file_are_refused(shape: tuple[Size, ...]) -> None:
    said = r"expected 3 sizes after the first dimension, or 4 that fit input 'x' \(batch, 3, side, side\)"
    with pytest.raises(UsageError, match=rf"Wrong --shape for m.onnx: {said}, got"):
        resolve(spec("x", "batch", 3, "side", "side"), x=shape)


def test_dynamic_dimensions_without_sizes_are_refused_with_the_flags_to_pass() -> None:
    inputs = (spec("input", "input.0", "input.1"), spec("state", 2, "state.1", 128), spec("fixed", 1))
    flags = "--shape input=N --shape state=2xNx128 with numbers for N, or B where the batch is"
    with pytest.raises(UsageError) as caught:
        resolve(*inputs)
    assert "input 'input' (?, ?) and input 'state' (2, ?, 128), got none" in str(caught.value)
    assert str(caught.value).endswith(f"Pass {flags}.")
    assert unsized(FILE, inputs, {}) == flags
    shapes: Shapes = {"input": (512,), "state": (2, BATCH, 128)}
    assert unsized(FILE, inputs, shapes) == ""


def test_two_batches_in_one_input_are_refused() -> None:
    with pytest.raises(UsageError, match=r"one batch dimension of input 'x', got n, n\. Say with --shape"):
        resolve(spec("x", "n", "n"))
