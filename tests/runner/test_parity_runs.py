"""Whether sessions agree, by what one of them computed: any number of outputs, of any type and shape."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.parity_runs import compare_runs, read_runs, write_runs
from runner.variants import CLOSENESS, Closeness

Outputs = list[dict[str, np.ndarray]]
TOLERANCE = 1e-4


def runs(count: int = 3, seed: int = 0, dtype: str = "float32") -> Outputs:
    rng = np.random.default_rng(seed)
    return [{"y": rng.normal(size=(2, 5)).astype(dtype)} for _ in range(count)]


def changed(outputs: Outputs, delta: float) -> Outputs:
    copies = [{name: array.copy() for name, array in run.items()} for run in outputs]
    copies[1]["y"][1, 2] += delta
    return copies


def value_range(outputs: Outputs) -> float:
    return float(np.ptp(np.stack([run["y"] for run in outputs]).astype(np.float64)))


def test_runs_are_read_back_as_they_were_kept(tmp_path: Path) -> None:
    kept = [({"a/b:c": np.arange(3)}, {"../y": np.ones((2, 2)), "z": np.array([True])}) for _ in range(11)]
    write_runs(tmp_path / "r.npz", kept)
    found = read_runs(tmp_path / "r.npz")
    assert len(found) == 11
    for (inputs, outputs), (expected_in, expected_out) in zip(found, kept, strict=True):
        assert (inputs.keys(), outputs.keys()) == (expected_in.keys(), expected_out.keys())
        for name in outputs:
            np.testing.assert_array_equal(outputs[name], expected_out[name])


def test_the_same_outputs_pass_with_their_scores() -> None:
    result = compare_runs(runs(), runs(), TOLERANCE)
    assert (result.status, result.reason, result.max_error_ratio, result.top1_agreement_ratio) == (
        "passed",
        "",
        0,
        1,
    )


@given(st.floats(1e-6, 1e-2))
def test_a_difference_is_a_share_of_the_output_s_range(error_ratio: float) -> None:
    reference = [{"y": run["y"].astype(np.float64)} for run in runs()]
    result = compare_runs(reference, changed(reference, error_ratio * value_range(reference)), TOLERANCE)
    assert result.max_error_ratio == pytest.approx(error_ratio)
    if not np.isclose(error_ratio, TOLERANCE):
        assert (result.status == "passed") == (error_ratio < TOLERANCE)


@pytest.mark.parametrize("dtype", ["int32", "int64", "bool"])
def test_labels_and_counts_have_to_be_equal(dtype: str) -> None:
    rng = np.random.default_rng(0)
    reference: Outputs = [{"y": rng.integers(0, 2, (2, 5)).astype(dtype)} for _ in range(3)]
    assert compare_runs(reference, reference, TOLERANCE).status == "passed"
    other = [{"y": run["y"].copy()} for run in reference]
    other[2]["y"][0, 0] = 1 - int(other[2]["y"][0, 0])
    assert compare_runs(reference, other, 0.5).status == "failed"


def test_quantised_numbers_may_be_one_step_off_and_no_more() -> None:
    reference: Outputs = [
        {"y": np.random.default_rng(n).integers(0, 250, (2, 5)).astype(np.uint8)} for n in range(3)
    ]
    assert compare_runs(reference, changed(reference, 1), TOLERANCE).status == "passed"
    assert compare_runs(reference, changed(reference, 2), TOLERANCE).status == "failed"


def test_half_precision_is_not_asked_for_more_digits_than_it_has() -> None:
    reference = runs(dtype="float16")
    one_up: Outputs = [{"y": np.nextafter(run["y"], np.float16(np.inf))} for run in reference]
    assert compare_runs(reference, one_up, 1e-6).status == "passed"
    assert compare_runs(reference, changed(reference, 0.1), 1e-6).status == "failed"


def test_outputs_that_never_vary_prove_nothing_and_fail_nobody() -> None:
    flat: Outputs = [{"y": np.tile(np.arange(5, dtype=np.float32), (2, 1))} for _ in range(3)]
    result = compare_runs(flat, flat, TOLERANCE)
    assert (result.status, result.max_error_ratio) == ("unavailable", None)
    assert "nearly any constant would pass" in result.reason
    # A difference is one all the same.
    assert compare_runs(flat, changed(flat, 1.0), TOLERANCE).status == "failed"


@pytest.mark.parametrize("dtype", ["int64", "bool", "uint8"])
def test_a_label_that_never_changes_proves_nothing(dtype: str) -> None:
    flat: Outputs = [{"y": np.ones((2, 5), np.float32), "count": np.ones(2, dtype)} for _ in range(3)]
    assert compare_runs(flat, flat, TOLERANCE).status == "unavailable"


def test_largest_scores_have_to_agree_as_often_as_asked() -> None:
    # Of one sample of six, another score is the largest.
    reference = runs()
    other = changed(reference, 100 * value_range(reference))
    assert "largest score" not in compare_runs(reference, other, 1000.0, 5 / 6).reason
    result = compare_runs(reference, other, 1000.0, 0.9)
    assert (result.status, result.reason) == (
        "failed",
        "the largest score is the same in 83% of the samples, 90% needed",
    )


@pytest.mark.parametrize("closeness", CLOSENESS.values(), ids=CLOSENESS)
def test_the_closeness_of_every_variant_can_be_met_and_missed(closeness: Closeness) -> None:
    asked = closeness.tolerance_ratio, closeness.least_agreement_ratio
    reference = runs(8)
    assert compare_runs(reference, reference, *asked).status == "passed"
    far = changed(reference, 1.5 * closeness.tolerance_ratio * value_range(reference))
    assert compare_runs(reference, far, *asked).status == "failed"
    constant = [{"y": np.full((2, 5), reference[0]["y"].mean(), np.float32)} for _ in reference]
    assert compare_runs(reference, constant, *asked).status == "failed"


def test_the_worst_output_says_whether_scores_agree() -> None:
    reference = [run | {"z": run["y"]} for run in runs(4)]
    turned = [run | {"z": -run["z"]} for run in reference]
    assert "the largest score" in compare_runs(reference, turned, 10.0, 0.4).reason


def test_as_many_labels_may_differ_as_largest_scores_may() -> None:
    labels = [{"y": np.arange(64).reshape(8, 8) + number} for number in range(2)]
    assert compare_runs(labels, changed(labels, 1), TOLERANCE, 0.875).status == "passed"
    assert compare_runs(labels, [{"y": run["y"] + 1} for run in labels], TOLERANCE, 0.875).status == "failed"
    assert compare_runs(labels, changed(labels, 1), TOLERANCE).status == "failed"


def test_labels_of_8_bits_are_equal_or_they_are_not() -> None:
    classes: Outputs = [
        {"y": np.random.default_rng(n).integers(0, 21, (2, 5)).astype(np.uint8)} for n in range(3)
    ]
    assert compare_runs(classes, classes, TOLERANCE).status == "passed"
    assert compare_runs(classes, changed(classes, 1), TOLERANCE).status == "failed"


def test_one_varying_output_is_enough_and_the_others_are_compared_too() -> None:
    reference: Outputs = [{**run, "anchors": np.ones(4, np.float32)} for run in runs()]
    assert compare_runs(reference, reference, TOLERANCE).status == "passed"
    other = [{**run, "anchors": np.full(4, 1.01, np.float32)} for run in reference]
    result = compare_runs(reference, other, TOLERANCE)
    assert result.status == "failed"
    assert "anchors" in result.reason


def detections(*counts: int) -> Outputs:
    rngs = map(np.random.default_rng, range(len(counts)))
    return [
        {"y": rng.normal(size=(count, 4)).astype(np.float32)} for rng, count in zip(rngs, counts, strict=True)
    ]


def test_as_many_detections_are_compared_and_another_number_of_them_is_no_verdict() -> None:
    reference = detections(3, 0, 5)
    assert compare_runs(reference, detections(3, 0, 5), TOLERANCE).status == "passed"
    result = compare_runs(reference, detections(3, 1, 5), TOLERANCE)
    assert result.status == "unavailable"
    assert result.reason == "output y has shape (1, 4), the reference (0, 4)"


def test_a_shape_that_never_depended_on_data_has_to_be_the_same() -> None:
    result = compare_runs(detections(3, 3), detections(3, 4), TOLERANCE)
    assert result.status == "failed"
    assert "shape (4, 4)" in result.reason


def test_a_missing_output_fails() -> None:
    assert compare_runs(runs(), [{} for _ in range(3)], TOLERANCE).reason == "output y is missing"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_have_to_be_where_the_reference_has_them(value: float) -> None:
    reference = changed(runs(), value)
    assert compare_runs(reference, changed(runs(), value), TOLERANCE).status == "passed"
    for one, other in ((reference, runs()), (runs(), reference)):
        result = compare_runs(one, other, TOLERANCE)
        assert (result.status, "not finite" in result.reason) == ("failed", True)


@given(st.integers(0, 100), st.integers(2, 5))
def test_an_answer_that_ignores_its_input_never_passes(seed: int, count: int) -> None:
    reference = runs(count, seed)
    constant = [reference[0]] * count
    assert compare_runs(reference, constant, TOLERANCE).status == "failed"
