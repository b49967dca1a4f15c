"""Which ONNX Runtime wheel is installed: they overwrite each other, so exactly one may be there."""

from importlib.metadata import distributions

from runner.backends.interface import Missing

_WHEEL_PREFIX = "onnxruntime"
_NOT_WHEELS = (
    "onnxruntime-extensions",
    "onnxruntime-genai",
    "onnxruntime-tools",
    "onnxruntime-ep",
    "onnxruntime-plugin",
)
"""Distributions with the prefix that bring no package ``onnxruntime`` of their own."""


def installed_wheels() -> tuple[str, ...]:
    """Return the names of the installed distributions that bring the package ``onnxruntime``."""
    names = {(d.metadata["Name"] or "").lower().replace("_", "-") for d in distributions()}
    wheels = (n for n in names if n == _WHEEL_PREFIX or n.startswith(f"{_WHEEL_PREFIX}-"))
    return tuple(sorted(n for n in wheels if not n.startswith(_NOT_WHEELS)))


def missing_wheel() -> Missing | None:
    """Return why no backend of ONNX Runtime can be trusted here, or None when exactly one wheel is installed."""
    wheels = installed_wheels()
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
    return None
