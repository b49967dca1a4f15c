import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from exporter import torch_backend
from exporter.network import build_from_checkpoint, build_random, calibrate
from exporter.parity import reference_images
from exporter.torch_backend import BACKEND, CUDA_BACKEND, TorchBackend
from runner.backends.interface import Call, OpenRequest, Session
from runner.backends.spec import parse_spec
from runner.errors import AbsentError, FileError
from runner.manifest import manifest_path, read_manifest
from runner.modelfile import open_model
from runner.parity import compare, read_reference
from tests.exporter.conftest import MODEL, Run

pytestmark = pytest.mark.filterwarnings("ignore")  # of torchvision's import


def open_session(folder: Path, spec: str = "torch:threads=1") -> Session:
    path = manifest_path(folder, MODEL)
    return BACKEND.open(OpenRequest(folder / f"{MODEL}.onnx", path, parse_spec(spec).options))


def logits(call: Call) -> NDArray[np.float32]:
    return call.outputs()["logits"].astype(np.float32)  # a copy


def reference(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    path = open_model(folder, MODEL).reference_path
    assert path is not None
    return read_reference(path)


def test_the_rebuilt_network_has_the_exported_weights(exported: Path) -> None:
    inputs, outputs = reference(exported)
    call = open_session(exported).bind(inputs, "host")
    call.run()
    # Closer than any other weights could be: only the order of sums may differ.
    assert compare(outputs, call.outputs(), 1e-6).status == "passed"


def test_a_run_returns_nothing_and_outputs_are_of_the_last_run(exported: Path) -> None:
    inputs, outputs = reference(exported)
    session = open_session(exported)
    first = {"input": inputs["input"][:2].copy()}
    call = session.bind(first, "host")
    call.run()
    before = logits(call)
    first["input"][:] = inputs["input"][2:4]  # the same memory
    call.run()
    assert before.shape == (2, 1000)
    np.testing.assert_allclose(before, outputs["logits"][:2].astype(np.float32), atol=1e-5)
    np.testing.assert_allclose(logits(call), outputs["logits"][2:4].astype(np.float32), atol=1e-5)


def test_read_only_inputs_are_taken(exported: Path) -> None:
    inputs, _ = reference(exported)
    inputs["input"].flags.writeable = False
    call = open_session(exported).bind(inputs, "host")
    call.run()
    assert call.outputs()["logits"].shape == (8, 1000)


def test_compiled_code_gives_what_eager_gives_at_every_batch_size(exported: Path) -> None:
    inputs, outputs = reference(exported)
    session = open_session(exported, "torch:threads=1,compile=on")
    assert session.facts["compile"] == "on"
    for size in (1, 3):
        call = session.bind({"input": inputs["input"][:size].copy()}, "host")
        call.run()
        expected = outputs["logits"][:size].astype(np.float32)
        np.testing.assert_allclose(logits(call), expected, atol=1e-4)
    assert len(torch._dynamo.utils.compile_times(repr="csv")[0]) > 0, "something was compiled"


def test_facts_and_placement(exported: Path) -> None:

    session = open_session(exported, "torch:threads=2")
    assert session.facts["torch"] == torch.__version__
    assert session.facts["threads"] == "2"
    assert torch.get_num_threads() == 2
    assert session.placement.label == "full"
    assert session.placement.nodes_by_provider["PyTorch"] > 100


def test_it_needs_a_manifest(exported: Path) -> None:
    assert BACKEND.needs_manifest
    assert BACKEND.missing() is None
    with pytest.raises(AbsentError, match="its manifest"):
        BACKEND.open(OpenRequest(exported / f"{MODEL}.onnx", None, {"threads": "1"}))


def test_asking_whether_it_is_missing_imports_no_torch(run: Run) -> None:
    code = "import sys\nfrom exporter.torch_backend import BACKEND\nBACKEND.missing()\nprint('torch' in sys.modules)"
    assert run(code=code).stdout.strip() == "False"


def test_a_recipe_of_another_version_is_refused(exported: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "m"))
    manifest = read_manifest(manifest_path(folder, MODEL))
    manifest_path(folder, MODEL).write_text(replace(manifest, recipe={}).to_json())
    with pytest.raises(FileError, match="--force"):
        open_session(folder)


def test_a_checkpoint_is_exported_rebuilt_and_missed_when_it_goes(tmp_path: Path, run: Run) -> None:
    """The whole way of a local checkpoint: file, hash in its name, export, manifest, PyTorch baseline."""

    module = build_random(MODEL, {}, 7)
    calibrate(module, reference_images(224, 7))
    unnamed = tmp_path / "checkpoint"
    torch.save(module.state_dict(), unnamed)
    digest = hashlib.sha256(unnamed.read_bytes()).hexdigest()
    checkpoint = unnamed.rename(tmp_path / f"shufflenetv2_x0.5-{digest[:10]}.pth")
    arguments = (MODEL, "--weights-dir", tmp_path, "--models-dir", tmp_path / "m", "--weights", "pretrained")
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    assert "RANDOM" not in result.stderr
    manifest = read_manifest(manifest_path(tmp_path / "m", MODEL))
    assert (manifest.weights.kind, manifest.weights.sha256) == ("local", digest)
    assert "unchanged" in run(*arguments).stdout
    inputs, outputs = reference(tmp_path / "m")
    call = open_session(tmp_path / "m").bind(inputs, "host")
    call.run()
    assert compare(outputs, call.outputs(), 1e-6).status == "passed"
    checkpoint.unlink()
    with pytest.raises(FileError, match="its checkpoint"):
        open_session(tmp_path / "m")


