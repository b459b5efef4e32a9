"""Closed rings of points as lines: how far apart two run, and whether they are one.

Lines are compared by points along them, a tolerance apart: one that is nearer to a line than the
tolerance is always found so, one that is 12 % farther never.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from harness.data.dicom.geometry import Grid, Vector

SHARE = 0.5  # of a voxel's shortest edge, within which two rings are one
MOST_POINTS = 2**16  # along a line: tens of metres of contour, which no body has


def tolerance_mm(grid: Grid) -> float:
    """How far two rings may run apart and be one: half of the shortest edge of a voxel.

    Coordinates rounded to steps as long as a voxel's edge move by 0.7 of it at most, rounded to
    half of that by 0.35. What lies between lines that are nearer than half an edge holds the
    centres of some voxels and not of their neighbours: no mask could show it.
    """
    return SHARE * float(np.linalg.norm(grid.affine[:3, :3], axis=0).min())


def near_repeat(first: Vector, second: Vector, tolerance_mm: float) -> bool:
    """Whether two closed rings are one but for rounding, resampling, first point and direction.

    Every point of each lies within the tolerance of the other's edges, and the gap between them is
    less than half the tolerance in the mean, inside less outside: rounding goes to and fro, while
    the two outlines of a thin wall keep their distance.

    Args:
        first, second: (n, 3), LPS mm.
        tolerance_mm: as of `tolerance_mm`.
    """
    apart = np.abs([first.min(0) - second.min(0), first.max(0) - second.max(0)])
    if apart.max() > tolerance_mm or _gap(first, second) > tolerance_mm / 2:
        return False
    one, other = (points_along(ring, tolerance_mm) for ring in (first, second))
    if one is None or other is None:
        return False
    return not (_far(one, other, tolerance_mm).any() or _far(other, one, tolerance_mm).any())


def far(points: Vector, ring: Vector, tolerance: float) -> NDArray[np.bool_]:
    """Which of the points (k, d) are farther than that from the edges of a ring (n, d)."""
    line = points_along(ring, tolerance)
    return np.ones(len(points), np.bool_) if line is None else _far(points, line, tolerance)


def _far(points: Vector, line: Vector, tolerance: float) -> NDArray[np.bool_]:
    from scipy.spatial import KDTree  # slow to load, and phantoms need none

    tree = KDTree(line, compact_nodes=False, balanced_tree=False)
    nearest, _ = tree.query(points, distance_upper_bound=tolerance * math.hypot(1, 0.5))
    return np.isinf(nearest)


def points_along(ring: Vector, step: float) -> Vector | None:
    """Points of a ring's edges, no farther apart than a step; None if they are too many."""
    along = np.roll(ring, -1, axis=0) - ring
    count = np.maximum(np.ceil(np.linalg.norm(along, axis=1) / step), 1)
    if count.sum() > MOST_POINTS:
        return None
    pieces = count.astype(np.int64)
    which = np.repeat(np.arange(len(ring)), pieces)
    place = np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return np.asarray(ring[which] + along[which] * (place / pieces[which])[:, None])


def _gap(first: Vector, second: Vector) -> float:
    """Between two rings that run along each other, in the mean, by their areas."""
    (area, length), (other_area, other_length) = _measured(first), _measured(second)
    return abs(area - other_area) / max(length, other_length, 1e-9)


def _measured(ring: Vector) -> tuple[float, float]:
    """Area and length; what a ring goes around backwards counts less."""
    following, centred = np.roll(ring, -1, axis=0), ring - ring[0]
    area = np.linalg.norm(np.cross(centred, following - ring[0]).sum(0)) / 2
    return float(area), float(np.linalg.norm(following - ring, axis=1).sum())


def loops(ring: Vector) -> list[Vector]:
    """A ring cut where it comes back to one of its points: the outside and the hole of a keyhole.

    Cut-off loops of less than three points enclose nothing and are left out.
    """
    path: list[int] = []
    place: dict[tuple[float, ...], int] = {}
    found = []
    points = [tuple(point) for point in ring.tolist()]
    for index, point in enumerate(points):
        if point in place:
            cut = path[place[point] :]
            del path[place[point] + 1 :]
            for passed in cut[1:]:
                del place[points[passed]]
            found.append(cut)
        else:
            place[point] = len(path)
            path.append(index)
    return [ring[cut] for cut in (*found, path) if len(cut) >= 3]
