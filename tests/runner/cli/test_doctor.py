"""``joulebatch doctor`` by real processes: this machine, and files."""

from pathlib import Path

import pytest

from runner.backends.registry import BUILT_IN
from tests.models import write_exported, write_onnx
from tests.processes import joulebatch


def test_every_domain_backend_and_model_is_answered_for(tmp_path: Path) -> None:
    path = write_exported(tmp_path / "models")
    result = joulebatch("doctor", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = [line.strip() for line in result.stdout.splitlines()]
    for name in ("cpu_package", "dram", "gpu", *BUILT_IN, "faulty"):
        (line,) = (line for line in lines if line.startswith(f"{name}: "))
        state = line.removeprefix(f"{name}: ")
        assert state.startswith(("unavailable (", "read through ", "ready. Options: ", "absent: ")), line
    assert any(
        line.startswith("tiny ") and line.endswith("verified, weights: random, seed 0") for line in lines
    )
    assert any(line.startswith("alexnet ") and "joulebatch export alexnet" in line for line in lines)
    path.write_bytes(path.read_bytes()[:-1])
    assert "Run: joulebatch export tiny" in joulebatch("doctor", cwd=tmp_path).stdout


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