@pytest.mark.parametrize("content", [b"", b"no checkpoint", json.dumps({}).encode()])
def test_a_file_without_weights_is_one_line(tmp_path: Path, content: bytes) -> None:

    (tmp_path / "c.pth").write_bytes(content)
    with pytest.raises(FileError, match=f"expected weights of {MODEL}") as caught:
        build_from_checkpoint(MODEL, {}, tmp_path / "c.pth")
    assert "\n" not in str(caught.value)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path(tmp_path / "ran").touch, ())  # type: ignore[return-value]  # pickle takes any arguments

    torch.save({"fc.weight": Payload()}, tmp_path / "c.pth")
    with pytest.raises(FileError, match="Cannot load"):
        build_from_checkpoint(MODEL, {}, tmp_path / "c.pth")
    assert not (tmp_path / "ran").exists()


def test_published_densenets_keep_their_old_names(tmp_path: Path) -> None:

    state = build_random("densenet121", {}, 1).state_dict()
    old = {
        name.replace("norm1", "norm.1")
        .replace("conv1", "conv.1")
        .replace("norm2", "norm.2")
        .replace("conv2", "conv.2")
        if "denselayer" in name
        else name: value
        for name, value in state.items()
    }
    assert old.keys() != state.keys()
    torch.save(old, tmp_path / "c.pth")
    rebuilt = build_from_checkpoint("densenet121", {}, tmp_path / "c.pth").state_dict()
    assert all(torch.equal(rebuilt[name], value) for name, value in state.items())


def on_cpu(folder: Path, **options: str) -> Session:
    """Open what ``torch-cuda`` opens, on the CPU."""
    backend = TorchBackend("torch-cuda", "PyTorch on a GPU that is none", "cuda")
    backend._torch_device = "cpu"
    defaults = {option.name: option.default for option in backend.options}
    path = manifest_path(folder, MODEL)
    return backend.open(OpenRequest(folder / f"{MODEL}.onnx", path, {**defaults, "threads": "1", **options}))


def test_on_a_gpu_it_has_the_same_options_and_those_of_a_gpu() -> None:
    assert (BACKEND.device, BACKEND.ios) == ("cpu", ("host",))
    assert (CUDA_BACKEND.device, CUDA_BACKEND.ios) == ("gpu", ("host", "device"))
    assert [option.name for option in CUDA_BACKEND.options] == [
        *(option.name for option in BACKEND.options),
        "device",
        "tf32",
    ]
    assert CUDA_BACKEND.parity_tolerance_ratio({"tf32": "on"}) == 1e-2
    assert CUDA_BACKEND.parity_tolerance_ratio({"tf32": "off"}) == BACKEND.parity_tolerance_ratio({}) == 1e-4


@pytest.mark.parametrize("channels_last", ["off", "on"])
def test_a_device_reads_inputs_anew_through_the_host_and_once_when_they_are_resident(
    exported: Path, channels_last: str
) -> None:
    inputs, outputs = reference(exported)
    expected = outputs["logits"].astype(np.float32)
    session = on_cpu(exported, channels_last=channels_last)
    feeds = {"input": inputs["input"][:2].copy()}
    host = session.bind(feeds, "host")
    resident = session.bind({"input": inputs["input"][:2].copy()}, "device")
    for call in (host, resident):
        call.run()
        np.testing.assert_allclose(logits(call), expected[:2], atol=1e-4)
    feeds["input"][:] = inputs["input"][2:4]
    host.run()
    np.testing.assert_allclose(logits(host), expected[2:4], atol=1e-4)
    np.testing.assert_allclose(logits(resident), expected[:2], atol=1e-4)


@pytest.fixture
def precisions() -> Iterator[dict[str, Any]]:
    """Return PyTorch's settings of precision by what they are for, and put them back afterwards."""
    backends: Any = torch.backends
    settings = {"matrix products": backends.cuda.matmul, "convolutions": backends.cudnn.conv}
    before = {name: each.fp32_precision for name, each in settings.items()}
    yield settings
    for name, each in settings.items():
        each.fp32_precision = before[name]


@pytest.mark.parametrize(("tf32", "precision"), [("on", "tf32"), ("off", "ieee")])
def test_tf32_is_said_of_matrix_products_and_of_convolutions(
    exported: Path, precisions: dict[str, Any], tf32: str, precision: str
) -> None:
    assert on_cpu(exported, tf32=tf32).facts["tf32"] == tf32
    assert {each.fp32_precision for each in precisions.values()} == {precision}


def test_a_cpu_build_of_torch_and_a_missing_driver_are_both_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    version = tmp_path / "version.py"
    monkeypatch.setattr(
        torch_backend, "find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    )
    monkeypatch.setattr(torch_backend, "missing_driver", lambda: "NVIDIA GPU (the driver sees none)")
    version.write_text("__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\n")
    missing = CUDA_BACKEND.missing()
    assert missing
    assert missing.reason.startswith("no CUDA build of torch (")
    assert missing.reason.endswith("; no NVIDIA GPU (the driver sees none)")
    version.write_text("cuda: Optional[str] = '13.0'\n")
    assert (CUDA_BACKEND.missing() or missing).reason == "no NVIDIA GPU (the driver sees none)"
    monkeypatch.setattr(torch_backend, "missing_driver", lambda: "")
    assert CUDA_BACKEND.missing() is None
    assert BACKEND.missing() is None
