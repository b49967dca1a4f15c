"""Images to decode: real photographs, which ship with scikit-image, and plain areas."""

from importlib.util import find_spec
from pathlib import Path

from PIL import Image

PHOTOGRAPHS = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "rocket.jpg",
)


def photograph(name: str) -> Path:
    """Return where a photograph is kept; scikit-image itself takes a second to import and is not."""
    package = find_spec("skimage")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "data" / name


def write_plain(folder: Path, *levels: int) -> list[Path]:
    """Write an even grey PNG per level and return their paths."""
    paths = [folder / f"{index}.png" for index in range(len(levels))]
    for path, level in zip(paths, levels, strict=True):
        Image.new("L", (300, 300), level).save(path)
    return paths


def copy_photographs(folder: Path) -> None:
    """Put all photographs into a new folder."""
    folder.mkdir()
    for name in PHOTOGRAPHS:
        (folder / name).write_bytes(photograph(name).read_bytes())
