"""What a manifest says of files and software."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from runner.hashing import hash_file
from runner.manifest import FileRecord


def record_of(path: Path) -> FileRecord:
    """Return name, hash and size of a file."""
    return FileRecord(path.name, hash_file(path), path.stat().st_size)


def installed(package: str) -> str | None:
    """Return the version of a package, or None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those that are installed."""
    return {package: number for package in packages if (number := installed(package))}
