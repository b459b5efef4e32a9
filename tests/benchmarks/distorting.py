"""Images made worse on purpose, by rising levels; what a set loses when modes drop or copies enter.

Images are float n x H x W in [0, 1]. Pixel distortions change each image; row distortions choose
which images a set holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Images = NDArray[np.float32]
Rows = NDArray[np.intp]
RNG = np.random.Generator


def _unit(images: NDArray[Any]) -> Images:
    return np.clip(images, 0, 1).astype(np.float32)


def noise(images: Images, sd: float, rng: RNG) -> Images:
    """Gaussian noise."""
    return _unit(images + rng.normal(0, sd, images.shape))


def blur(images: Images, sigma: float, rng: RNG) -> Images:
    """Gaussian blur, sigma in pixels."""
    return _unit(ndimage.gaussian_filter(images, (0, sigma, sigma)))


def shift(images: Images, by: float, rng: RNG) -> Images:
    """Brighter by a constant."""
    return _unit(images + by)


def gain(images: Images, factor: float, rng: RNG) -> Images:
    """Contrast about mid grey."""
    return _unit(0.5 + factor * (images - 0.5))


def elastic(images: Images, peak: float, rng: RNG) -> Images:
    """A smooth random field moves pixels by at most `peak`."""
    n, height, width = images.shape
    field = ndimage.gaussian_filter(rng.normal(size=(n, 2, height, width)), (0, 0, 8, 8))
    field *= peak / np.abs(field).max(axis=(1, 2, 3), keepdims=True)
    grid = np.indices((height, width), np.float64)
    moved = [
        ndimage.map_coordinates(image, grid + move, order=3, mode="nearest")
        for image, move in zip(images, field, strict=True)
    ]
    return _unit(np.stack(moved))


def checkerboard(images: Images, amplitude: float, rng: RNG) -> Images:
    """A pattern of every other pixel."""
    rows, columns = np.indices(images.shape[1:])
    return _unit(images + amplitude * (1 - 2.0 * ((rows + columns) % 2)))


@dataclass(frozen=True)
class Pixels:
    """A distortion of each image, by level."""

    apply: Callable[[Images, float, RNG], Images]
    levels: tuple[float, ...]
    unit: str


@dataclass(frozen=True)
class Choosing:
    """A distortion of a set: rows that it holds, out of `rows` with `places`, by level.

    `apply(rows, places, n, level, rng)`: `places` is where in its structure each slice lies, 0 to
    1.
    """

    apply: Callable[[Rows, NDArray[np.float64], int, float, RNG], Rows]
    levels: tuple[float, ...]
    unit: str


def few_modes(rows: Rows, places: NDArray[np.float64], n: int, kept: float, rng: RNG) -> Rows:
    """`kept` of the images, each drawn again and again."""
    modes = rng.choice(rows, min(int(kept), len(rows)), replace=False)
    return rng.permutation(np.resize(modes, n))


def part_of_structure(
    rows: Rows, places: NDArray[np.float64], n: int, share: float, rng: RNG
) -> Rows:
    """Slices of the lowest `share` of each structure only; nothing twice while they last."""
    left = rows[places <= np.quantile(places, share)]
    return rng.choice(left, n, replace=len(left) < n)


def copies(rows: Rows, places: NDArray[np.float64], n: int, share: float, rng: RNG) -> Rows:
    """A share of the set's images are copies of others of the set, one each."""
    own = rng.choice(rows, n, replace=False)
    doubled = round(share * n)
    return np.concatenate([own[: n - doubled], rng.choice(own[: n - doubled], doubled)])


PIXELS = {
    "noise": Pixels(noise, (0.01, 0.02, 0.05, 0.1, 0.2), "sd, of the window"),
    "blur": Pixels(blur, (0.5, 1, 1.5, 2, 3), "sigma, px"),
    "intensity shift": Pixels(shift, (0.02, 0.05, 0.1, 0.15, 0.2), "of the window"),
    "gain": Pixels(gain, (1.05, 1.1, 1.2, 1.35, 1.5), "factor"),
    "elastic": Pixels(elastic, (1, 2, 4, 6, 9), "peak, px"),
    "checkerboard": Pixels(checkerboard, (0.01, 0.02, 0.05, 0.1, 0.2), "amplitude"),
}
CHOOSING = {
    "few modes": Choosing(few_modes, (100, 50, 20, 5, 1), "images left"),
    "part of the structure": Choosing(
        part_of_structure, (0.8, 0.65, 0.5, 0.35, 0.25), "of its slices"
    ),
    "copies": Choosing(copies, (0.05, 0.1, 0.2, 0.35, 0.5), "share of the set"),
}
