"""Which ONNX Runtime wheel is installed: they overwrite each other, so exactly one may be there, and none too old."""

import re
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions

from runner.backends.interface import Missing

OLDEST = (1, 24)
"""the first release whose sessions say what ran where (get_provider_graph_assignment_info)"""
_WHEEL_PREFIX = "onnxruntime"
_NOT_WHEELS = (
    "onnxruntime-extensions",
    "onnxruntime-genai",
    "onnxruntime-tools",
    "onnxruntime-ep",
    "onnxruntime-plugin",
)
"""Distributions with the prefix that bring no package ``onnxruntime`` of their own."""
_RECORD = "RECORD"
"""the file in which an installer notes what a distribution brought"""


def installed_wheels() -> tuple[str, ...]:
    """Return the names of the installed distributions that bring the package ``onnxruntime``."""
    return tuple(_versions())


def missing_wheel() -> Missing | None:
    """Return why no backend of ONNX Runtime can be trusted here, or None when exactly one wheel is installed."""
    versions = _versions()
    wheels = tuple(versions)
    if not wheels:
        return Missing(
            "onnxruntime is not installed",
            "Install one: pip install 'joulebatch[cpu]', or 'joulebatch[gpu]' for an NVIDIA GPU",
        )
    if len(wheels) > 1:
        both = " and ".join(wheels)
        return Missing(
            f"{both} are both installed and overwrite each other's files",
            f"Remove all, then install one: pip uninstall -y {' '.join(wheels)} && pip install {wheels[-1]}",
        )
    ((name, version),) = versions.items()
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return Missing(
            f"{name} {version}, which cannot say what ran where; {oldest} is the oldest that can",
            f"Upgrade it: pip install '{name}>={oldest}'",
        )
    return None


def wheels_among(names: Iterable[str]) -> tuple[str, ...]:
    """Return those distributions that bring the package ``onnxruntime``, in order of their names."""
    prefixed = (n for n in sorted(names) if n == _WHEEL_PREFIX or n.startswith(f"{_WHEEL_PREFIX}-"))
    return tuple(name for name in prefixed if not name.startswith(_NOT_WHEELS))


def _versions() -> dict[str, str]:
    """Return the version by name of each distribution that brings the package ``onnxruntime``."""
    named = {
        (d.metadata["Name"] or "").lower().replace("_", "-"): d.metadata["Version"] or ""
        for d in distributions()
        if _brings_package(d)
    }
    return {name: named[name] for name in wheels_among(named)}


def _brings_package(distribution: Distribution) -> bool:
    """Return False for one with the prefix without a file of the package, as onnxruntime-qnn, a plugin from 2.0 on."""
    if not (distribution.metadata["Name"] or "").lower().startswith(_WHEEL_PREFIX):
        return True
    record = distribution.read_text(_RECORD)
    return record is None or any(line.startswith(f"{_WHEEL_PREFIX}/") for line in record.splitlines())


def own_environment(backend: str, label: str, install: str) -> str:
    """Return the fix for a wheel that would overwrite ``onnxruntime``: an environment of its own.

    Args:
        backend: its name.
        label: what the interpreter is called.
        install: what pip installs there.
    """
    folder = label.upper()
    return (
        f"Give it an environment of its own: python3 -m venv {folder} && {folder}/bin/python -m pip install"
        f" {install}, then --interpreter {label}={folder} --backend {backend}@{label}"
    )
