from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.parity import MIN_VARIATION_RATIO, compare, flatness, read_reference, variation_ratio


def scores(seed: int = 0, scale: float = 1.0) -> dict[str, np.ndarray]:
    return {"logits": np.random.default_rng(seed).normal(size=(8, 50), scale=scale).astype(np.float32)}


def test_the_same_outputs_pass() -> None:
    result = compare(scores(), scores(), 1e-4)
    assert (result.status, result.reason, result.max_error_ratio, result.top1_agreement_ratio) == (
        "passed",
        "",
        0.0,
        1.0,
    )


@given(
    error_ratio=st.floats(1e-5, 0.5), scale=st.sampled_from([1e-3, 1.0, 1e3]), tolerance=st.floats(1e-4, 0.1)
)
def test_the_error_is_a_share_of_the_range_at_any_scale(
    error_ratio: float, scale: float, tolerance: float
) -> None:
    reference = {"logits": scores(scale=scale)["logits"].astype(np.float64)}
    shifted = reference["logits"].copy()
    shifted[3, 7] += error_ratio * np.ptp(reference["logits"])
    result = compare(reference, {"logits": shifted}, tolerance)
    assert result.max_error_ratio == pytest.approx(error_ratio)
    if not np.isclose(error_ratio, tolerance):
        assert (result.status == "passed") == (error_ratio < tolerance)


def test_another_order_of_samples_fails_and_top1_shows_it() -> None:
    reference = scores()
    result = compare(reference, {"logits": np.roll(reference["logits"], 1, axis=0)}, 1e-2)
    assert result.status == "failed"
    assert result.top1_agreement_ratio is not None
    assert result.top1_agreement_ratio < 0.5


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_fail_in_outputs_and_reference(value: float) -> None:
    broken = scores()
    broken["logits"][0, 0] = value
    assert "not finite" in compare(scores(), broken, 1e-2).reason
    assert "not finite" in compare(broken, broken, 1e-2).reason


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        ({}, "output logits is missing"),
        ({"logits": np.zeros((8, 49), np.float32)}, "has shape (8, 49)"),
        ({"logits": np.zeros((1, 50), np.float32)}, "has shape (1, 50)"),
    ],
)
def test_a_missing_or_misshapen_output_fails(outputs: dict[str, np.ndarray], reason: str) -> None:
    result = compare(scores(), outputs, 1e-2)
    assert result.status == "failed"
    assert reason in result.reason
    assert result.max_error_ratio is None


def test_no_reference_fails() -> None:
    assert compare({}, {}, 1e-2).status == "failed"


@pytest.mark.parametrize(
    "flat",
    [
        np.zeros((8, 50)),
        np.tile(np.arange(50.0), (8, 1)),
        np.tile(np.arange(50.0), (8, 1)) + np.random.default_rng(0).normal(size=(8, 50), scale=1e-2),
    ],
    ids=["zeros", "one answer", "nearly one answer"],
)
def test_a_flat_reference_fails_even_against_itself(flat: np.ndarray) -> None:
    result = compare({"logits": flat}, {"logits": flat}, 1e-2)
    assert result.status == "failed"
    assert "vary by" in result.reason


def test_one_flat_output_among_others_is_enough() -> None:
    assert flatness(scores()) == ""
    assert flatness(scores() | {"other": np.ones((8, 3))})


@given(seed=st.integers(0, 1000), shift=st.floats(-1, 1))
def test_no_constant_answer_comes_closer_than_the_variation(seed: int, shift: float) -> None:
    reference = {"logits": np.random.default_rng(seed).uniform(size=(8, 5))}
    variation = variation_ratio(reference)
    assert variation > MIN_VARIATION_RATIO
    middle = (reference["logits"].max(axis=0) + reference["logits"].min(axis=0)) / 2
    best = {"logits": np.tile(middle, (8, 1))}
    assert compare(reference, best, 1.0).max_error_ratio == pytest.approx(variation)
    other = {"logits": best["logits"] + shift}
    assert (compare(reference, other, 10.0).max_error_ratio or 0) >= variation - 1e-12


def test_a_reference_is_read_by_tensor_name(tmp_path: Path) -> None:
    image, logits = np.ones((2, 3), np.float32), scores()["logits"]
    arrays: dict[str, np.ndarray] = {"input:image": image, "output:logits": logits}
    np.savez(tmp_path / "r.npz", **arrays)  # type: ignore[arg-type]  # numpy types the keywords as its own flag
    inputs, outputs = read_reference(tmp_path / "r.npz")
    np.testing.assert_array_equal(inputs["image"], image)
    np.testing.assert_array_equal(outputs["logits"], logits)
