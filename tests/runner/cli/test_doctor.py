"""``joulebatch doctor`` by real processes: this machine, and files; and what it says of machines with meters."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from runner.backends.interface import Missing
from runner.backends.registry import BUILT_IN
from runner.config import RunConfig
from runner.diagnosis import MachineFacts, gpu_facts
from runner.errors import AbsentError, JoulebatchError, UsageError
from runner.meters.interface import MeterStatus
from runner.model_diagnosis import ModelFacts, model_facts
from runner.render.machine import machine_sections
from runner.render.model import model_sections
from runner.report.environment import read_environment
from tests.models import write_exported, write_onnx
from tests.processes import joulebatch
from tests.runner.meters.fake_pynvml import FakeGpu, FakeNvml
from tests.runner.meters.simulated import FakeClock
from tests.variants import write_variant


def test_every_domain_backend_and_model_is_answered_for(tmp_path: Path) -> None:
    path = write_exported(tmp_path / "models")
    write_variant(tmp_path / "models", variant="fp16")
    result = joulebatch("doctor", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = [line.strip() for line in result.stdout.splitlines()]
    for name in ("cpu_package", "dram", "gpu", *BUILT_IN, "faulty"):
        (line,) = (line for line in lines if line.startswith(f"{name}: "))
        state = line.removeprefix(f"{name}: ")
        assert state.startswith(("unavailable (", "read through ", "ready. Options: ", "absent: ")), line
    assert any(
        line.startswith("tiny ") and line.endswith("weights: random, seed 0; fp16: quality unverified")
        for line in lines
    )
    assert any(line.startswith("alexnet ") and "joulebatch export alexnet" in line for line in lines)
    path.write_bytes(path.read_bytes()[:-1])
    assert "Run: joulebatch export tiny" in joulebatch("doctor", cwd=tmp_path).stdout


def test_ticks_are_shown_and_what_makes_a_gpu_doubtful(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hot = FakeGpu("GPU-hot", has_mig=True, pids=(77, 78), throttle_bits=0x44)
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(FakeClock(), hot, FakeGpu("GPU-cool")))
    meters = (
        MeterStatus("cpu_package", "measured", "pyRAPL", ("package-0",), tick_s=0.00101, tick_j=0.0412),
        MeterStatus("dram", "unavailable", reason="why", remedy="Do this"),
        MeterStatus("gpu", "measured", "nvml-power", ("GPU-hot", "GPU-cool")),
    )
    facts = MachineFacts(read_environment(()), meters, gpu_facts(), (), tmp_path, ())
    sections = {section.title: section.lines for section in machine_sections(facts)}
    assert sections["Energy"] == (
        "cpu_package: read through pyRAPL (package-0); it changes every 1.01 ms, by 41.2 mJ or more",
        "dram: unavailable (why). Do this.",
        "gpu: read through nvml-power (GPU-hot, GPU-cool)",
    )
    described = "NVIDIA Imaginary, driver 570.1, 85.9 GB, power limit 700 W."
    held_back = "Held back by hardware thermal slowdown: let it cool, or check its supply."
    others = "Processes that compute on it now would be counted: 77, 78; stop them."
    assert sections["GPUs"] == (
        f"GPU-hot: {described} MIG is on: its counters cover all instances, whoever uses them. {held_back} {others}",
        f"GPU-cool: {described}",
    )


def test_a_file_is_described_and_opened_under_every_backend(tmp_path: Path) -> None:
    write_onnx(tmp_path / "net.onnx", size="side")
    result = joulebatch("doctor", "net.onnx", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for text in (
        "opset 18; IR version 10",
        "parameters: 296 (",
        "input input: float32 (batch, 3, side, side)",
        "output logits: float32 (batch, 10)",
        "to run it: --shape input=3xNxN with numbers for N",
        "1 Conv",
        "multiply-adds of one image: known once every dimension has a size",
        "cpu: full (",
    ):
        assert text in result.stdout, text


def test_a_file_with_sizes_says_what_it_is_run_with_and_what_that_takes(tmp_path: Path) -> None:
    write_onnx(tmp_path / "net.onnx", size="side", external=True)
    asked = ("doctor", "net.onnx", "--shape", "input=3x8x8", "--backend", "A=cpu:threads=1")
    result = joulebatch(*asked, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for text in (
        "outside of the file in net.onnx.data",
        "(batch, 3, side, side), run with B x 3 x 8 x 8",
        "batch dynamic: dimension 0 of input",
        "multiply-adds of one image: 13.9 k (Conv 13.8 k, Gemm 80)",
        "A: full (",
    ):
        assert text in result.stdout, text
    assert "cuda" not in result.stdout  # it was not asked for
    facts = json.loads(joulebatch(*asked, "-f", "json", cwd=tmp_path).stdout)
    assert facts["opsets"] == {"": 18}
    assert facts["runnable"]["inputs"][0]["shape"] == ["batch", 3, 8, 8]
    assert facts["multiply_adds"]["total"] == 8 * 64 * 27 + 80
    assert facts["answers"]["A"]["placement"]["label"] == "full"


def facts_of(path: Path, **flags: tuple[str, ...]) -> ModelFacts:
    folders = {"models_dir": path.parent, "reports_dir": path.parent}
    return model_facts(
        path, RunConfig.read({"batch_sizes": "1", "target_ci_ratio": "2%", **folders, **flags})
    )


@pytest.mark.parametrize(
    ("flags", "error", "said"),
    [
        ({"shapes": ("x=3",)}, UsageError, "Unknown input 'x' in --shape"),
        ({"input_values": ("x=3",)}, UsageError, "Unknown input 'x' in --input"),
        ({"shapes": ("input=4x8x8",)}, UsageError, "Wrong --shape for "),
        ({"backends": ("cpu@old",)}, UsageError, "Unknown interpreter 'old'"),
        ({"interpreters": ("old=/nowhere",)}, AbsentError, "Cannot use interpreter old"),
    ],
)
def test_what_cannot_be_asked_of_a_file_is_refused(
    flags: dict[str, tuple[str, ...]], error: type[JoulebatchError], said: str, tmp_path: Path
) -> None:
    write_onnx(tmp_path / "net.onnx", size="side")
    with pytest.raises(error, match=said):
        facts_of(tmp_path / "net.onnx", **flags)


def test_flags_about_a_file_need_one(tmp_path: Path) -> None:
    result = joulebatch("doctor", "--shape", "x=3", cwd=tmp_path)
    assert (result.returncode, result.stderr.splitlines()) == (
        2,
        ["joulebatch: Cannot use --shape: expected a FILE.onnx that it is about, got none. Add the file."],
    )


def test_a_file_that_cannot_be_run_is_described_with_the_reason(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("SequenceConstruct", ["x"], ["boxes"])],
        "sequence",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_sequence_value_info("boxes", TensorProto.FLOAT, None)],
    )
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    facts = facts_of(path, backends=("cpu",))
    assert facts.runnable is None
    lines = [line for section in model_sections(facts) for line in section.lines]
    assert "output boxes: sequence(float32) ()" in lines
    assert any("expected output 'boxes' to be a tensor of numbers" in line for line in lines)
    assert "cpu: full (1 nodes on CPUExecutionProvider, after optimisation)" in lines


def test_a_backend_that_cannot_open_a_file_says_why_at_its_end(tmp_path: Path) -> None:
    write_onnx(tmp_path / "net.onnx")
    facts = replace(
        facts_of(tmp_path / "net.onnx", backends=("cpu",)),
        answers={
            "ov": JoulebatchError("frame " * 99 + "dynamic rank"),
            "torch": Missing("no torch", "Install it"),
        },
    )
    backends = model_sections(facts)[-1].lines
    assert backends[0].startswith("ov: cannot open it: …")
    assert backends[0].endswith("dynamic rank.")
    assert len(backends[0]) < 400
    assert backends[1] == "not here, or not for such a file: torch; joulebatch doctor says what each lacks"


def test_the_machine_is_described_for_programs_too(tmp_path: Path) -> None:
    facts = json.loads(joulebatch("doctor", "-f", "json", cwd=tmp_path).stdout)
    assert {backend["name"] for backend in facts["backends"]} >= set(BUILT_IN)
    assert facts["environment"]["cores"] > 0


@pytest.mark.parametrize(("content", "code"), [(None, 3), (b"no model", 4)])
def test_a_file_that_is_none_is_one_line(content: bytes | None, code: int, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "net.onnx").write_bytes(content)
    result = joulebatch("doctor", "net.onnx", cwd=tmp_path)
    assert result.returncode == code
    assert result.stderr.startswith("joulebatch: Cannot open net.onnx: expected ")
    assert len(result.stderr.splitlines()) == 1
