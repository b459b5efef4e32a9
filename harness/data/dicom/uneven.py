"""Volumes and masks of slices at uneven steps, brought to the even grid of their finest step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.dicom.geometry import Grid

DECIMALS = 9  # mm, distances are equal to these
ABOUT = 2.0  # voxels, about a voxel
TRIFLE_MM = 1e-3  # less than distances differ by
_NEAR = 1e-3  # steps; an even slice so near to a true one is that one


def even_volume(volume: NDArray[np.int16], planes: Grid, grid: Grid) -> NDArray[np.int16]:
    """Values (slices of `planes`, rows, columns) on `grid`, linear between neighbours."""
    made = np.empty(grid.shape, volume.dtype)
    for index, (lower, share) in enumerate(_between(planes, grid)):
        if share == 0:
            made[index] = volume[lower]
        else:
            made[index] = np.rint(volume[lower] * (1 - share) + volume[lower + 1] * share)
    return made


def even_mask(mask: NDArray[np.bool_], planes: Grid, grid: Grid) -> NDArray[np.bool_]:
    """A mask on `planes`, bool, on `grid`.

    Between two slices the area is linear from one to the other, as in the trapezoidal rule for the
    volume; the voxels are those of the largest signed distance from the outlines, linear, too.
    """
    made = np.zeros(grid.shape, np.bool_)
    if not mask.any():
        return made
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in ((0, 2), (0, 1)))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    size = np.linalg.norm(planes.affine[:3, 1:3], axis=0)
    distance_of = lru_cache(2)(lambda place: _signed_distance(mask[place][box], size))
    for index, (lower, share) in enumerate(_between(planes, grid)):
        if share == 0:
            made[index] = mask[lower]
            continue
        ends = [(lower, 1 - share), (lower + 1, share)]
        there = [(place, weight) for place, weight in ends if mask[place].any()]
        if there:
            area = sum(weight * np.count_nonzero(mask[place]) for place, weight in there)
            distance = sum(weight * distance_of(place) for place, weight in there)
            made[index][box] = _largest(np.asarray(distance), float(area))
    return made


def _largest(values: NDArray[np.float64], count: float) -> NDArray[np.bool_]:
    """The `count` largest values, or as near to that as those that are equal allow."""
    near = np.round(values, DECIMALS)
    place = near.size - max(round(count), 1)
    least = np.partition(near, place, axis=None)[place]
    above, with_equal = near > least, near >= least
    fewer = count - np.count_nonzero(above) < np.count_nonzero(with_equal) - count
    return above if fewer else with_equal


def _between(planes: Grid, grid: Grid) -> Iterator[tuple[int, float]]:
    """For each slice of the grid, the true slice below it, and the share of the one above."""
    for slice_mm in np.arange(grid.shape[0])[:, None] * grid.affine[:3, 0] + grid.affine[:3, 3]:
        place = float(planes.indices(slice_mm[None])[0, 0])
        nearest = round(place)
        if abs(place - nearest) < _NEAR:
            yield nearest, 0.0
        else:
            yield int(place), place - int(place)


def _signed_distance(mask: NDArray[np.bool_], size: NDArray[np.float64]) -> NDArray[Any]:
    """mm from the outline, negative outside; of equally distant voxels, those that have more of the
    mask about them are a trifle further in."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    framed = np.pad(mask, 1)
    about = gaussian_filter(framed.astype(np.float64), ABOUT, mode="constant")
    inside = distance_transform_edt(framed, sampling=size)
    outside = distance_transform_edt(~framed, sampling=size)
    return np.asarray((inside - outside + TRIFLE_MM * about)[1:-1, 1:-1])
