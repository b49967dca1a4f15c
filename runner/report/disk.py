"""Files and names that outlast a power cut, and are whole whoever else writes."""

import fcntl
import os
import re
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until the disk has the content of a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that its name holds the old content or the whole new one, also after a power cut.

    Raises:
        OSError: the disk refuses; nothing is left of what was written.
    """
    # A name of its own, or two processes would write into one file before either gives it its name.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def is_temporary(name: str, targets: Collection[str]) -> bool:
    """Return whether a file was to become one of these, and is what a killed ``replace_file`` left."""
    found = re.fullmatch(r"\.(.+)\.\d+-[0-9a-f]{8}\.part", name)
    return found is not None and found[1] in targets


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time into a folder; others wait. The kernel ends the lock with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
