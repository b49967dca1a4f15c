"""Plotly's JavaScript: 5 MB that every page draws with, so that a folder of reports holds it once, beside them.

Only the file is used that the plotly package brings; its Python, which takes a second to load, is not. The name holds
the major version: within one, a newer file stands in for an older (semantic versioning), so that pages of old runs keep
their plots, `reports verify` their text, and a folder of many runs one file.
"""

import os
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from runner.errors import AbsentError, FileError
from runner.report.disk import sync

FOLDER: Final = "assets"
"""in the folder of reports"""
_DEFAULT_MAJOR = 4
"""in the name that a page asks for where plotly is not installed: of the newest that our pages were tried with"""
_BANNER = re.compile(rb"plotly\.js v(\d+)\.(\d+)\.(\d+)")
_BANNER_BYTES = 200
_INSTALL = "Run: pip install plotly"


def plotly_name() -> str:
    """Return the file name of plotly's JavaScript as pages ask for it."""
    path = _installed()
    major = _version(path)[0] if path else _DEFAULT_MAJOR
    return f"plotly-{major}.min.js"


def plotly_text() -> str:
    """Return plotly's JavaScript, for a page that holds all it needs.

    Raises:
        AbsentError: plotly is not installed.
    """
    return _source().read_text(encoding="utf-8")


def place_plotly(reports_dir: Path) -> Path:
    """Put plotly's JavaScript beside the reports unless it is there, whole and as new; return its path.

    Any number of processes may do so at once: each writes a file of its own and renames it.

    Raises:
        AbsentError: plotly is not installed.
        FileError: the disk refuses; what was there is as it was.
    """
    source = _source()
    target = reports_dir / FOLDER / plotly_name()
    try:
        data = source.read_bytes()
        if not _is_good(target, source, data):
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, data)
    except OSError as error:
        raise FileError(
            f"Cannot write {target}",
            expected=f"{source.stat().st_size / 1e6:.0f} MB for what draws the plots of report.html",
            got=str(error.strerror),
            fix="Free some space, or pass another --reports-dir",
        ) from error
    return target


def _is_good(target: Path, source: Path, data: bytes) -> bool:
    """Return whether a file is what is installed, or newer than that."""
    try:
        # By size first, as comparing 5 MB takes longer than all else.
        if target.stat().st_size == len(data) and target.read_bytes() == data:
            return True
        return _version(target) > _version(source)
    except (FileNotFoundError, ValueError):
        return False


def _replace(target: Path, data: bytes) -> None:
    with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as temporary:
        path = Path(temporary.name)
        try:
            temporary.write(data)
            temporary.flush()
            os.fchmod(temporary.fileno(), 0o644)  # a temporary file is its owner's alone; reports are for all
            os.fsync(temporary.fileno())
            path.replace(target)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    sync(target.parent)


def _source() -> Path:
    path = _installed()
    if path is None:
        raise AbsentError(
            "Cannot draw plots",
            expected="the package plotly",
            got="none that holds its JavaScript",
            fix=_INSTALL,
        )
    return path


@cache
def _installed() -> Path | None:
    """Return plotly's JavaScript within the installed package, or None."""
    try:
        spec = find_spec("plotly")
    except ValueError:  # what is in its place is no package
        return None
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "package_data" / "plotly.min.js"
        if path.is_file():
            return path
    return None


def _version(path: Path) -> tuple[int, int, int]:
    """Return the version that a file says it is of.

    Raises:
        ValueError: it is not plotly's.
    """
    with path.open("rb") as file:
        found = _BANNER.search(file.read(_BANNER_BYTES))
    if found is None:
        raise ValueError(f"{path} is not plotly's")
    major, minor, patch = (int(part) for part in found.groups())
    return major, minor, patch
