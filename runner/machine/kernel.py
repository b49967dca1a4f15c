"""The small files in which the Linux kernel shows itself: how they are read, and where our cgroups are."""

import os
from pathlib import Path

_MOST_BYTES = 65536
"""The largest is /proc/stat, which begins with the lines of its cores, 100 bytes each; sysfs ends at a page of 4096."""

ROOT = Path("/")


def read_text(path: Path) -> str:
    """Return a small file's text; empty where the kernel does not offer it.

    Without Python's file objects, which take twice as long: hundreds of these are read at the edges of a window.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, _MOST_BYTES).decode().strip()
        finally:
            os.close(descriptor)
    except OSError:
        return ""


def flat_value(text: str, key: str) -> int | None:
    """Return a value of a flat keyed file (a key and a number a line), or None without it."""
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return None


def own_cgroups(controller: str, root: Path = ROOT) -> tuple[Path, ...]:
    """Return the folder of this process's cgroup and those of its ancestors, the innermost first.

    Some of them may not exist: in a container the path may be the host's, and then only the root is ours.

    Args:
        controller: of cgroup version 1, as ``cpu``; empty for version 2.
        root: of the file system.

    Source: cgroups(7): a line of /proc/self/cgroup is ID:controllers:path, and version 2's has no controllers.
    """
    mount = root / "sys/fs/cgroup" / controller
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            own = mount / path.lstrip("/")
            return (own, *(parent for parent in own.parents if parent.is_relative_to(mount)))
    return (mount,)
