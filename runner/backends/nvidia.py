"""What NVIDIA's providers need beside their wheel: the driver with a GPU, and libraries that load."""

import ctypes
import io as text_io
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path

_DRIVER_LIBRARY = "libcuda.so.1"


def missing_driver() -> str:
    """Return what the driver lacks, or an empty text; a driver library alone proves no GPU.

    Source: CUDA driver API, ``cuInit`` and ``cuDeviceGetCount``: 0 is success.
    """
    if not loads(_DRIVER_LIBRARY):
        return f"NVIDIA driver ({_DRIVER_LIBRARY} does not load)"
    driver, count = ctypes.CDLL(_DRIVER_LIBRARY), ctypes.c_int()
    if (code := driver.cuInit(0)) != 0:
        return f"working NVIDIA driver (cuInit returns {code})"
    driver.cuDeviceGetCount(ctypes.byref(count))
    return "" if count.value else "NVIDIA GPU (the driver sees none)"


def preload() -> None:
    """Load CUDA and cuDNN where pip put them, which the loader does not search.

    onnxruntime prints failures and does not raise; whoever needs a library looks for it afterwards.
    """
    import onnxruntime as ort  # noqa: PLC0415 - heavy; only asked when a wheel is there

    with redirect_stdout(text_io.StringIO()):
        ort.preload_dlls()


def loads(library: str, package: str = "") -> bool:
    """Return whether a library loads: by its name, or else from the folder of a top-level package that brings it.

    Loaded once from there, a library that needs it by name finds it too (``dlopen(3)``).
    """
    for path in (library, *(str(folder / library) for folder in _folders(package))):
        try:
            ctypes.CDLL(path)
        except OSError:
            continue
        return True
    return False


def _folders(package: str) -> tuple[Path, ...]:
    found = find_spec(package) if package else None
    return tuple(map(Path, found.submodule_search_locations or ())) if found else ()
