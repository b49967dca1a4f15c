"""Plotly's JavaScript: 5 MB that every page draws with, so that a folder of reports holds it once, beside them.

Only the file is used that the plotly package brings; its Python, which takes a second to load, is not. The name holds
the major version: within one, a newer file stands in for an older (semantic versioning), so that pages of old runs keep
their plots, `reports verify` their text, and a folder of many runs one file.
"""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from runner.errors import AbsentError, FileError
from runner.report.disk import replace_file

FOLDER: Final = "assets"
"""in the folder of reports"""
_MAJOR = 4
"""of plotly.js, that our pages are made for; pyproject.toml holds the package to the versions that bring it"""
_BANNER = re.compile(rb"plotly\.js v(\d+)\.(\d+)\.(\d+)")
_BANNER_BYTES = 200
PLOTLY_NAME: Final = f"plotly-{_MAJOR}.min.js"
"""as pages ask for it, whatever is installed: a page follows from its report alone"""
_INSTALL = "Run: pip install 'plotly>=7,<8'"


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
    target = reports_dir / FOLDER / PLOTLY_NAME
    try:
        data = source.read_bytes()
        if not _is_good(target, source, data):
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_file(target, data)
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


def _source() -> Path:
    path = _installed()
    found = _version(path) if path else None
    if path is None or found is None or found[0] != _MAJOR:
        got = f"{'.'.join(map(str, found))}" if found else "none"
        raise AbsentError("Cannot draw plots", expected=f"plotly.js {_MAJOR}", got=got, fix=_INSTALL)
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
