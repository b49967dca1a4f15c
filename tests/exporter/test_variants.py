"""Variants of a small model, made by the real tools and run by the real ONNX Runtime."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto
from PIL import Image

from exporter import variants
from exporter.calibration import calibration_of
from exporter.parity import reference_images
from exporter.variant_request import VariantRequest, calibration_paths, find_current_variant
from runner.errors import AbsentError, FileError
from runner.hashing import hash_file
from runner.manifest import exported_models, exported_variants, read_manifest
from runner.modelfile import open_model
from runner.parity import read_reference
from runner.variants import CLOSENESS
from tests.models import CLASSES, SIZE, write_exported
from tests.variants import write_variant

MADE = tuple(CLOSENESS)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


@pytest.mark.parametrize("variant", MADE)
def test_a_variant_takes_and_gives_what_the_reference_does(variant: str, tmp_path: Path) -> None:
    manifest = write_variant(tmp_path, variant=variant)
    assert names(tmp_path) == {
        *(f"tiny{end}" for end in (".onnx", ".manifest.json", ".reference.npz")),
        *(f"tiny.{variant}{end}" for end in (".onnx", ".manifest.json")),
    }
    file, reference = open_model(tmp_path, "tiny", variant), open_model(tmp_path, "tiny")
    assert file.manifest == manifest
    assert (file.inputs, file.outputs) == (reference.inputs, reference.outputs)
    assert file.reference_path == reference.reference_path
    made = manifest.derivation
    assert made is not None
    assert made.source_sha256 == reference.sha256
    assert made.parity.tolerance_ratio == CLOSENESS[variant].tolerance_ratio
    assert made.parity.max_error_ratio is not None
    # The samples are up to three times as strong as what int8-static was calibrated on.
    assert (made.parity.status == "passed") == (variant != "int8-static"), made.parity
    session = ort.InferenceSession(file.path, providers=["CPUExecutionProvider"])
    for count in (1, 3):
        (scores,) = session.run(None, {"input": np.zeros((count, 3, SIZE, SIZE), np.float32)})
        assert (scores.shape, scores.dtype) == ((count, CLASSES), np.float32)


def test_half_precision_holds_half_the_bytes_in_a_sorted_graph(tmp_path: Path) -> None:
    write_variant(tmp_path, variant="fp16")
    model = onnx.load(tmp_path / "tiny.fp16.onnx")
    onnx.checker.check_model(model, full_check=True)  # which refuses nodes that are not sorted
    assert {tensor.data_type for tensor in model.graph.initializer} == {TensorProto.FLOAT16}


def test_eight_bits_are_where_each_kind_of_quantisation_puts_them(tmp_path: Path) -> None:
    write_variant(tmp_path, variant="int8-static")
    write_variant(tmp_path, variant="int8-dynamic")
    static = operators(tmp_path / "tiny.int8-static.onnx")
    assert static["QuantizeLinear"] >= 2
    assert static["Conv"] == static["Gemm"] == 1
    dynamic = operators(tmp_path / "tiny.int8-dynamic.onnx")
    assert (dynamic["MatMulInteger"], dynamic["Conv"], dynamic["ConvInteger"]) == (1, 1, 0)


def _expect_other_answers(folder: Path) -> None:
    """Make the reference outputs those of another model, as a variant that lost its quality would see them."""
    path = folder / "tiny.reference.npz"
    inputs, outputs = read_reference(path)
    other = outputs["logits"][::-1].copy()
    arrays: dict[str, Any] = {"input:input": inputs["input"], "output:logits": other}
    np.savez(path, **arrays)
    described = folder / "tiny.manifest.json"
    data = json.loads(described.read_text())
    data["reference"] |= {"sha256": hash_file(path), "size_bytes": path.stat().st_size}
    described.write_text(json.dumps(data))


def test_a_variant_that_loses_its_quality_is_written_and_says_so(tmp_path: Path) -> None:
    write_exported(tmp_path)
    _expect_other_answers(tmp_path)
    made = write_variant(tmp_path, variant="fp16").derivation
    assert made is not None
    assert made.parity.status == "failed"
    assert "tolerance 1.0e-02" in made.parity.reason
    assert open_model(tmp_path, "tiny", "fp16").manifest is not None


def test_an_export_that_ends_early_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_exported(tmp_path)
    before = names(tmp_path)

    def fail(*_arguments: object) -> None:
        assert (tmp_path / ".export-tiny.int8-static" / "tiny.int8-static.onnx").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(variants, "_parity", fail)
    with pytest.raises(KeyboardInterrupt):
        write_variant(tmp_path, variant="int8-static")
    assert names(tmp_path) == before


def test_a_model_without_matrix_products_has_no_dynamic_variant(tmp_path: Path) -> None:
    write_exported(tmp_path)
    model = onnx.load(tmp_path / "tiny.onnx")
    model.graph.node[-1].op_type = "Flatten"
    del model.graph.node[-1].input[1:], model.graph.node[-1].attribute[:]
    bare = tmp_path / "bare.onnx"
    onnx.save(model, bare)
    from exporter.int8 import write_int8_dynamic  # noqa: PLC0415 - of this test alone

    with pytest.raises(FileError, match=r"matrix products with constant weights, got none.*int8-static"):
        write_int8_dynamic(bare, tmp_path / "made.onnx")


def test_without_the_reference_there_is_nothing_to_make_a_variant_from(tmp_path: Path) -> None:
    with pytest.raises(AbsentError, match="Run: joulebatch export alexnet --models-dir"):
        variants.make_variant(VariantRequest("alexnet", "fp16", tmp_path), 1, lambda stage: None)


def test_a_variant_is_up_to_date_while_its_source_calibration_and_tools_are(tmp_path: Path) -> None:
    made = write_variant(tmp_path, variant="int8-static")
    reference = read_manifest(tmp_path / "tiny.manifest.json")
    request = VariantRequest("tiny", "int8-static", tmp_path)
    assert find_current_variant(request, reference) == made
    other_source = replace(reference, file=replace(reference.file, sha256="1" * 64))
    assert find_current_variant(request, other_source) is None
    photographs = tmp_path / "images"
    photographs.mkdir()
    Image.new("RGB", (40, 40), "red").save(photographs / "a.png")
    assert find_current_variant(replace(request, images=photographs), reference) is None
    assert find_current_variant(replace(request, variant="fp16"), reference) is None
    described = tmp_path / "tiny.int8-static.manifest.json"
    data = json.loads(described.read_text())
    data["versions"]["onnx"] = "1.0"
    described.write_text(json.dumps(data))
    assert find_current_variant(request, reference) is None


def test_a_variant_calibrated_on_images_is_bound_to_them(tmp_path: Path) -> None:
    photographs = tmp_path / "images"
    photographs.mkdir()
    for number in range(3):
        Image.new("RGB", (40, 40), (80 * number, 10, 200)).save(photographs / f"{number}.png")
    write_exported(tmp_path)
    request = VariantRequest("tiny", "int8-static", tmp_path, photographs)
    made = variants.make_variant(request, 1, lambda stage: None)
    assert made.derivation
    assert made.derivation.calibration_count == 3
    reference = read_manifest(tmp_path / "tiny.manifest.json")
    assert find_current_variant(request, reference) == made
    assert find_current_variant(replace(request, images=None), reference) is None
    Image.new("RGB", (40, 40), "white").save(photographs / "1.png")
    assert find_current_variant(request, reference) is None


def test_a_variant_of_another_file_than_the_one_beside_it_is_refused(tmp_path: Path) -> None:
    write_variant(tmp_path, variant="fp16")
    described = tmp_path / "tiny.fp16.manifest.json"
    data = json.loads(described.read_text())
    data["derivation"]["source_sha256"] = "1" * 64
    described.write_text(json.dumps(data))
    with pytest.raises(FileError, match=r"made from tiny\.onnx as it is.*got one made from sha256 111"):
        open_model(tmp_path, "tiny", "fp16")


def test_calibration_never_sees_what_parity_is_measured_on(tmp_path: Path) -> None:
    write_exported(tmp_path)
    source = open_model(tmp_path, "tiny")
    seen = calibration_of(source, None)
    assert len(seen.images) == 64
    assert seen.source == "seeded"
    held_out = reference_images(SIZE, source.manifest.seed if source.manifest else 0)
    for sample in held_out:
        assert not any(np.array_equal(sample, image) for image in seen.images)
    assert sum(len(batch["input"]) for batch in seen.batches("input")) == 64


def test_calibration_images_are_spread_over_a_folder_of_classes(tmp_path: Path) -> None:
    for label in "abcd":
        (tmp_path / label).mkdir()
        for number in range(40):
            (tmp_path / label / f"{number:02}.jpg").touch()
    chosen = calibration_paths(tmp_path)
    assert Counter(path.parent.name for path in chosen) == dict.fromkeys("abcd", 16)


def test_a_variant_s_manifest_is_no_model_of_its_own(tmp_path: Path) -> None:
    write_variant(tmp_path, variant="fp16")
    write_exported(tmp_path, "tiny.v2")
    assert exported_models(tmp_path) == ("tiny", "tiny.v2")
    assert exported_variants(tmp_path, "tiny") == ("fp32", "fp16")
    with pytest.raises(AbsentError, match=r"Run: joulebatch export tiny --variant int8-static --models-dir"):
        open_model(tmp_path, "tiny", "int8-static")
    (tmp_path / "tiny.fp16.onnx").write_bytes(b"cut")
    with pytest.raises(FileError, match=r"Run: joulebatch export tiny --variant fp16 --models-dir"):
        open_model(tmp_path, "tiny", "fp16")
