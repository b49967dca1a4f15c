"""Image files: found in a folder, checked before anything is measured, opened with errors that name the file.

Needs the standard library and, when used, Pillow: it also runs in workers under other interpreters.
"""

import hashlib
import os
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from runner.backends.interface import Missing
from runner.errors import AbsentError, FileError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

SUFFIXES = (".jpg", ".jpeg", ".png")
_FORMATS = ("JPEG", "PNG")
"""Pillow's names; a file of another format behind one of the suffixes is refused"""

MOST_ELONGATED = 100
"""Longer side to shorter side. Resizing keeps the ratio: 256 x 25,600 pixels are 26 MB in Pillow, and no photograph."""

_BROKEN = (OSError, SyntaxError, ValueError, TypeError, IndexError, struct.error)
"""what Pillow raises for a file that is missing, cut short, changed or something else (its Image.open and parsers)"""


def missing() -> Missing | None:
    """Return why this interpreter cannot decode images, or None when it can. Imports nothing heavy."""
    if find_spec("PIL") is None:
        return Missing("Pillow is not installed", "Install the package pillow")
    return None


def require_pillow() -> None:
    """Check that images can be decoded at all.

    Raises:
        AbsentError: Pillow is not installed.
    """
    if lack := missing():
        raise AbsentError(f"Cannot decode images: {lack.reason}", fix=lack.fix)


def find_images(folder: Path) -> tuple[Path, ...]:
    """Return the JPEG and PNG files in a folder and its subfolders, by their suffix in any case, sorted by path.

    Subfolders count because data sets come with one per class; those behind symbolic links do not.

    Raises:
        FileError: the folder or one in it cannot be read, or there are none.
    """
    fix = "Pass a folder with JPEG or PNG files"
    found: list[Path] = []
    other_count = 0
    try:
        for parent, _, names in os.walk(folder, onerror=_reraise):
            images = [name for name in names if name.lower().endswith(SUFFIXES)]
            found += (Path(parent, name) for name in images)
            other_count += len(names) - len(images)
    except OSError as error:
        got = error.strerror or str(error)
        raise FileError(
            f"Cannot read {error.filename}", expected="a folder of images", got=got, fix=fix
        ) from error
    if not found:
        got = f"none (other files: {other_count})"
        raise FileError(f"No images in {folder}", expected=" or ".join(SUFFIXES), got=got, fix=fix)
    return tuple(sorted(found))


def check_images(paths: Sequence[Path]) -> None:
    """Check that every file can be decoded, before anything is measured.

    Every byte is read, because only that shows a file that was cut short; of a JPEG an eighth of the size is made.

    Raises:
        AbsentError: Pillow is not installed.
        FileError: the first file that is broken, of another format, or too large.
    """
    require_pillow()
    from PIL.Image import DecompressionBombWarning  # noqa: PLC0415 - optional

    with warnings.catch_warnings():
        warnings.simplefilter("error", DecompressionBombWarning)
        for path in paths:
            with open_image(path) as image:
                shorter, longer = sorted(image.size)
                image.draft(None, (1, 1))
                image.load()
            if longer > MOST_ELONGATED * shorter:
                raise _unusable(path, f"sides of at most {MOST_ELONGATED}:1", f"{longer}:{shorter}")


def hash_images(paths: Sequence[Path]) -> str:
    """Return the sha256 of images in their order: of their names and bytes.

    Raises:
        FileError: one cannot be read.
    """
    whole = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as stream:
                part = hashlib.file_digest(stream, "sha256")
        except OSError as error:
            raise _unusable(path, "a whole JPEG or PNG", str(error)) from error
        whole.update(os.fsencode(path.name) + b"\0" + part.digest())
    return whole.hexdigest()


@contextmanager
def open_image(path: Path) -> "Iterator[ImageFile]":
    """Yield an image whose header was read; it is closed afterwards.

    Raises:
        FileError: the file cannot be opened, or the body cannot decode it.
    """
    from PIL import Image  # noqa: PLC0415 - optional

    try:
        with Image.open(path, formats=_FORMATS) as image:
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _unusable(path, f"at most {Image.MAX_IMAGE_PIXELS} pixels", "more") from error
    except _BROKEN as error:
        raise _unusable(path, "a whole JPEG or PNG", str(error)) from error


def _unusable(path: Path, expected: str, got: str) -> FileError:
    return FileError(
        f"Cannot decode {path}", expected=expected, got=got, fix="Replace it, or remove it from the folder"
    )


def _reraise(error: OSError) -> None:
    raise error
