"""OpenVINO under its own Python, which `make test` prepares: real sessions, real fallbacks."""

import json
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runner.backends.placement import CPU_PROVIDER
from runner.backends.providers import OPENVINO as BACKEND
from runner.backends.spec import parse_spec
from runner.machine.cpu import usable_cores
from runner.report.schema import Report
from tests.processes import joulebatch

pytestmark = pytest.mark.live

OPENVINO = "JOULEBATCH_TEST_OPENVINO"
PROVIDER = BACKEND.row.provider


@pytest.fixture
def openvino() -> str:
    if OPENVINO not in os.environ:
        pytest.skip(f"{OPENVINO} names no Python with onnxruntime-openvino; make test prepares one")
    return os.environ[OPENVINO]


def compare(home: Path, openvino: str, *flags: str) -> Report:
    result = joulebatch(
        "run", "--backend", "cpu", "--backend", "openvino@ov", "--interpreter", f"ov={openvino}", "--batch-sizes",
        "1,4", "--profile", "quick", "--time-budget", "20s", "--meter", "none", "-f", "json", *flags, cwd=home,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return Report.model_validate(json.loads(result.stdout))


def test_openvino_is_measured_beside_the_cpu_provider(home: Path, openvino: str) -> None:
    report = compare(home, openvino, "-m", "tiny")
    sessions = {each.backend: each for each in report.sessions}
    own = sessions["openvino@ov"]
    assert own.placement == "full"
    assert set(own.nodes_by_provider) == {PROVIDER}
    assert own.parity
    assert own.parity.status == "passed"
    assert own.facts["provider.num_of_threads"] == str(usable_cores())
    assert own.facts["onnxruntime"] != sessions["cpu"].facts["onnxruntime"]
    assert {each.cell.split("/")[2] for each in report.comparisons} == {"openvino@ov"}
    assert all(cell.status == "measured" for cell in report.cells)
    assert all(cell.first_inference_s for cell in report.cells), "the first run of each shape stands apart"


def test_what_openvino_leaves_to_the_cpu_is_counted(home: Path, openvino: str) -> None:
    kernel = numpy_helper.from_array(np.ones((4, 4, 1, 1), np.float32), "kernel")
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["input", "kernel"], ["convolved"]),
            helper.make_node("Relu", ["convolved"], ["positive"]),
            helper.make_node("Det", ["positive"], ["determinants"]),
            helper.make_node("Exp", ["determinants"], ["output"]),
        ],
        "partial",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 4, 8, 8])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 4])],
        [kernel],
    )
    path = home / "partial.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    report = compare(home, openvino, "--onnx", str(path))
    (own,) = (each for each in report.sessions if each.backend == "openvino@ov")
    assert own.placement == "partial-shape-only"
    assert own.nodes_by_provider == {PROVIDER: 3, CPU_PROVIDER: 1}
    assert [finding for finding in report.findings if finding.kind == "ran-on-cpu"] == [], "nothing heavy"


def test_a_model_that_openvino_leaves_to_the_cpu_is_a_finding(home: Path, openvino: str) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["input"], ["rounded"], to=TensorProto.UINT8),
            helper.make_node("MatMulInteger", ["rounded", "integers"], ["sums"]),
            helper.make_node("Cast", ["sums"], ["output"], to=TensorProto.FLOAT),
        ],
        "integers",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(np.ones((4, 4), np.uint8), "integers")],
    )
    path = home / "integers.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    report = compare(home, openvino, "--onnx", str(path))
    (finding,) = (each for each in report.findings if each.kind == "ran-on-cpu")
    assert (finding.title, finding.backend) == ("Ran on the CPU", "openvino@ov")
    assert finding.detail == "MatMulInteger there"
    assert all(cell.status == "failed" for cell in report.cells if cell.backend == "openvino@ov")


def test_without_its_wheel_the_two_lines_that_make_an_environment_are_named() -> None:
    missing = BACKEND.missing()
    assert missing
    assert "no OpenVINO in onnxruntime" in missing.reason
    assert "pip install onnxruntime-openvino" in missing.fix
    assert "--interpreter ov=OV --backend openvino@ov" in missing.fix


def test_threads_are_the_providers_own_option() -> None:
    provider_options = BACKEND.provider_options
    assert provider_options(parse_spec("openvino:threads=1").options)["num_of_threads"] == "1"
    provider_options = BACKEND.provider_options
    assert provider_options(parse_spec("openvino").options)["num_of_threads"] == str(usable_cores())
