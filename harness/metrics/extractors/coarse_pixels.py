"""Images as their own coarse pixels: the space in which a set's diversity is judged.

A generator that collapses draws the same shapes again. Networks trained on photographs see grain
and specks first, so a set of one shape under varied grain looks varied to them, and a varied set
with specks looks unlike every real image. Blurred and sampled on a coarse grid, images differ by
shape, place and large contrasts alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError

GRID = 16
"""Samples along each edge."""

NAME = "coarse-pixels"
PREPROCESSING = f"Gaussian blur of half a cell, sampled on {GRID} x {GRID} cells"


def coarse_pixels(images: NDArray[Any]) -> NDArray[np.float64]:
    """Features of images n x H x W (bool masks, or grey in [0, 1]): n x 256, float64.

    Edges that are no multiple of 16 are first repeated to the next one.

    Raises:
        DataError: not n x H x W, or edges below 16.
    """
    from scipy import ndimage

    array = np.asarray(images)
    if array.ndim != 3 or not len(array) or min(array.shape[1:]) < GRID:
        raise DataError(
            f"coarse pixels need images n x H x W of {GRID} px or more, but got shape "
            f"{array.shape}; give one grey image a row"
        )
    missing = [(0, -edge % GRID) for edge in array.shape[1:]]
    array = np.pad(array, [(0, 0), *missing], mode="edge")
    cells = array.shape[1] // GRID, array.shape[2] // GRID
    blurred = ndimage.gaussian_filter(
        array.astype(np.float32), (0.0, cells[0] / 2, cells[1] / 2), mode="nearest"
    )
    means = blurred.reshape(len(array), GRID, cells[0], GRID, cells[1]).mean(axis=(2, 4))
    return np.asarray(means.reshape(len(array), -1), np.float64)
