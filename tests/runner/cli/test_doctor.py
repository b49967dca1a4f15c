"""``joulebatch doctor`` by real processes: this machine, and files; and what it says of machines with meters."""

import sys
from pathlib import Path

import pytest

from runner.backends.registry import BUILT_IN
from runner.diagnosis import MachineFacts, gpu_facts
from runner.meters.interface import MeterStatus
from runner.render.machine import machine_sections
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
        "opset 18, 296 parameters",
        "input input: float32 (batch, 3, side, side)",
        "output logits: float32 (batch, 10)",
        "batch dynamic",
        "1 Conv",
        "cpu: full (",
    ):
        assert text in result.stdout, text


@pytest.mark.parametrize(("content", "code"), [(None, 3), (b"no model", 4)])
def test_a_file_that_is_none_is_one_line(content: bytes | None, code: int, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "net.onnx").write_bytes(content)
    result = joulebatch("doctor", "net.onnx", cwd=tmp_path)
    assert result.returncode == code
    assert result.stderr.startswith("joulebatch: Cannot open net.onnx: expected ")
    assert len(result.stderr.splitlines()) == 1
