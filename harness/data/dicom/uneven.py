"""Volumes and masks of slices at uneven steps, brought to the even grid of their finest step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.dicom.geometry import Grid

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
    """A mask on `planes`, bool, on `grid`: between two slices, where the signed distance from the
    outline, linear from one to the other, is not negative.

    Beside a slice without the structure the outline is that of the other, half-way to it: what a
    contour stands for on slices at even steps.
    """
    made = np.zeros(grid.shape, np.bool_)
    if not mask.any():
        return made
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in ((0, 2), (0, 1)))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    size = np.linalg.norm(planes.affine[:3, 1:3], axis=0)
    distances: dict[int, NDArray[Any]] = {}
    for index, (lower, share) in enumerate(_between(planes, grid)):
        ends = mask[lower][box], mask[min(lower + 1, len(mask) - 1)][box]
        if share == 0 or not (ends[0].any() and ends[1].any()):
            made[index][box] = ends[int(share > 0.5)]
            continue
        for place, end in zip((lower, lower + 1), ends, strict=True):
            if place not in distances:
                distances[place] = _signed_distance(end, size)
        made[index][box] = distances[lower] * (1 - share) + distances[lower + 1] * share >= 0
    return made


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
    """mm from the outline, half a voxel off the nearest voxels; negative outside."""
    from scipy.ndimage import distance_transform_edt

    framed = np.pad(mask, 1)
    inside = distance_transform_edt(framed, sampling=size)
    outside = distance_transform_edt(~framed, sampling=size)
    return np.asarray((inside - outside)[1:-1, 1:-1])
