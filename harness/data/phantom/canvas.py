"""A CT volume that is painted organ by organ, each within the box that holds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from harness.data.phantom import head
from harness.data.phantom.levels import Box, Points, Vector, coverage
from harness.data.phantom.person import Person

FIELD_MM = 240.0
AIR_HU = -1000.0
EDGE_MM = 1.5
"""Width of a painted edge: partial volume."""


@dataclass(frozen=True)
class Lattice:
    """Voxel centres in patient mm, slices from foot to head.

    Attributes:
        z, y, x: places of slices, rows and columns.
    """

    z: Vector
    y: Vector
    x: Vector

    @classmethod
    def of(cls, slices: int, spacing_mm: tuple[float, float, float], lowest: float) -> Lattice:
        """A field of FIELD_MM about the middle, the first slice at `lowest`."""
        down, across = (_centred(size) for size in spacing_mm[1:])
        return cls(np.asarray(lowest + np.arange(slices) * spacing_mm[0], np.float64), down, across)

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.z), len(self.y), len(self.x)

    def points(self, part: tuple[slice, ...] = (slice(None),) * 3) -> Points:
        """Centres of a part, broadcasting to (slices, rows, columns)."""
        z, y, x = self.z[part[0]], self.y[part[1]], self.x[part[2]]
        return x[None, None, :], y[None, :, None], z[:, None, None]

    def part(
        self, low: Sequence[float] | Vector, high: Sequence[float] | Vector
    ) -> tuple[slice, slice, slice]:
        """Slices, rows and columns of a box with these corners (x, y, z) in patient mm."""
        z, y, x = (
            slice(int(np.searchsorted(axis, a)), int(np.searchsorted(axis, b, "right")))
            for axis, a, b in zip((self.z, self.y, self.x), low[::-1], high[::-1], strict=True)
        )
        return z, y, x


def _centred(size: float) -> Vector:
    count = max(round(FIELD_MM / size), 2)
    return np.asarray((np.arange(count) - (count - 1) / 2) * size, np.float64)


class Canvas:
    """The volume being painted.

    Attributes:
        hu: (slices, rows, columns) float64.
        points: head coordinates of the voxel centres, broadcasting to that shape.
        skin: level of the body there.
    """

    def __init__(self, person: Person, lattice: Lattice, rng: np.random.Generator) -> None:
        self.person, self.lattice = person, lattice
        self.hu: Vector = np.full(lattice.shape, AIR_HU)
        self.points: Points = person.to_head(lattice.points())
        self.skin = head.body(person, self.points)
        self._rng = rng

    def cover(
        self, level: Vector, value: float | Vector, part: tuple[slice, ...] = (slice(None),) * 3
    ) -> None:
        """Paint where `level`, of the part's shape, is above 0; `value` may be a whole volume."""
        inside = coverage(level, EDGE_MM)
        seen = self.hu[part]
        wanted = value[part] if isinstance(value, np.ndarray) else value
        seen += inside * (wanted - seen)

    def paint(
        self, shape: Callable[[Points], Vector], value: float | Vector, box: Box, share: float = 1.0
    ) -> None:
        """Paint a shape of head coordinates that lies within `box`; `share` below 1 glazes."""
        part = self._part(box)
        points = self.person.to_head(self.lattice.points(part))
        if not points[0].size:
            return
        before = self.hu[part].copy() if share < 1 else None
        self.cover(shape(points), value, part)
        if before is not None:
            self.hu[part] = before + share * (self.hu[part] - before)

    def pair(self, shape: Callable[[Points], Vector], value: float | Vector, box: Box) -> None:
        """Paint a shape with x outwards on both sides."""
        (inner, outer), *others = box
        self.paint(shape, value, box)
        mirrored = ((-outer, -inner), *others)
        self.paint(lambda p: shape((-p[0], p[1], p[2])), value, mirrored)  # type: ignore[arg-type]

    def texture(self, size_mm: float) -> Vector:
        """Smooth random field, spread 1, grains of about `size_mm`."""
        return self._grains((size_mm,) * 3)

    def noise(self, size_mm: float) -> Vector:
        """The same with slices that know nothing of each other."""
        return self._grains((0.0, size_mm, size_mm))

    def blurred(self, size_mm: float) -> Vector:
        """The volume behind a point spread of `size_mm` in the plane."""
        sigma = self._in_voxels((0.0, size_mm, size_mm))
        return np.asarray(ndimage.gaussian_filter(self.hu, sigma, mode="nearest"), np.float64)

    def _grains(self, size_mm: tuple[float, ...]) -> Vector:
        field = self._rng.standard_normal(self.lattice.shape)
        grains = ndimage.gaussian_filter(field, self._in_voxels(size_mm), mode="wrap", truncate=3)
        return np.asarray(grains / max(float(grains.std()), 1e-9), np.float64)

    def _in_voxels(self, size_mm: tuple[float, ...]) -> list[float]:
        axes = (self.lattice.z, self.lattice.y, self.lattice.x)
        steps = [float(axis[1] - axis[0]) if len(axis) > 1 else np.inf for axis in axes]
        return [size / step for size, step in zip(size_mm, steps, strict=True)]

    def _part(self, box: Box) -> tuple[slice, ...]:
        low, high = self.person.bounds(box)
        return self.lattice.part(low - 2 * EDGE_MM, high + 2 * EDGE_MM)


def finish(hu: Vector) -> NDArray[np.int16]:
    """What a scanner stores."""
    return np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
