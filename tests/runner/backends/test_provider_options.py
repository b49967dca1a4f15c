"""Options that a spec passes on: kept as written, and held against what a provider says is in force."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.backends import onnxruntime_session
from runner.backends.interface import OpenRequest
from runner.backends.onnxruntime_session import ProviderUse, open_session
from runner.backends.provider_options import CHECKED, UNCHECKED, check_in_force
from runner.backends.providers import MIGRAPHX, QNN, TENSORRT
from runner.backends.registry import BUILT_IN, find_backend
from runner.backends.spec import parse_spec
from runner.errors import AbsentError, UsageError

TRT = "TensorrtExecutionProvider"
REPORTED = {
    "device_id": "0",
    "trt_fp16_enable": "0",
    "trt_max_workspace_size": "1073741824",
    "trt_engine_cache_path": "",
}

PASSING = [name for name in BUILT_IN if find_backend(name).passing]
words = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{3,20}", fullmatch=True)


def test_every_provider_with_options_passes_them_on() -> None:
    assert [name for name in BUILT_IN if name != "cpu"] == PASSING


def test_options_of_the_provider_keep_their_case_and_ours_do_not() -> None:
    options = parse_spec("coreml:MLComputeUnits=CPUAndGPU,THREADS=2,ModelFormat=MLProgram").options
    assert options["MLComputeUnits"] == "CPUAndGPU"
    assert options["ModelFormat"] == "MLProgram"
    assert options["threads"] == "2"
    assert "THREADS" not in options


@given(st.sampled_from(PASSING), words, st.from_regex(r"[A-Za-z0-9_./:=-]{1,12}", fullmatch=True))
def test_a_key_is_ours_taken_misspelt_or_kept_as_it_is(name: str, key: str, value: str) -> None:
    defaults = parse_spec(name).options
    try:
        options = parse_spec(f"{name}:{key}={value}").options
    except UsageError:
        return
    if key.lower() in defaults:
        assert options.keys() == defaults.keys()
    else:
        assert options == {**defaults, key: value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "cuda:use_tf32=0",
            r"Cannot pass 'use_tf32' on from backend cuda: expected tf32, which sets it. Write tf32=",
        ),
        ("cuda:USE_TF32=0", r"Cannot pass 'USE_TF32' on from backend cuda"),
        ("tensorrt:device_id=1", r"expected device, which sets it"),
        ("openvino:device_type=GPU", r"Cannot pass 'device_type' on from backend openvino.*Drop device_type"),
        ("webgpu:enableGraphCapture=1", r"Cannot pass 'enableGraphCapture' on"),
        ("cuda:thread=1", r"Unknown option 'thread' of backend cuda. Did you mean threads\?"),
        ("webgpu:a b=1", r"Unknown option 'a b' of backend webgpu"),
        ("qnn:backend_type=htp,backend_type=gpu", r"Option 'backend_type' of .* was given twice"),
        ("cpu:trt_fp16_enable=1", r"Unknown option 'trt_fp16_enable' of backend cpu"),
    ],
)
def test_what_may_not_be_passed_on_is_named_with_the_way_out(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_spec(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spelt", ["1", "True", "true"])
def test_values_that_mean_the_same_are_in_force(spelt: str) -> None:
    passed = {"trt_fp16_enable": spelt, "trt_max_workspace_size": "1.073741824e9"}
    facts = check_in_force(TRT, passed, passed, {**REPORTED, "trt_fp16_enable": "1"})
    assert facts["provider.trt_fp16_enable"] == "1"
    assert facts["provider.trt_engine_cache_path"] == "", "what nobody asked for is a fact too"
    assert facts["provider_options"] == CHECKED


def test_a_setting_of_ours_that_the_provider_does_not_report_is_not_called_checked() -> None:
    facts = check_in_force(TRT, {"trt_fp16_enable": "0", "device_id": "0", "our_own": "1"}, {}, REPORTED)
    unreported = sorted({"device_id", "our_own"} - REPORTED.keys())
    assert facts["provider_options"] == f"{CHECKED}, but {', '.join(unreported)}"


def test_a_key_that_the_provider_does_not_report_is_named_with_the_nearest() -> None:
    passed = {"trt_fp16_enabled": "1"}
    with pytest.raises(
        UsageError, match=rf"Unknown option 'trt_fp16_enabled' of {TRT}. Did you mean trt_fp16_enable\?"
    ):
        check_in_force(TRT, {"device_id": "0", **passed}, passed, REPORTED)


def test_a_value_that_the_provider_did_not_take_fails() -> None:
    passed = {"trt_fp16_enable": "1"}
    with pytest.raises(AbsentError, match=r"expected trt_fp16_enable=1 in force, got trt_fp16_enable=0"):
        check_in_force(TRT, passed, passed, REPORTED)


@pytest.mark.parametrize("reported", [{}, {"backend_type": "htp", "bogus": "3"}])
def test_a_provider_that_reports_none_of_its_own_proves_nothing_and_that_is_said(
    reported: dict[str, str],
) -> None:
    passed = {"backend_type": "htp", "bogus": "3"}
    facts = check_in_force("QNNExecutionProvider", passed, passed, reported)
    assert facts["provider_options"] == UNCHECKED
    assert facts["provider.bogus"] == "3"
    assert check_in_force("CPUExecutionProvider", {}, {}, {}) == {}


class Refusing:
    """A session as CUDA's provider makes it: it refuses a key that it does not know, and says not which it does."""

    def __init__(self, options: dict[str, str]) -> None:
        if unknown := options.keys() - REPORTED.keys():
            raise RuntimeError(f"Unknown provider option: {unknown}")
        self._options = options

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        return {TRT: {**REPORTED, **self._options}}


