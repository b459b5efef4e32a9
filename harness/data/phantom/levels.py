"""Shapes as level functions: about the distance to the surface in mm, positive inside.

All work on points, three arrays (x, y, z) that broadcast together. Shapes combine by the larger
(union) and the smaller (intersection) of their levels.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Points = tuple[Vector, Vector, Vector]
Triple = tuple[float, float, float]
Range = tuple[float, float]
Box = tuple[Range, Range, Range]


def ellipsoid(points: Points, centre: Triple, radii: Triple, turn: float = 0.0) -> Vector:
    """An ellipsoid, turned about z by `turn` radians; the distance is exact to first order."""
    x, y, z = (p - c for p, c in zip(points, centre, strict=True))
    return _level((*turned(x, y, turn), z), radii)


def ellipse(
    points: Points, centre: tuple[float | Vector, float | Vector], radii: tuple[float, float]
) -> Vector:
    """An elliptic column along z; its centre may vary with the points."""
    return _level((points[0] - centre[0], points[1] - centre[1]), radii)


def _level(offsets: tuple[Vector, ...], radii: tuple[float, ...]) -> Vector:
    scaled = [offset / radius for offset, radius in zip(offsets, radii, strict=True)]
    reach = np.sqrt(sum(s * s for s in scaled))
    slope = np.sqrt(sum((s / r) ** 2 for s, r in zip(scaled, radii, strict=True)))
    return np.asarray(reach * (1 - reach) / np.maximum(slope, 1e-6), np.float64)


def parabola(points: Points, front: float, depth: float, half_width: float) -> Vector:
    """Distance from an arch open to the back: at `front` on the midline, `half_width` wide on
    both sides `depth` further back; positive between its arms."""
    x, y, _ = points
    slope = 2 * depth * x / half_width**2
    return np.asarray(
        (y - front - depth * (x / half_width) ** 2) / np.sqrt(1 + slope * slope), np.float64
    )


def turned(x: Vector, y: Vector, angle: float) -> tuple[Vector, Vector]:
    """In-plane coordinates in axes turned by `angle` radians."""
    if not angle:
        return x, y
    cos, sin = np.cos(angle), np.sin(angle)
    return cos * x + sin * y, cos * y - sin * x


def step(value: Vector, width: float) -> Vector:
    """Logistic step from 0 to 1 about 0."""
    return np.asarray(1 / (1 + np.exp(-np.clip(value / width, -40, 40))), np.float64)


def blend(first: Vector, second: Vector, width: float) -> Vector:
    """Union with a fillet of about `width` mm."""
    near = np.maximum(width - np.abs(first - second), 0) / width
    return np.asarray(np.maximum(first, second) + near * near * width / 4, np.float64)


def between(value: Vector, low: float, high: float) -> Vector:
    """A slab."""
    return np.minimum(value - low, high - value)


def everything(*levels: Vector) -> Vector:
    """Intersection."""
    return reduce(np.minimum, levels)


def coverage(level: Vector, edge_mm: float) -> Vector:
    """Share of a voxel that lies inside, for an edge that is `edge_mm` wide."""
    return np.clip(level / edge_mm + 0.5, 0, 1)
