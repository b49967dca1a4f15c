import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from exporter.export import check
from runner.errors import FileError
from runner.manifest import TensorSpec
from runner.modelfile import ModelFile, open_model
from runner.parity import compare, flatness, read_reference
from tests.exporter.conftest import MODEL, Run


@pytest.fixture
def model(exported: Path) -> ModelFile:
    return open_model(exported, "shufflenet")


def test_the_manifest_says_what_was_exported(model: ModelFile) -> None:
    manifest = model.manifest
    assert manifest is not None
    assert (manifest.model, manifest.opset, manifest.seed) == (MODEL, 18, 0)
    assert manifest.inputs == (TensorSpec("input", "float32", ("batch", 3, 224, 224)),)
    assert manifest.outputs == (TensorSpec("logits", "float32", ("batch", 1000)),)
    assert (manifest.weights.kind, manifest.weights.source) == ("random", "random, seed 0")
    assert manifest.year == 2018
    assert "1807.11164" in (manifest.paper or "")
    assert manifest.published_accuracy == pytest.approx({"acc@1": 0.60552, "acc@5": 0.81746})
    assert (manifest.parameter_count, manifest.multiply_adds) == (1_366_792, 40_000_000)
    assert {"torch", "torchvision", "onnx", "onnxscript", "onnxruntime"} <= manifest.versions.keys()


def test_the_file_is_valid_and_carries_its_origin_but_no_path_of_this_machine(model: ModelFile) -> None:
    onnx.checker.check_model(model.path)
    properties = {prop.key: prop.value for prop in onnx.load(model.path).metadata_props}
    assert properties["joulebatch.weights_kind"] == "random"
    assert properties["joulebatch.weights"] == "random, seed 0"
    assert {
        "joulebatch.version.torch",
        "joulebatch.version.torchvision",
        "joulebatch.opset",
    } <= properties.keys()
    data = model.path.read_bytes()
    for trace in (b"site-packages", str(Path.cwd()).encode(), b"stack_trace"):
        assert trace not in data


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 8])
def test_every_batch_size_computes_what_pytorch_computed(model: ModelFile, batch: int) -> None:
    assert model.reference_path is not None
    inputs, outputs = read_reference(model.reference_path)
    session = ort.InferenceSession(model.path, providers=["CPUExecutionProvider"])
    logits = session.run(["logits"], {"input": inputs["input"][:batch]})[0]
    assert logits.shape == (batch, 1000)
    whole = np.concatenate([logits, outputs["logits"][batch:]])
    assert compare(outputs, {"logits": whole}, 1e-4).status == "passed"


def test_random_weights_answer_differently_to_different_images(model: ModelFile) -> None:
    assert model.reference_path is not None
    inputs, outputs = read_reference(model.reference_path)
    assert inputs["input"].shape == (8, 3, 224, 224)
    assert flatness(outputs) == ""
    assert len(set(outputs["logits"].argmax(axis=1))) > 4


def test_one_seed_gives_one_file_whatever_the_threads_and_another_seed_another(
    model: ModelFile, exported: Path, tmp_path: Path, run: Run
) -> None:
    code = """
import sys
from pathlib import Path
from exporter.torchvision_ops import import_torchvision
import_torchvision()
from exporter.export import export_model
from exporter.request import Request
from exporter.weights import Wanted
for seed in 0, 1:
    wanted = Wanted("random", seed, None, online=False)
    export_model(Request("shufflenet_v2_x0_5", Path(sys.argv[1]) / str(seed), wanted, 18), 1 + seed, print)
"""
    assert run(tmp_path, code=code).returncode == 0
    again, other = (open_model(tmp_path / seed, MODEL) for seed in "01")
    assert again.sha256 == model.sha256
    assert other.sha256 != model.sha256
    first, second, third = (
        read_reference(file.reference_path)[1]  # type: ignore[arg-type]  # an exported model has one
        for file in (model, again, other)
    )
    assert compare(first, second, 1e-6).status == "passed"
    assert compare(first, third, 1e-1).status == "failed"


def test_another_opset_and_external_data(tmp_path: Path, run: Run) -> None:
    code = """
import sys
from pathlib import Path
from exporter.torchvision_ops import import_torchvision
import_torchvision()
from exporter import export
from exporter.request import Request
from exporter.weights import Wanted
export.EXTERNAL_DATA_FROM_BYTES = 1_000_000
wanted = Wanted("random", 0, None, online=False)
export.export_model(Request("shufflenet_v2_x0_5", Path(sys.argv[1]), wanted, 20), 2, print)
"""
    result = run(tmp_path, code=code)
    assert result.returncode == 0, result.stderr
    model = open_model(tmp_path, MODEL)
    assert model.manifest is not None
    assert model.manifest.opset == 20
    assert {entry.domain: entry.version for entry in onnx.load(model.path).opset_import}[""] == 20
    (external,) = model.manifest.external_data
    assert external.name == f"{MODEL}.onnx.data"
    assert model.path.stat().st_size < 1_000_000 < external.size_bytes
    data = tmp_path / external.name
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(FileError, match=r"onnx\.data.*joulebatch export"):
        open_model(tmp_path, MODEL)


def test_a_fixed_batch_is_refused(exported: Path) -> None:
    fixed = (TensorSpec("input", "float32", ("batch", 3)), TensorSpec("logits", "float32", (2, 1000)))
    with pytest.raises(FileError, match=r"dynamic batch on every input and output.*logits"):
        check(exported / f"{MODEL}.onnx", MODEL, fixed)


def test_invalid_onnx_is_refused(tmp_path: Path, exported: Path) -> None:
    broken = onnx.load(exported / f"{MODEL}.onnx")
    broken.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(broken, tmp_path / "broken.onnx")
    with pytest.raises(FileError, match="expected valid ONNX"):
        check(tmp_path / "broken.onnx", MODEL, ())


def test_the_manifest_survives_json(model: ModelFile) -> None:
    assert model.manifest is not None
    assert type(model.manifest).from_json(json.loads(model.manifest.to_json())) == model.manifest
