"""Photographs as a network's input: read, decoded and transformed as in the study, inside the served time.

The shorter side is resized to 256, the centre of 224 is cut out, bytes become [0, 1] and are normalised. What comes out
is bit for bit what torchvision makes of the same file with ``ImageFolder`` and ``ImageClassification(crop_size=224)``:
transparency is dropped and EXIF orientation is not applied. Only grey of 16 bits differs, which Pillow would clip to
white.

Needs the standard library, numpy and, when used, Pillow: it also runs in workers under other interpreters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runner.errors import UsageError
from runner.load.image_files import open_image, require_pillow
from runner.manifest import TensorSpec

if TYPE_CHECKING:
    from PIL import Image

RESIZED, CROPPED = 256, 224
"""The study's sizes, and those of torchvision's ImageClassification; other inputs keep their ratio."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""of ImageNet's red, green and blue: torchvision's ImageClassification"""


@dataclass(frozen=True, slots=True)
class Target:
    """The model's input that images become."""

    name: str
    dtype: str
    """float32 or float16"""
    height: int
    width: int


def target_of(inputs: Sequence[TensorSpec]) -> Target:
    """Return what images have to become for a model.

    Raises:
        UsageError: the model does not take batches of 3 x H x W alone, or H or W is symbolic.
    """
    match inputs:
        case [
            TensorSpec(name=name, dtype="float32" | "float16" as dtype, shape=(_, 3, int(height), int(width)))
        ]:
            return Target(name, dtype, height, width)
    names = " and ".join(f"input {spec.name!r}" for spec in inputs) or "a model without inputs"
    declared = (f"{spec.dtype} {' x '.join(map(str, spec.shape)) or 'scalar'}" for spec in inputs)
    raise UsageError(
        f"Cannot feed images to {names}",
        expected="one float input of 3 x H x W after the batch",
        got=" and ".join(declared) or "none",
        fix="Choose another model, or leave the images out",
    )


class Decoder:
    """Turns image files into batches.

    Args:
        paths: at least one; ``check_images`` has seen them.
        target: what the images become.

    Raises:
        AbsentError: Pillow is not installed.
    """

    def __init__(self, paths: Sequence[Path], target: Target) -> None:
        require_pillow()
        self._paths, self._target = tuple(paths), target
        self._normalised = _normalised().astype(target.dtype)

    def fill(self, batch: NDArray[Any], first: int) -> None:
        """Read, decode and transform one image after another into a batch; after the last file comes the first.

        Args:
            batch: images x 3 x height x width of the target's type; every element is overwritten.
            first: number of the first image, from 0.

        Raises:
            FileError: a file that changed since it was checked; the batch is then filled in part.
        """
        for offset in range(len(batch)):
            pixels = self._pixels(self._paths[(first + offset) % len(self._paths)])
            for channel, values in enumerate(self._normalised):
                # Indices are bytes and fit; "clip" only spares the copy of the result that "raise" makes.
                np.take(values, pixels[..., channel], out=batch[offset, channel], mode="clip")

    def _pixels(self, path: Path) -> NDArray[np.uint8]:
        """Return the part of an image that the network sees: height x width x 3."""
        from PIL.Image import Resampling  # noqa: PLC0415 - optional

        with open_image(path) as image:
            image.load()
            rgb = _as_rgb(image)
        size, box = geometry(rgb.size, self._target)
        # Whole, and cut afterwards: Pillow rounds otherwise when it resizes a part, and the study did it like this.
        return np.asarray(rgb.resize(size, Resampling.BILINEAR).crop(box))


def geometry(size: tuple[int, int], target: Target) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Return the size to which an image is resized, and the box that is cut out of that.

    Args:
        size: width and height of the image in pixels.
        target: height and width to cut out.

    Returns:
        Width and height; left, top, right and bottom, always inside.

    Source:
        torchvision.transforms.functional: _compute_resized_output_size and center_crop, which know square targets;
        for others the image likewise just covers the target enlarged by 256/224.
    """
    (width, height), (across, down) = size, (target.width, target.height)
    least_across, least_down = round(across * RESIZED / CROPPED), round(down * RESIZED / CROPPED)
    if width * least_down <= height * least_across:
        resized = least_across, least_across * height // width
    else:
        resized = least_down * width // height, least_down
    left, top = round((resized[0] - across) / 2), round((resized[1] - down) / 2)
    return resized, (left, top, left + across, top + down)


def _normalised() -> NDArray[np.float32]:
    """Return what each byte of each channel becomes, 3 x 256, in the operations and the precision of torchvision."""
    ratios = np.arange(256, dtype=np.float32) / np.float32(255)
    return np.stack([(ratios - np.float32(m)) / np.float32(s) for m, s in zip(MEAN, STD, strict=True)])


def _as_rgb(image: "Image.Image") -> "Image.Image":
    from PIL import Image  # noqa: PLC0415 - optional

    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):
        # Pillow clips 16 bits to white; of colours with 16 bits it keeps the upper byte, and so do we of grey.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "P":
        # The same colours: without this step Pillow may warn that they lose their transparency.
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")
