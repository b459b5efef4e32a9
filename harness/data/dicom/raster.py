"""Closed planar contours to a mask.

Rule: a voxel is inside if its centre is enclosed by an odd number of the contours of its slice
(holes, islands and keyholes follow), after exact repeats of a contour were dropped. Where contours
of several planes are nearest to one slice, the nearest plane alone is drawn. A centre on an
edge belongs to the side toward the patient's back, left and head (half-open), so that two regions
that share an edge share no voxel, and the same voxels written in another order give the same mask.
Coordinates are rounded to 1e-4 voxel first, which decides such cases alike on every machine.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.base.text import some
from harness.data.dicom.geometry import Grid, Vector, reorient

DECIMALS = 4  # of a voxel
PLANAR = 0.25  # slices, half the largest spread of a contour that still lies in an image plane
ON_PLANE = 0.5  # slices, farthest that a contour may lie from the slice it is drawn on
SAME_PLANE = 0.05  # slices, contours of one plane agree to this
SAME_POINT_MM = 1e-3  # repeats of a contour agree to this
AT_ONCE = 2**20  # crossings of edges and rows computed at once; bounds the memory


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
        bare: slices without a contour between the first and the last that have one.
    """

    mask: NDArray[np.bool_]
    drawn: int
    repeats: int
    off_image: int
    off_plane: int
    between: int
    bare: int = 0

    @property
    def notes(self) -> list[str]:
        """What was left out, in words."""
        counts = {
            "repeated contours dropped": self.repeats,
            "contours on planes without an image left out": self.off_image,
            "contours outside image planes left out": self.off_plane,
            "contours between slices left out": self.between,
            "slices between its contours without any": self.bare,
        }
        return [some(count, what) for what, count in counts.items() if count]


def draw(contours: Sequence[Vector], grid: Grid) -> Drawn:
    """Rasterise closed contours, each (n, 3) in LPS mm with n >= 3, on a grid."""
    upright, axes, flips = _upright(grid)
    drawn = _draw(contours, upright)
    # `axes` swaps or keeps, so turning back is turning again, with the flips of the other place.
    back = reorient(drawn.mask, axes, [flips[axis] for axis in axes])
    return replace(drawn, mask=back)


def _upright(grid: Grid) -> tuple[Grid, tuple[int, int, int], tuple[bool, bool, bool]]:
    """The grid with every axis toward back, left or head, rows and columns in one order.

    Returns:
        That grid, and the axes and flips that `reorient` takes.
    """
    directions = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    nearest = np.abs(directions).argmax(axis=0)
    axes = (0, 1, 2) if nearest[1] >= nearest[2] else (0, 2, 1)
    a, b, c = (bool(directions[nearest[axis], axis] < 0) for axis in axes)
    return grid.turned(axes, (a, b, c)), axes, (a, b, c)


def _draw(contours: Sequence[Vector], grid: Grid) -> Drawn:
    """Of an upright grid."""
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
        for index, contours_there in placed_on.items()
        for points in _nearest_plane(contours_there, index)
    ]
    mask = _fill(np.concatenate(edges), grid.shape) if edges else np.zeros(grid.shape, np.bool_)
    between = sum(len(contours_there) for contours_there in placed_on.values()) - len(edges)
    bare = max(placed_on) - min(placed_on) + 1 - len(placed_on) if placed_on else 0
    repeats = len(contours) - len(kept)
    return Drawn(mask, len(edges), repeats, off_image, off_plane, between, bare)


def _nearest_plane(contours: Sequence[tuple[float, Vector]], index: int) -> list[Vector]:
    """Of the contours placed on a slice, those of the plane nearest to it."""
    nearest = min((level for level, _ in contours), key=lambda level: (abs(level - index), level))
    return [points for level, points in contours if abs(level - nearest) <= SAME_PLANE]


def _distinct(contours: Sequence[Vector]) -> list[Vector]:
    """Contours without exact repeats: same edges, from any point and in any direction."""
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
    """Equal for equal rings whatever their first point and direction: their edges, sorted.

    Rings of the same edges enclose the same, so no more need be alike; and a ring that passes its
    points many times is no harder than another.
    """
    following = np.roll(points, -1, axis=0)
    apart = following - points
    first = np.where(apart[:, 0] != 0, apart[:, 0], np.where(apart[:, 1] != 0, *apart.T[1:]))
    backwards = (first < 0)[:, None]
    edges = np.hstack([np.where(backwards, following, points), np.where(backwards, -apart, apart)])
    return hashlib.sha256(edges[np.lexsort(edges.T)].tobytes()).digest()


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
    crossing = last > first
    edges, first, last = edges[crossing], first[crossing], last[crossing]
    if not len(edges):
        return mask
    for part in _parts(last - first):
        _toggle(mask, edges[part], first[part], last[part])
    slices = edges[:, 0].astype(np.int64)
    left = max(math.floor(edges[:, [2, 4]].min()) - 1, 0)
    box = mask[slices.min() : slices.max() + 1, first.min() : last.max(), left:]
    np.bitwise_xor.accumulate(box, axis=2, out=box)
    return mask


def _parts(rows: NDArray[np.int64]) -> list[slice]:
    """Edges in parts that cross about `AT_ONCE` rows each."""
    ends = np.cumsum(rows)
    starts = np.flatnonzero(np.diff(ends // AT_ONCE, prepend=0))
    borders = [0, *(starts + 1).tolist(), len(rows)]
    return [slice(a, b) for a, b in itertools.pairwise(borders) if a < b]


def _toggle(
    mask: NDArray[np.bool_], edges: Vector, first: NDArray[np.int64], last: NDArray[np.int64]
) -> None:
    """Flip the first voxel at or after each crossing of an edge with a row."""
    count = last - first
    which = np.repeat(np.arange(len(edges)), count)
    starts = np.concatenate([[0], np.cumsum(count)[:-1]])
    rows = first[which] + np.arange(len(which)) - starts[which]
    level, top, left, bottom, right = edges[which].T
    crossing = left + (rows - top) * (right - left) / (bottom - top)
    columns = np.ceil(np.round(crossing, DECIMALS + 2))
    inside = columns < mask.shape[2]
    columns = np.maximum(columns[inside], 0).astype(np.int64)
    voxels = (level[inside].astype(np.int64), rows[inside], columns)
    np.bitwise_xor.at(mask.reshape(-1), np.ravel_multi_index(voxels, mask.shape), True)


def repeat_tolerance(grid):
    return 0.25 * float(np.linalg.norm(grid.affine[:3, 1]))


def near_repeat(first, second, tolerance_mm):
    return len(first) == len(second) and bool(np.abs(first - second).max() < tolerance_mm)
