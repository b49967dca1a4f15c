"""The images on which int8-static learns the ranges of its activations: seeded noise, or photographs of the user's."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exporter.images import seeded_images
from exporter.variant_request import CALIBRATION_COUNT, SEEDED, calibration_paths
from runner.backends.interface import Array
from runner.load.image_files import check_images, hash_images
from runner.load.images import Decoder, target_of
from runner.modelfile import ModelFile

SEED_OFFSET = 1_000_003
"""Added to the reference's seed: parity on images that were calibrated on would measure the training data. Any number
but 0 does."""
_BATCH = 1
"""images at a time: the minimum and maximum of every activation are taken last, so that all of them lie in memory"""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Images, and where they come from."""

    images: Array
    source: str
    """``seeded``, or the sha256 of their files"""

    def batches(self, name: str) -> Iterator[dict[str, Array]]:
        """Yield them as a network's only input."""
        for first in range(0, len(self.images), _BATCH):
            yield {name: self.images[first : first + _BATCH]}


def calibration_of(source: ModelFile, folder: Path | None) -> Calibration:
    """Return what a model is calibrated on.

    Args:
        source: the fp32 file.
        folder: of images; None for seeded noise.

    Raises:
        AbsentError: Pillow is not installed.
        FileError: no folder of images, or one that cannot be read.
    """
    target = target_of(source.inputs)
    if folder is None:
        assert source.manifest is not None
        seed = source.manifest.seed + SEED_OFFSET
        return Calibration(seeded_images(target.height, seed, CALIBRATION_COUNT), SEEDED)
    paths = calibration_paths(folder)
    check_images(paths)
    images = np.empty((len(paths), 3, target.height, target.width), target.dtype)
    Decoder(paths, target).fill(images, 0)
    return Calibration(images, hash_images(paths))
