"""NVML through pynvml: every failure becomes a ``MeterFault`` in words of one table."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from runner.meters.interface import MeterFault

Nvml = Any
"""the module pynvml, which has no types"""
Handle = Any
"""NVML's pointer to a GPU"""

W_PER_MW = 1e-3
"""unit of power in NVML (API reference)"""

_TRY_SMI = "See whether nvidia-smi works, and reload the driver where it does not"
_ERRORS: Mapping[str, tuple[str, str]] = {
    "LIBRARY_NOT_FOUND": ("no NVIDIA driver is installed", "Install the driver where there is an NVIDIA GPU"),
    "DRIVER_NOT_LOADED": ("the NVIDIA driver is not loaded", "Run: sudo modprobe nvidia"),
    "LIB_RM_VERSION_MISMATCH": (
        "the driver was updated while it ran",
        "Reboot, or reload the NVIDIA modules",
    ),
    "NO_PERMISSION": ("the driver denies access", "Give this user access to /dev/nvidia*"),
    "FUNCTION_NOT_FOUND": ("the driver is too old for this reading", "Update the NVIDIA driver"),
    "NOT_SUPPORTED": (
        "the GPU does not support this reading",
        "Update the driver; the oldest GPUs never can",
    ),
    "NO_DATA": ("the GPU has no data for this reading", _TRY_SMI),
    "GPU_IS_LOST": ("the GPU fell off the bus", "Reboot the machine"),
    "GPU_NOT_FOUND": ("the GPU is gone", "Reboot the machine"),
    "RESET_REQUIRED": ("the GPU needs a reset", "Run: sudo nvidia-smi --gpu-reset, with nothing on the GPU"),
    "TIMEOUT": ("the driver did not answer in time", _TRY_SMI),
    "OPERATING_SYSTEM": ("the operating system blocked the request", "Give this container access to the GPU"),
}
"""reason and remedy by the name of the NVML return value; the others go by NVML's own words"""


def load() -> Nvml:
    """Return pynvml with the library initialised; ``nvmlShutdown`` undoes it."""
    try:
        import pynvml  # noqa: PLC0415 - only where a GPU is asked for
    except ImportError:
        raise MeterFault("the module pynvml is missing", "Run: pip install nvidia-ml-py") from None
    ask(pynvml, pynvml.nvmlInit)
    return pynvml


@contextmanager
def opened() -> Iterator[Nvml]:
    """Return pynvml, for as long as it is needed."""
    nvml = load()
    try:
        yield nvml
    finally:
        nvml.nvmlShutdown()


def handles(nvml: Nvml) -> tuple[Handle, ...]:
    """Return every GPU of the machine, at least one.

    Raises:
        MeterFault: there is none.
    """
    count = ask(nvml, nvml.nvmlDeviceGetCount)
    if count == 0:
        raise MeterFault("the driver sees no GPU", "In a container, pass the GPUs on (docker: --gpus all)")
    return tuple(ask(nvml, nvml.nvmlDeviceGetHandleByIndex, index) for index in range(count))


def ask(nvml: Nvml, function: Callable[..., Any], *args: object) -> Any:  # noqa: ANN401 - as pynvml answers
    """Return what NVML answers.

    Raises:
        MeterFault: an error, in the words of ``_ERRORS``.
    """
    try:
        return function(*args)
    except nvml.NVMLError as error:
        for name, (reason, remedy) in _ERRORS.items():
            if error.value == getattr(nvml, f"NVML_ERROR_{name}"):
                raise MeterFault(reason, remedy) from error
        raise MeterFault(f"NVML says: {error}", _TRY_SMI) from error


def ask_or_none(nvml: Nvml, function: Callable[[Handle], Any], handle: Handle) -> Any:  # noqa: ANN401 - as pynvml answers
    """Return what NVML answers about a GPU, or None where it gives an error."""
    try:
        return ask(nvml, function, handle)
    except MeterFault:
        return None


def power_limit_w(nvml: Nvml, handle: Handle) -> float | None:
    """Return the limit that the driver enforces in W, or None where it does not say."""
    limit_mw = ask_or_none(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    return None if limit_mw is None else limit_mw * W_PER_MW


def has_mig(nvml: Nvml, handle: Handle) -> bool:
    """Return whether the GPU is split into instances."""
    modes = ask_or_none(nvml, nvml.nvmlDeviceGetMigMode, handle)
    return modes is not None and modes[0] == nvml.NVML_DEVICE_MIG_ENABLE


def pids(nvml: Nvml, handle: Handle) -> tuple[int, ...]:
    """Return the processes that compute on a GPU, this one left out."""
    processes = ask_or_none(nvml, nvml.nvmlDeviceGetComputeRunningProcesses, handle) or ()
    return tuple(sorted({process.pid for process in processes} - {os.getpid()}))


def is_foreign(pid: int) -> bool:
    """Return whether a process that can be seen from here was started by none of ours.

    Where a container hides it, its number is the host's and says nothing about whose it is.
    """
    import psutil  # noqa: PLC0415 - only where a process computes on a GPU

    try:
        return os.getpid() not in {parent.pid for parent in psutil.Process(pid).parents()}
    except psutil.Error:
        return False
