"""How much memory there is, and how much more a batch will need: asked before the kernel has to answer."""

from collections.abc import Hashable, Iterator
from pathlib import Path

import psutil

from runner.machine.kernel import ROOT, flat_value, own_cgroups, read_text

_CGROUP_FILES = (
    ("", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Controller, its limit, its usage, and the key of memory.stat for cached files that the kernel drops first.

Source: kernel documentation, admin-guide/cgroup-v2 (memory) and admin-guide/cgroup-v1/memory (usage counts caches).
"""

_MARGIN_RATIO = 2.0
"""An arena takes its next region at the next power of two, so at most twice what is missing.

Source: ONNX Runtime ``bfc_arena.cc``, Extend with kNextPowerOfTwo, the default. Where the batch of the five study
models doubled on the CPU, the process took at most 1.8 times the linear growth.
"""


def available_bytes(root: Path = ROOT) -> int:
    """Return what new allocations may take without swapping: of the machine, and of our cgroup and its ancestors."""
    return max(0, min((int(psutil.virtual_memory().available), *_rooms(root))))


def _rooms(root: Path) -> Iterator[int]:
    for controller, limit_name, usage_name, key in _CGROUP_FILES:
        for folder in own_cgroups(controller, root):
            limit, usage = read_text(folder / limit_name), read_text(folder / usage_name)
            if limit.isdigit() and usage.isdigit():  # "max" is no limit
                yield int(limit) - int(usage) + (flat_value(read_text(folder / "memory.stat"), key) or 0)


class MemoryForecast:
    """What the workers of one model will need for a batch, from what they needed for smaller ones.

    Activations are tensors whose first axis is the batch, and weights do not depend on it: so a process grows
    by a constant number of bytes an image over what opening the model took.
    """

    def __init__(self) -> None:
        self._opened: dict[Hashable, int] = {}
        self._peaks: dict[Hashable, int] = {}
        self._growths: dict[Hashable, tuple[int, int]] = {}
        """the largest batch seen, and the growth of the process up to then"""

    def saw_open(self, worker: Hashable, peak_bytes: int) -> None:
        """Take the peak of a process that just opened the model; a fresh worker begins anew there.

        The forecast is sharp when that peak leaves out what opening took for a moment only.
        """
        self._opened[worker] = self._peaks[worker] = peak_bytes

    def saw(self, worker: Hashable, batch_size: int, peak_bytes: int) -> None:
        """Take the peak of a process after it ran a batch; it says nothing where that of opening is unknown."""
        if worker not in self._opened:
            return
        self._peaks[worker] = max(peak_bytes, self._peaks[worker])
        largest, _ = self._growths.get(worker, (0, 0))
        if batch_size >= largest:
            self._growths[worker] = (batch_size, self._peaks[worker] - self._opened[worker])

    def need_bytes(self, worker: Hashable, batch_size: int) -> int | None:
        """Return what a batch will need beyond the present peak of its worker, rounded up as arenas do.

        None before a batch was seen, and while no growth is: opening may have taken more than any batch until then.
        """
        largest, growth_bytes = self._growths.get(worker, (0, 0))
        if growth_bytes <= 0:
            return None
        grown_bytes = self._peaks[worker] - self._opened[worker]
        return max(0, round(_MARGIN_RATIO * (growth_bytes * batch_size / largest - grown_bytes)))
