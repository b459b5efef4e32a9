"""Generators that fail on purpose: what a detector must catch, made from somebody's real images.

Each takes a pool of real images n x H x W (bool masks, or grey in [0, 1]) and draws `count` images
of the same kind. A detector that misses one of them, or that accuses honest fresh patients, has no
business judging a GAN.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[Any]
Planted = Callable[[Images, int, np.random.Generator], Images]

GREY_NOISE = 0.02
"""Standard deviation of the noise on jittered grey images, of a range of 1 (10 HU of 500)."""

EDGE_PX = 0.7
"""Standard deviation of the displacement of a jittered mask's edge, pixels."""

SHIFT_PX = 2
"""Largest shift of a jittered image along each axis, pixels."""


def modes(pool: Images, count: int, rng: np.random.Generator, k: int) -> Images:
    """`k` images of the pool, each drawn again and again with jitter."""
    kept = rng.choice(len(pool), min(k, len(pool)), replace=False)
    return jittered(pool[rng.choice(kept, count)], rng)


def shrunken(pool: Images, count: int, rng: np.random.Generator, share: float) -> Images:
    """Images of the pool drawn towards the pool's mean, to `share` of their distance from it.

    Masks by their signed distance functions: shapes, not grey levels, come nearer to the mean one.
    """
    chosen = rng.choice(len(pool), count, replace=count > len(pool))
    if pool.dtype == np.bool_:
        sample = signed_distance(pool[rng.permutation(len(pool))[:200]])
        mean = sample.mean(axis=0)
        return mean + share * (signed_distance(pool[chosen]) - mean) > 0
    mean = pool.mean(axis=0)
    return (mean + share * (pool[chosen] - mean)).astype(pool.dtype)


def blank(pool: Images, count: int, rng: np.random.Generator) -> Images:
    """Empty masks, or images of the lowest grey."""
    return np.zeros((count, *pool.shape[1:]), pool.dtype)


def checkerboard(pool: Images, count: int, rng: np.random.Generator) -> Images:
    """Real images under the checkerboard of a transposed convolution gone wrong."""
    images = draw(pool, count, rng)
    rows, columns = np.indices(pool.shape[1:])
    graph = (rows + columns) % 2 == 0
    if pool.dtype == np.bool_:
        return images ^ graph
    return (0.5 * images + 0.5 * graph).astype(pool.dtype)


def draw(pool: Images, count: int, rng: np.random.Generator) -> Images:
    """Images of the pool as they are: exact copies, or fresh ones where the pool is fresh."""
    return pool[rng.choice(len(pool), count, replace=count > len(pool))]


def jittered(images: Images, rng: np.random.Generator) -> Images:
    """Shifted by up to 2 pixels; masks with a slightly displaced edge, grey images with noise."""
    shifts = rng.integers(-SHIFT_PX, SHIFT_PX + 1, (len(images), 2))
    moved = np.stack(
        [np.roll(image, tuple(shift), (0, 1)) for image, shift in zip(images, shifts, strict=True)]
    )
    if images.dtype != np.bool_:
        noisy = moved + rng.normal(0, GREY_NOISE, moved.shape)
        return np.clip(noisy, 0, 1).astype(images.dtype)
    from scipy import ndimage

    field = ndimage.gaussian_filter(rng.normal(size=moved.shape), (0, 3, 3))
    field *= EDGE_PX / field.std()
    return signed_distance(moved) + field > 0


def mirrored(images: Images) -> Images:
    """Flipped along columns."""
    return images[:, :, ::-1]


def signed_distance(masks: Images) -> NDArray[np.float64]:
    """Distance to the edge in pixels, positive inside; n x H x W bool. An empty mask is far out."""
    from scipy import ndimage

    distances = []
    for mask in masks:
        inside = ndimage.distance_transform_edt(mask) - 0.5
        outside = ndimage.distance_transform_edt(~mask) - 0.5
        far = np.full(mask.shape, -float(max(mask.shape)))
        distances.append(np.where(mask, inside, -outside) if mask.any() else far)
    return np.stack(distances)


COLLAPSING: dict[str, Planted] = {
    "1 mode": partial(modes, k=1),
    "4 modes": partial(modes, k=4),
    "20 modes": partial(modes, k=20),
    "spread 0.3": partial(shrunken, share=0.3),
    "spread 0.5": partial(shrunken, share=0.5),
    "spread 0.7": partial(shrunken, share=0.7),
    "blank": blank,
    "checkerboard": checkerboard,
}
"""Planted failures that a verdict on collapse must catch."""

SUBTLE: dict[str, Planted] = {
    "50 modes": partial(modes, k=50),
    "100 modes": partial(modes, k=100),
    "spread 0.8": partial(shrunken, share=0.8),
    "spread 0.9": partial(shrunken, share=0.9),
}
"""Planted failures that show where the verdict's limit lies."""
