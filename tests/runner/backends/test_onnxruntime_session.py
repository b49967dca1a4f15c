"""Against the real onnxruntime: what it does with providers it does not have, and with our settings."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from runner.backends.interface import OpenRequest
from runner.backends.onnxruntime_session import OnnxRuntimeSession, ProviderUse, _assigned
from runner.backends.placement import CPU_PROVIDER, placement_of
from runner.backends.registry import find_backend
from runner.backends.session_options import config_entries, threads
from runner.backends.spec import parse_spec
from runner.errors import AbsentError
from runner.inputs import make_inputs
from runner.machine.cpu import usable_cores
from runner.manifest import TensorSpec
from tests.models import CLASSES, SIZE, write_onnx

AZURE, CUDA = "AzureExecutionProvider", "CUDAExecutionProvider"
INPUT = TensorSpec("input", "float32", ("batch", 3, SIZE, SIZE))

needs_cpu_wheel = pytest.mark.skipif(
    CUDA in ort.get_available_providers(), reason="what the CPU wheel does when asked for CUDA"
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    write_onnx(path)
    return path


def _request(path: Path, spec: str) -> OpenRequest:
    return OpenRequest(path, None, parse_spec(spec).options)


def test_a_cpu_session_proves_that_all_nodes_run_there(path: Path) -> None:
    placement = find_backend("cpu").open(_request(path, "cpu")).placement
    assert placement.label == "full"
    assert set(placement.nodes_by_provider) == {CPU_PROVIDER}
    assert placement.nodes_by_provider[CPU_PROVIDER] >= 3


def test_a_bound_batch_gives_what_onnxruntime_gives(path: Path) -> None:
    session = find_backend("cpu").open(_request(path, "cpu:threads=1"))
    plain = ort.InferenceSession(path, providers=[CPU_PROVIDER])
    for batch_size in (1, 3):
        feeds = make_inputs((INPUT,), batch_size, seed=batch_size)
        call = session.bind(feeds, "host")
        call.run()
        (expected,) = plain.run(None, feeds)
        logits = np.asarray(call.outputs()["logits"], np.float32)
        assert logits.shape == (batch_size, CLASSES)
        np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)


def test_two_bindings_of_one_session_do_not_mix(path: Path) -> None:
    session = find_backend("cpu").open(_request(path, "cpu:threads=1"))
    first, second = (session.bind(make_inputs((INPUT,), 2, seed), "host") for seed in (1, 2))
    first.run()
    before = first.outputs()["logits"].copy()
    second.run()
    first.run()
    np.testing.assert_array_equal(first.outputs()["logits"], before)
    assert not np.array_equal(second.outputs()["logits"], before)


@pytest.mark.parametrize("host_memory", [True, False], ids=["bound", "copied"])
def test_through_the_host_every_run_reads_its_inputs_anew(path: Path, host_memory: bool) -> None:
    session = OnnxRuntimeSession(
        _request(path, "cpu:threads=1"), ProviderUse(CPU_PROVIDER, host_memory=host_memory)
    )
    feeds = {"input": make_inputs((INPUT,), 2, seed=1)["input"].copy()}
    call = session.bind(feeds, "host")
    found = []
    for seed in (1, 2, 1):
        feeds["input"][:] = make_inputs((INPUT,), 2, seed=seed)["input"]
        call.run()
        found.append(np.asarray(call.outputs()["logits"]).copy())
    assert not np.array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_tensors_stay_where_a_provider_keeps_them(path: Path) -> None:
    session = OnnxRuntimeSession(
        _request(path, "cpu:threads=1"), ProviderUse(CPU_PROVIDER, tensors_on=("cpu", 0))
    )
    feeds = make_inputs((INPUT,), 2, seed=1)
    results = {}
    for io in ("host", "device"):
        call = session.bind(feeds, "device" if io == "device" else "host")
        call.run()
        results[io] = np.asarray(call.outputs()["logits"]).copy()
    np.testing.assert_array_equal(results["host"], results["device"])


def test_threads_are_explicit_and_in_the_facts(path: Path) -> None:
    facts = find_backend("cpu").open(_request(path, "cpu:threads=1,spin=off")).facts
    assert facts["intra_op_num_threads"] == "1"
    assert facts["session.intra_op.allow_spinning"] == "0"
    assert facts["onnxruntime"] == ort.__version__
    assert sys.prefix not in facts["onnxruntime_file"]
    assert threads(parse_spec("cpu").options) == usable_cores()


def test_the_session_itself_has_the_threads_and_keys_that_the_facts_name(path: Path) -> None:
    session = OnnxRuntimeSession(_request(path, "cpu:threads=3,spin=off"), ProviderUse(CPU_PROVIDER))
    settings = session._session.get_session_options()
    assert (settings.intra_op_num_threads, settings.inter_op_num_threads) == (3, 1)
    assert settings.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert settings.get_session_config_entry("session.record_ep_graph_assignment_info") == "1"


def test_a_provider_that_fails_to_start_is_an_error_and_no_retry_on_the_cpu(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, attempts = ort.InferenceSession._create_inference_session, list[str]()

    def fail_once(self: ort.InferenceSession, providers: list[str], *rest: Any) -> None:
        attempts.append(str(providers))
        if len(attempts) == 1:
            raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")
        create(self, providers, *rest)

    monkeypatch.setattr(ort.InferenceSession, "_create_inference_session", fail_once)
    with pytest.raises(RuntimeError, match="CUDA failure 100"):
        OnnxRuntimeSession(_request(path, "cuda"), ProviderUse(CUDA))
    assert len(attempts) == 1


def test_our_session_keys_are_in_this_onnxruntime(path: Path) -> None:
    # A misspelt key is accepted in silence, so the library's own text is the only check there is.
    folder = Path(ort.__file__).parent / "capi"
    libraries = [library.read_bytes() for library in folder.glob("*onnxruntime*.so*")]
    keys = config_entries(parse_spec("cpu:spin_duration_us=100,denormal_as_zero=on").options)
    assert set(keys) == {
        "session.intra_op.allow_spinning",
        "session.intra_op.spin_duration_us",
        "session.record_ep_graph_assignment_info",
        "session.set_denormal_as_zero",
    }
    for key in keys:
        assert any(key.encode() + b"\0" in library for library in libraries), key
    assert not any(b"session.intra_op.allow_spining\0" in library for library in libraries)


def test_spin_is_what_the_option_says() -> None:
    key = "session.intra_op.allow_spinning"
    assert config_entries(parse_spec("cpu").options)[key] == "1"
    assert config_entries(parse_spec("cpu:spin=off").options)[key] == "0"


@needs_cpu_wheel
def test_cuda_asked_of_the_cpu_wheel_never_becomes_a_cpu_session(path: Path) -> None:
    # onnxruntime only warns; the session's own counters give it away.
    with pytest.warns(UserWarning, match=CUDA):
        session = ort.InferenceSession(path, _recording(), providers=[CUDA, CPU_PROVIDER], enable_fallback=0)
    assert session.get_providers() == [CPU_PROVIDER]
    assert placement_of(_assigned(session), CUDA).label == "none"
    with pytest.warns(UserWarning, match=CUDA), pytest.raises(KeyError, match=CUDA):
        OnnxRuntimeSession(_request(path, "cuda"), ProviderUse(CUDA))


@pytest.mark.skipif(AZURE not in ort.get_available_providers(), reason="this wheel lists no Azure provider")
def test_a_provider_that_is_listed_and_gets_no_node_is_placed_none(path: Path) -> None:
    session = ort.InferenceSession(path, _recording(), providers=[AZURE, CPU_PROVIDER], enable_fallback=0)
    assert AZURE in session.get_providers()
    placement = placement_of(_assigned(session), AZURE)
    assert placement.label == "none"
    assert AZURE not in placement.nodes_by_provider
    assert "Conv" in {operator.removeprefix("Fused") for operator in placement.heavy_on_cpu}
    assert OnnxRuntimeSession(_request(path, "cpu"), ProviderUse(AZURE)).placement.label == "none"


def test_an_onnxruntime_that_cannot_prove_placement_is_refused() -> None:
    with pytest.raises(
        AbsentError, match=r"Cannot prove what ran where: expected onnxruntime 1\.24 or newer"
    ):
        _assigned(object())


def test_a_strided_input_is_never_made() -> None:
    assert make_inputs((INPUT,), 4, 0)["input"].flags.c_contiguous


def test_opening_imports_onnxruntime_and_nothing_before_does() -> None:
    code = (
        "import sys; from runner.backends.registry import backend_names, find_backend;"
        "[find_backend(n).options for n in ('cpu', 'cuda')]; find_backend('cpu').missing();"
        "sys.exit('onnxruntime' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _recording() -> ort.SessionOptions:
    settings = ort.SessionOptions()
    settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return settings
