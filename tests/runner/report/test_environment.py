import importlib.metadata
import os
import subprocess
from pathlib import Path

import pytest

from runner.report.environment import (
    package_versions,
    read_cpu,
    read_environment,
    read_git,
)
from runner.report.schema import Environment
from tests.fakes import GPU


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_this_machine_is_read_whole(tmp_path: Path) -> None:
    found = read_environment((GPU,), tmp_path)
    assert found.gpus == (GPU,)
    assert found.cores == os.cpu_count()
    assert 1 <= found.usable_cores <= found.cores
    assert found.memory_bytes > 2**26
    assert found.cpu
    assert found.versions["numpy"] == importlib.metadata.version("numpy")
    assert Environment.model_validate_json(found.model_dump_json()) == found


def test_only_installed_packages_have_a_version() -> None:
    versions = dict(package_versions())
    assert all(importlib.metadata.version(name) == version for name, version in versions.items())


def test_a_repository_is_named_by_commit_and_whether_it_was_changed(tmp_path: Path) -> None:
    assert read_git(tmp_path) is None
    git(tmp_path, "init")
    assert read_git(tmp_path) is None  # no commit yet
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    clean = read_git(tmp_path)
    assert clean is not None
    assert (clean.commit, clean.dirty) == (git(tmp_path, "rev-parse", "HEAD"), False)
    (tmp_path / "file").write_text("two")
    changed = read_git(tmp_path)
    assert changed is not None
    assert changed.dirty


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_git(Path()) is None


@pytest.mark.parametrize(
    ("text", "name", "virtual"),
    [
        (
            "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) @ 2.2GHz\nflags\t\t: fpu hypervisor avx\n",
            "Intel(R) Xeon(R) @ 2.2GHz",
            True,
        ),
        ("model name\t: AMD EPYC 9554\nflags\t\t: fpu avx\n", "AMD EPYC 9554", False),
        ("processor\t: 0\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4\n", "Raspberry Pi 4", False),
    ],
)
def test_the_processor_is_named(tmp_path: Path, text: str, name: str, virtual: bool) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    assert read_cpu(path) == (name, virtual)


def test_a_machine_without_cpuinfo_still_has_a_processor(tmp_path: Path) -> None:
    name, virtual = read_cpu(tmp_path / "missing")
    assert name
    assert not virtual


def test_a_second_wheel_of_onnx_runtime_has_a_version_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "onnxruntime_openvino-1.24.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-openvino\nVersion: 1.24.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert dict(package_versions())["onnxruntime-openvino"] == "1.24.1"
