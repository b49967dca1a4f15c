"""Files appear in the models folder whole or not at all."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.errors import FileError

_PREFIX = ".export-"


@contextmanager
def staging(models_dir: Path, model: str) -> Iterator[Path]:
    """Give an empty folder beside the final files that no other export uses, and remove it.

    The folder is locked while it is used, and a killed process loses its locks: what is not locked is stale.

    Raises:
        FileError: another export of this model is running, or the folder cannot be written.
    """
    folder = models_dir / f"{_PREFIX}{model}"
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        with _locked(models_dir):  # nobody takes the new folder for a stale one
            remove_stale(models_dir)
            if folder.exists():
                raise FileError(
                    f"Cannot export {model}",
                    expected=f"no other export to {models_dir}",
                    got="one",
                    fix="Wait for it",
                )
            folder.mkdir()
            lock = _lock(folder)
    except OSError as error:
        raise FileError(
            f"Cannot write {models_dir}", got=str(error), fix="Pass another --models-dir"
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_stale(models_dir: Path) -> None:
    """Remove what killed exports left."""
    for folder in models_dir.glob(f"{_PREFIX}*/"):
        try:
            lock = _lock(folder, fcntl.LOCK_NB)
        except OSError:
            continue  # in use, or gone by now
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _lock(folder: Path, flags: int = 0) -> int:
    """Return a descriptor that holds the lock of a folder until it is closed."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | flags)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = _lock(folder)
    try:
        yield
    finally:
        os.close(lock)


def publish(folder: Path, models_dir: Path, names: tuple[str, ...]) -> None:
    """Move files out of a staging folder in this order, each on disk before the next."""
    for name in names:
        _sync(folder / name)
        (folder / name).replace(models_dir / name)
    _sync(models_dir)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
