from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import AbsentError, FileError, UsageError
from runner.inputs import Constant, Samples, Span, check_values, make_inputs, parse_values
from runner.manifest import TensorSpec

DTYPES = ("float16", "float32", "float64", "int8", "int32", "int64", "uint8", "uint16", "bool")


def _spec(dtype: str, *shape: int | str) -> TensorSpec:
    return TensorSpec("x", dtype, shape)


@given(st.sampled_from(DTYPES), st.integers(1, 9), st.lists(st.integers(1, 5), max_size=3))
def test_an_input_has_its_type_its_sizes_and_the_batch_in_front(
    dtype: str, batch: int, sizes: list[int]
) -> None:
    array = make_inputs((_spec(dtype, "batch", *sizes),), batch, 0)["x"]
    assert array.dtype == np.dtype(dtype)
    assert array.shape == (batch, *sizes)
    assert array.flags.c_contiguous


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_seed_gives_the_same_input_again_and_another_gives_another(dtype: str) -> None:
    first, again, other = (make_inputs((_spec(dtype, "n", 64),), 4, seed)["x"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(np.unique(first, axis=0)) == 4  # images of one batch differ, too


def test_floats_are_standard_normal() -> None:
    values = np.asarray(make_inputs((_spec("float32", "n", 100, 100),), 10, 0)["x"], np.float32)
    assert abs(float(values.mean())) < 0.01
    assert abs(float(values.std()) - 1) < 0.01


@pytest.mark.parametrize(
    ("dtype", "values"),
    [("int64", {0, 1}), ("int8", {0, 1}), ("bool", {False, True}), ("uint8", set(range(256)))],
)
def test_integers_fit_every_vocabulary_and_bytes_span_their_range(dtype: str, values: set[int]) -> None:
    assert set(make_inputs((_spec(dtype, "n", 20_000),), 1, 0)["x"].ravel().tolist()) == values


def test_a_fixed_batch_and_a_scalar_keep_their_shapes() -> None:
    specs = (TensorSpec("fixed", "float32", (2, 3)), TensorSpec("scalar", "float32", ()))
    arrays = make_inputs(specs, 7, 0)
    assert [arrays[name].shape for name in ("fixed", "scalar")] == [(2, 3), ()]


def test_several_inputs_differ_from_each_other() -> None:
    specs = (TensorSpec("a", "float32", ("n", 8)), TensorSpec("b", "float32", ("n", 8)))
    arrays = make_inputs(specs, 2, 0)
    assert list(arrays) == ["a", "b"]
    assert not np.array_equal(arrays["a"], arrays["b"])


@pytest.mark.parametrize("dtype", ["bfloat16", "int4", "object"])
def test_a_type_without_numbers_in_numpy_is_refused(dtype: str) -> None:
    with pytest.raises(
        UsageError, match=rf"Cannot make input 'x': expected a number type of numpy, got {dtype}"
    ):
        make_inputs((_spec(dtype, "n"),), 1, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("16000", Constant(16000)),
        ("-1", Constant(-1)),
        ("1e-3", Constant(1e-3)),
        ("0:30522", Span(0, 30522)),
        ("-1:1", Span(-1, 1)),
        ("a:b.npy", Samples(Path("a:b.npy"))),
        ("photos.NPY", Samples(Path("photos.NPY"))),
    ],
)
def test_an_input_holds_a_number_a_span_or_samples(text: str, expected: object) -> None:
    assert parse_values(text) == expected


@pytest.mark.parametrize(
    "text", ["", "zeros", "1:", ":1", "2:1", "1:1", "0:1:2", "nan", "inf", "0:inf", "x.npz"]
)
def test_what_is_none_of_them_is_refused_with_examples(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"Cannot read --input: expected a number, LOW:HIGH.*sr=16000, ids=0:30522"
    ):
        parse_values(text)


@given(st.sampled_from(DTYPES), st.integers(0, 1), st.integers(1, 5))
def test_a_number_fills_an_input_of_any_type(dtype: str, number: int, batch: int) -> None:
    array = make_inputs((_spec(dtype, "n", 3),), batch, 0, {"x": str(number)})["x"]
    assert (array.dtype, array.shape) == (np.dtype(dtype), (batch, 3))
    assert set(array.ravel().tolist()) == {number}


def test_a_scalar_keeps_its_rank_and_a_large_whole_number_its_digits() -> None:
    array = make_inputs((_spec("int64"),), 3, 0, {"x": str(2**63 - 1)})["x"]
    assert (array.shape, array.item()) == ((), 2**63 - 1)


@given(st.sampled_from(DTYPES), st.integers(0, 100), st.integers(1, 27), st.integers(0, 99))
def test_a_span_reaches_from_its_low_end_and_never_to_its_high_one(
    dtype: str, low: int, width: int, seed: int
) -> None:
    if dtype == "bool":
        low, width = 0, 2
    array = make_inputs((_spec(dtype, "n", 8),), 4, seed, {"x": f"{low}:{low + width}"})["x"]
    assert array.dtype == np.dtype(dtype)
    # float16 rounds what float64 drew.
    assert low <= array.min()
    assert array.max() <= low + width if array.dtype.kind == "f" else array.max() < low + width


@pytest.mark.parametrize(
    ("dtype", "text"),
    [("uint8", "256"), ("uint8", "-1"), ("int8", "0:129"), ("bool", "2"), ("int64", "0.5"), ("int32", "0:1.5"),
     ("float16", "1e6"), ("int64", str(2**63))],
)  # fmt: skip
def test_what_a_type_cannot_hold_is_refused(dtype: str, text: str) -> None:
    with pytest.raises(UsageError, match=rf"Wrong --input for 'x': expected .*numbers of {dtype}, got"):
        check_values(_spec(dtype, "n"), text)


@pytest.mark.parametrize(("dtype", "text"), [("uint8", "0:256"), ("int8", "-128:128"), ("bool", "0:2")])
def test_a_span_may_cover_a_whole_type(dtype: str, text: str) -> None:
    assert check_values(_spec(dtype, "n"), text) == text
    assert len(np.unique(make_inputs((_spec(dtype, "n"),), 10_000, 0, {"x": text})["x"])) > 1


@given(st.integers(1, 5), st.integers(1, 12), st.integers(0, 20))
def test_samples_of_a_file_come_in_turn_wherever_the_batch_is(
    tmp_path_factory: pytest.TempPathFactory, count: int, batch: int, seed: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "samples.npy"
    np.save(path, np.broadcast_to(np.arange(count, dtype=np.float32)[:, None], (2, count, 3)))
    spec = _spec("float32", 2, "n", 3)
    text = check_values(spec, str(path))
    array = make_inputs((spec,), batch, seed, {"x": text})["x"]
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array[1, :, 2], [(seed + place) % count for place in range(batch)])


def test_a_file_of_an_input_without_a_batch_is_the_whole_input(tmp_path: Path) -> None:
    np.save(tmp_path / "sr.npy", np.array(16000))
    spec = _spec("int64")
    array = make_inputs((spec,), 3, 5, {"x": check_values(spec, str(tmp_path / "sr.npy"))})["x"]
    assert (array.shape, array.item()) == ((), 16000)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 4), np.float64),
        np.zeros((2, 5), np.float32),
        np.zeros(4, np.float32),
        np.zeros((0, 4), np.float32),
    ],
    ids=["type", "size", "rank", "no samples"],
)
def test_a_file_that_does_not_fit_is_refused_with_both_shapes(array: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(UsageError, match=r"expected float32 of N x 4 for any N, got float"):
        check_values(_spec("float32", "n", 4), str(tmp_path / "x.npy"))


def test_a_file_that_is_missing_broken_or_pickled_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(AbsentError, match="expected a file of numpy, got no file"):
        check_values(_spec("float32", "n"), str(tmp_path / "none.npy"))
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY")
    np.save(tmp_path / "pickled.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "empty.npy").touch()
    with (tmp_path / "several.npy").open("wb") as stream:
        np.savez(stream, a=np.ones(3))
    for name in ("broken", "pickled", "empty", "several"):
        with pytest.raises(FileError, match="expected an array of numpy, got"):
            check_values(_spec("float32", "n"), str(tmp_path / f"{name}.npy"))
