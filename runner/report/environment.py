"""What machine and software a run had: read once, before anything is measured."""

import os
import platform
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from runner.backends.wheels import installed_wheels
from runner.machine.cpu import usable_cores
from runner.machine.sensors import CpuSensors
from runner.report.schema import Environment, Git, Gpu

PACKAGES = (
    "joulebatch",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnx",
    "numpy",
    "torch",
    "torchvision",
    "pyRAPL",
    "nvidia-ml-py",
)
"""whose versions can change a figure, as do those of other wheels of ONNX Runtime"""

_CPUINFO = Path("/proc/cpuinfo")
_GIT_TIMEOUT_S = 5.0  # a repository on a slow network drive must not hold up a run


def read_environment(gpus: tuple[Gpu, ...], folder: Path | None = None) -> Environment:
    """Return the facts of this machine.

    Args:
        gpus: as the GPU meter names them.
        folder: where to look for the user's repository; the current folder by default.
    """
    cpu, hypervisor = read_cpu()
    return Environment(
        host=platform.node(),
        os=_os_name(),
        kernel=platform.release(),
        python=platform.python_version(),
        cpu=cpu,
        cores=os.cpu_count() or 1,
        usable_cores=usable_cores(),
        memory_bytes=psutil.virtual_memory().total,
        governor=CpuSensors().governor(),
        hypervisor=hypervisor,
        gpus=gpus,
        versions=dict(package_versions()),
        git=read_git(folder or Path()),
    )


def package_versions() -> Iterator[tuple[str, str]]:
    """Yield name and version of every installed package that can change a figure; imports none of them."""
    for name in dict.fromkeys((*PACKAGES, *installed_wheels())):
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def read_cpu(cpuinfo: Path = _CPUINFO) -> tuple[str, bool]:
    """Return the processor's name and whether it says that it is virtual.

    Source: Linux ``arch/x86/kernel/cpu/proc.c`` (model name, flags) and ``arch/arm64/kernel/cpuinfo.c``,
    which has no name, so there the architecture stands in for it.
    """
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    pairs = (line.partition(":") for line in text.splitlines())
    facts = {key.strip(): value.strip() for key, _, value in pairs}
    name = facts.get("model name") or facts.get("Model") or platform.processor() or platform.machine()
    return name, "hypervisor" in facts.get("flags", "").split()


def read_git(folder: Path) -> Git | None:
    """Return the commit of the repository around a folder, or None without git, repository or commit."""
    commit = _git(folder, "rev-parse", "HEAD")
    status = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return None if commit is None or status is None else Git(commit=commit, dirty=bool(status))


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, or None when it cannot answer."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(folder), *arguments],  # noqa: S607 - the user's own git, from PATH
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()
