"""CUDA graphs without CUDA: ONNX Runtime's CPU provider takes the same calls, and a stand-in says what a GPU would."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from runner.backends import onnxruntime_session
from runner.backends.cuda import BACKEND as CUDA
from runner.backends.cuda import provider_options
from runner.backends.interface import Call, OpenRequest
from runner.backends.onnxruntime_session import OnnxRuntimeSession, ProviderUse
from runner.backends.placement import CPU_PROVIDER
from runner.backends.spec import parse_spec
from runner.errors import AbsentError, UsageError
from runner.inputs import make_inputs
from runner.manifest import TensorSpec
from tests.models import CLASSES, SIZE, write_onnx

INPUT = TensorSpec("input", "float32", ("batch", 3, SIZE, SIZE))
ON_CPU = ProviderUse(CPU_PROVIDER, tensors_on=("cpu", 0), graphs=True)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    write_onnx(path)
    return path


@pytest.fixture
def request_cpu(path: Path) -> OpenRequest:
    return OpenRequest(path, None, parse_spec("cpu:threads=1").options)


class WatchedSession:
    """ONNX Runtime's session, which notes the graph id, and the addresses that it was given, of every run."""

    def __init__(self, session: Any, fail_from: int | None = None, reason: str = "") -> None:
        self._session, self._fail_from, self._reason = session, fail_from, reason
        self.runs: list[tuple[str, tuple[int, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run_with_iobinding(self, binding: Any, options: Any) -> None:
        if len(self.runs) == self._fail_from:
            raise RuntimeError(self._reason)
        self._session.run_with_iobinding(binding, options)
        addresses = tuple(value.data_ptr() for value in binding.get_outputs())
        self.runs.append((options.get_run_config_entry("gpu_graph_id"), addresses))


def watched(request: OpenRequest, **trouble: Any) -> tuple[OnnxRuntimeSession, WatchedSession]:
    session = OnnxRuntimeSession(request, ON_CPU)
    session._session = watch = WatchedSession(session._session, **trouble)
    return session, watch


def logits(call: Call) -> Any:
    return np.asarray(call.outputs()["logits"], np.float32)


def expected(path: Path, feeds: Any) -> Any:
    return ort.InferenceSession(path, providers=[CPU_PROVIDER]).run(None, feeds)[0]


def test_each_batch_has_a_graph_of_its_own_and_buffers_that_stay(request_cpu: OpenRequest) -> None:
    session, watch = watched(request_cpu)
    calls = [session.bind(make_inputs((INPUT,), size, seed=size), "device") for size in (1, 3)]
    for call in (*calls, *calls, calls[0]):
        call.run()
    ids = [graph_id for graph_id, _ in watch.runs]
    assert ids == ["-1", "1", "-1", "2", "1", "2", "1"], (
        "shapes are learnt without a graph, once for each batch"
    )
    addresses = {
        graph_id: {places for each, places in watch.runs if each == graph_id} for graph_id in ("1", "2")
    }
    assert all(len(places) == 1 for places in addresses.values())
    assert addresses["1"] != addresses["2"]


def test_through_the_host_every_run_reads_the_inputs_anew(request_cpu: OpenRequest, path: Path) -> None:
    session, _ = watched(request_cpu)
    feeds = {"input": make_inputs((INPUT,), 2, seed=1)["input"].copy()}
    call = session.bind(feeds, "host")
    for seed in (1, 2, 3):
        feeds["input"][:] = make_inputs((INPUT,), 2, seed=seed)["input"]
        call.run()
        np.testing.assert_allclose(logits(call), expected(path, feeds), rtol=1e-5, atol=1e-5)


def test_on_the_device_outputs_are_fetched_when_they_are_asked_for(
    request_cpu: OpenRequest, path: Path
) -> None:
    session, _ = watched(request_cpu)
    feeds = make_inputs((INPUT,), 3, seed=5)
    call = session.bind(feeds, "device")
    call.run()
    call.run()
    assert call.outputs()["logits"].shape == (3, CLASSES)
    np.testing.assert_allclose(logits(call), expected(path, feeds), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("fail_from", [0, 1])
def test_a_batch_that_cannot_be_captured_is_an_error_that_says_so(
    request_cpu: OpenRequest, fail_from: int
) -> None:
    session, watch = watched(
        request_cpu, fail_from=fail_from, reason="CUDA failure 900:\noperation not permitted"
    )
    call = session.bind(make_inputs((INPUT,), 3, seed=1), "host")
    with pytest.raises(
        AbsentError,
        match=r"Cannot capture a CUDA graph for input \(3, .*\): .*CUDA failure 900: op.*Drop graphs=on",
    ):
        call.run()
    watch._fail_from = None
    call.run()
    assert watch.runs[-1][0] == "1", "nothing half captured is kept"


def test_a_model_that_cannot_be_captured_at_all_is_an_error_of_its_session(
    request_cpu: OpenRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "This session cannot use the graph capture feature as requested by the user as the model has control flow"

    def refuse(*_: Any) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(onnxruntime_session, "_create_with", refuse)
    with pytest.raises(
        AbsentError, match=r"Cannot capture CUDA graphs of tiny.onnx: expected .*control flow.*Drop graphs=on"
    ):
        OnnxRuntimeSession(request_cpu, ON_CPU)


def test_graphs_are_off_unless_asked_for_and_asked_for_by_our_word_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "enable_cuda_graph" not in provider_options(parse_spec("cuda").options)
    assert provider_options(parse_spec("cuda:graphs=on").options)["enable_cuda_graph"] == "1"
    with pytest.raises(
        UsageError,
        match=r"Cannot pass 'enable_cuda_graph' on.*expected graphs, which sets it\. Write graphs=",
    ):
        parse_spec("cuda:enable_cuda_graph=1")
    uses: list[ProviderUse] = []
    monkeypatch.setattr(onnxruntime_session, "open_session", lambda request, use: uses.append(use))
    monkeypatch.setattr(ort, "preload_dlls", lambda: None)
    for spec in ("cuda:device=1,graphs=on,sdpa_kernel=2", "cuda"):
        CUDA.open(OpenRequest(Path("m.onnx"), None, parse_spec(spec).options))
    assert [(use.graphs, use.tensors_on, use.passed) for use in uses] == [
        (True, ("cuda", 1), {"sdpa_kernel": "2"}),
        (False, ("cuda", 0), {}),
    ]
    assert uses[0].options["sdpa_kernel"] == "2"


def test_what_only_an_address_can_be_is_not_taken() -> None:
    with pytest.raises(
        UsageError, match=r"Cannot pass 'user_compute_stream' on from backend cuda.*Drop user_compute_stream"
    ):
        parse_spec("cuda:user_compute_stream=140")