def test_a_provider_that_refuses_a_key_is_asked_which_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        onnxruntime_session, "_create_with", lambda request, use, options, fixed: Refusing(dict(options))
    )
    passed = {"trt_fp16_enabled": "1"}
    use = ProviderUse(TRT, {"device_id": "0", **passed}, passed)
    with pytest.raises(UsageError, match=r"Did you mean trt_fp16_enable\? Valid: device_id, trt_fp16_enable"):
        open_session(OpenRequest(Path("m.onnx"), None, {}), use)
    with pytest.raises(RuntimeError, match="Unknown provider option"):
        open_session(OpenRequest(Path("m.onnx"), None, {}), ProviderUse(TRT, passed))


def test_ours_are_spelt_as_the_provider_does_and_passed_ones_replace_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[tuple[OpenRequest, ProviderUse]] = []
    monkeypatch.setattr(
        onnxruntime_session, "open_session", lambda request, use: opened.append((request, use))
    )
    monkeypatch.setattr(
        "runner.backends.provider_backend.bundled_providers", lambda: {TRT, "OpenVINOExecutionProvider"}
    )
    monkeypatch.setattr("onnxruntime.preload_dlls", lambda: None)
    monkeypatch.setattr("runner.backends.nvidia.loads", lambda library, folder="": True)
    for text in ("tensorrt:device=1,trt_fp16_enable=1", "openvino:threads=3,precision=ACCURACY"):
        spec = parse_spec(text)
        find_backend(spec.name).open(OpenRequest(Path("m.onnx"), None, spec.options))
    (trt_request, trt), (_, openvino) = opened
    assert trt.options == {"device_id": "1", "trt_fp16_enable": "1"}
    assert (trt.passed, trt.tensors_on, trt.fallbacks) == (
        {"trt_fp16_enable": "1"},
        ("cuda", 1),
        ("CUDAExecutionProvider",),
    )
    assert "trt_fp16_enable" not in trt_request.options, "the session's own options are ours alone"
    assert openvino.options == {"precision": "ACCURACY", "num_of_threads": "3", "device_type": "CPU"}


@pytest.mark.parametrize(
    ("text", "tolerance_ratio"),
    [
        ("tensorrt", 1e-2),
        ("migraphx", 1e-4),
        ("migraphx:migraphx_fp16_enable=1", 1e-2),
        ("migraphx:migraphx_fp16_enable=0", 1e-4),
        ("coreml", 1e-2),
        ("coreml:MLComputeUnits=CPUOnly", 1e-4),
        ("openvino", 1e-4),
        ("openvino:precision=FP16", 1e-2),
        ("qnn:backend_type=htp", 1e-2),
        ("webgpu", 1e-4),
        ("xnnpack", 1e-4),
        ("directml", 1e-4),
    ],
)
def test_parity_is_held_to_the_precision_that_options_ask_for(text: str, tolerance_ratio: float) -> None:
    spec = parse_spec(text)
    assert find_backend(spec.name).parity_tolerance_ratio(spec.options) == tolerance_ratio


def test_what_computes_on_a_device_without_a_meter_says_so() -> None:
    assert QNN.device == MIGRAPHX.device == "other"
    assert TENSORRT.ios == ("host", "device")
