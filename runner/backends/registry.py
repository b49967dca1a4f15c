"""The one registry of backends: what the runner brings, and what the entry-point group adds."""

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from runner.backends.interface import Backend
from runner.errors import AbsentError, UsageError, nearest

ENTRY_POINT_GROUP = "joulebatch.backends"
BUILT_IN = {
    "cpu": "runner.backends.cpu:BACKEND",
    "cuda": "runner.backends.cuda:BACKEND",
    "openvino": "runner.backends.providers:OPENVINO",
    "tensorrt": "runner.backends.providers:TENSORRT",
    "tensorrt-rtx": "runner.backends.providers:TENSORRT_RTX",
    "migraphx": "runner.backends.providers:MIGRAPHX",
    "coreml": "runner.backends.providers:COREML",
    "directml": "runner.backends.providers:DIRECTML",
    "webgpu": "runner.backends.providers:WEBGPU",
    "qnn": "runner.backends.providers:QNN",
    "xnnpack": "runner.backends.providers:XNNPACK",
}


@cache
def _added() -> dict[str, EntryPoint]:
    return {
        point.name: point for point in entry_points(group=ENTRY_POINT_GROUP) if point.name not in BUILT_IN
    }


def backend_names() -> tuple[str, ...]:
    """Return the names of all backends, built in first."""
    return (*BUILT_IN, *sorted(_added()))


def find_backend(name: str) -> Backend:
    """Return a backend by its name.

    Raises:
        UsageError: no such name; the nearest is named.
        AbsentError: an added backend that does not load.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return cast("Backend", getattr(import_module(module), attribute))
    point = _added().get(name)
    if point is None:
        raise UsageError(f"Unknown backend {name!r}", fix=nearest(name, backend_names()))
    try:
        return cast("Backend", point.load())
    except (ImportError, AttributeError) as error:
        raise AbsentError(
            f"Cannot load backend {name}",
            expected=f"{point.value} to import",
            got=str(error),
            fix=f"Reinstall {name}",
        ) from error
