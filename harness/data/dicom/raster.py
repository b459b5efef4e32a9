"""Closed planar contours to a mask.

Rule: a voxel is inside if its centre is enclosed by an odd number of the contours of its slice
(holes, islands and keyholes follow), after exact repeats of a contour were dropped. Where contours
of several planes are nearest to one slice, the nearest plane alone is drawn. A centre on an
edge belongs to the side of higher indices (half-open), so that two regions that share an edge
share no voxel. Coordinates are rounded to 1e-4 voxel first, which decides such cases alike on
every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.dicom.geometry import Grid, Vector

DECIMALS = 4  # of a voxel
PLANAR = 0.25  # slices, half the largest spread of a contour that still lies in an image plane
ON_PLANE = 0.5  # slices, farthest that a contour may lie from the slice it is drawn on
SAME_PLANE = 0.05  # slices, contours of one plane agree to this
SAME_POINT_MM = 1e-3  # repeats of a contour agree to this


@dataclass(frozen=True)
class Drawn:
    """A mask and what could not be drawn.

    Attributes:
        mask: bool, shape of the grid.
        drawn: contours that made it.
        repeats: exact repeats that were dropped.
        off_image: contours on planes without an image.
        off_plane: contours that do not lie in an image plane.
        between: contours between slices, farther from theirs than another plane's.
    """

    mask: NDArray[np.bool_]
    drawn: int
    repeats: int
    off_image: int
    off_plane: int
    between: int


def draw(contours: Sequence[Vector], grid: Grid) -> Drawn:
    """Rasterise closed contours, each (n, 3) in LPS mm with n >= 3, on a grid."""
    kept = _distinct(contours)
    placed_on: dict[int, list[tuple[float, Vector]]] = {}
    off_image = off_plane = 0
    for contour in kept:
        placed = np.round(grid.indices(contour), DECIMALS)
        level = float(placed[:, 0].mean())
        if np.ptp(placed[:, 0]) > 2 * PLANAR:
            off_plane += 1
        elif not -ON_PLANE <= level <= grid.shape[0] - 1 + ON_PLANE:
            off_image += 1
        else:
            index = min(max(math.floor(level + 0.5), 0), grid.shape[0] - 1)
            placed_on.setdefault(index, []).append((level, placed[:, 1:]))
    edges = [
        _edges(points, index)
        for index, found in placed_on.items()
        for points in _nearest_plane(found, index)
    ]
    mask = _fill(np.concatenate(edges), grid.shape) if edges else np.zeros(grid.shape, np.bool_)
    between = sum(len(found) for found in placed_on.values()) - len(edges)
    return Drawn(mask, len(edges), len(contours) - len(kept), off_image, off_plane, between)


def _nearest_plane(found: Sequence[tuple[float, Vector]], index: int) -> list[Vector]:
    """Of the contours placed on a slice, those of the plane nearest to it."""
    nearest = min((level for level, _ in found), key=lambda level: (abs(level - index), level))
    return [points for level, points in found if abs(level - nearest) <= SAME_PLANE]


def _distinct(contours: Sequence[Vector]) -> list[Vector]:
    """Contours without exact repeats: same points in any rotation and direction."""
    seen, kept = set(), []
    for contour in contours:
        points = np.round(contour / SAME_POINT_MM).astype(np.int64)
        moves = (points != np.roll(points, 1, axis=0)).any(1)  # the closing point does not
        key = _ring_key(points[moves] if moves.any() else points[:1])
        if key not in seen:
            seen.add(key)
            kept.append(contour)
    return kept


def _ring_key(points: NDArray[np.int64]) -> bytes:
    """Equal for equal rings whatever their first point and direction."""
    least = points[np.lexsort(points.T[::-1])[0]]  # a keyhole may pass it twice
    rings = [np.roll(points, -start, axis=0) for start in np.flatnonzero((points == least).all(1))]
    rings += [np.roll(ring[::-1], 1, axis=0) for ring in rings]
    return min(ring.tobytes() for ring in rings)


def _edges(points: Vector, index: int) -> Vector:
    """(n, 5): slice, row and column of the start, row and column of the end."""
    level = np.full((len(points), 1), float(index))
    return np.concatenate([level, points, np.roll(points, -1, axis=0)], axis=1)


def _fill(edges: Vector, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Even-odd over all edges at once: each edge toggles the voxels right of it, row by row."""
    mask = np.zeros(shape, np.bool_)
    upward = edges[:, 1] > edges[:, 3]
    edges[upward] = edges[upward][:, [0, 3, 4, 1, 2]]
    first = np.clip(np.ceil(edges[:, 1]), 0, shape[1]).astype(np.int64)
    last = np.clip(np.ceil(edges[:, 3]), 0, shape[1]).astype(np.int64)
    count = last - first
    if not count.sum():
        return mask
    which = np.repeat(np.arange(len(edges)), count)
    starts = np.concatenate([[0], np.cumsum(count)[:-1]])
    rows = first[which] + np.arange(len(which)) - starts[which]
    _, top, left, bottom, right = edges[which].T
    crossing = left + (rows - top) * (right - left) / (bottom - top)
    columns = np.clip(np.ceil(np.round(crossing, DECIMALS + 2)), 0, shape[2]).astype(np.int64)
    slices = edges[which, 0].astype(np.int64)
    box = [(int(values.min()), int(values.max()) + 1) for values in (slices, rows, columns)]
    size = [end - begin for begin, end in box]
    places = [
        values - begin for values, (begin, _) in zip((slices, rows, columns), box, strict=True)
    ]
    flat = np.ravel_multi_index(tuple(places), tuple(size))
    toggles = np.bincount(flat, minlength=size[0] * size[1] * size[2]).reshape(size)
    inside = (np.cumsum(toggles, axis=2, dtype=np.int32) & 1).astype(np.bool_)
    (s0, s1), (r0, r1), (c0, c1) = box
    mask[s0:s1, r0:r1, c0 : min(c1, shape[2])] = inside[:, :, : shape[2] - c0]
    return mask
