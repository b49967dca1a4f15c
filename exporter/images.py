"""Seeded images: what references are made of, and what int8 is calibrated on."""

import numpy as np

from runner.backends.interface import Array

_GRIDS = (2, 4, 7, 14, 28, 56)


def seeded_images(size: int, seed: int, count: int) -> Array:
    """Return seeded images of mean 0 and variance 1, shaped (count, 3, size, size).

    They are noise with the same power in every octave, as photographs have (Field 1987, J. Opt. Soc. Am. A 4,
    section 3); white noise looks alike to a network, and so would its outputs.
    """
    rng = np.random.default_rng(seed)
    grids = (*_GRIDS, size)
    images = np.zeros((count, 3, size, size), np.float32)
    for grid in grids:
        pixels = np.arange(size) * grid // size
        noise = rng.standard_normal((count, 3, grid, grid), dtype=np.float32)
        images += noise[:, :, pixels][:, :, :, pixels]
    return images / np.float32(np.sqrt(len(grids)))
