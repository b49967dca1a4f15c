import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.inputs import make_inputs
from runner.modelfile import TensorSpec

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
