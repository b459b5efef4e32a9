"""A phantom as a CT volume with the outlines of its organs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.measure import find_contours

from harness.base.rng import generator
from harness.data.phantom import head
from harness.data.phantom.canvas import Canvas, Lattice, finish
from harness.data.phantom.gland import Gland, fit_gland
from harness.data.phantom.levels import Vector
from harness.data.phantom.person import SIDES, Person, draw_person
from harness.data.phantom.tissues import paint_patient, streaks

ANATOMY_VERSION = 1
"""Raised when the same config would give other voxels or contours."""

BLUR_MM = 0.75
"""Standard deviation of the scanner's point spread in the plane."""

OUTLINE_MM = 1.0
"""Cells of the grid on which glands are outlined."""

LEAST_POINTS = 3
LEAST_FREE = 1
"""Gland-free slices at both ends, where the scan is long enough."""

HEAD_END_MM = 40.0
"""How far a long scan goes beyond the glands' level; the rest shows neck and shoulders."""


@dataclass(frozen=True)
class Anatomy:
    """One phantom.

    Attributes:
        person, lattice: who it is and where voxels lie.
        hu: int16 (slices, rows, columns); foot to head, front to back, right to left.
        glands: by side.
        skin: level of the body at voxel centres.
    """

    person: Person
    lattice: Lattice
    hu: NDArray[np.int16]
    glands: dict[str, Gland]
    skin: Vector

    def masks(self) -> dict[str, NDArray[np.bool_]]:
        """Glands at voxel centres, by structure name."""
        masks = {}
        for side, gland in self.glands.items():
            part = self.lattice.part(gland.low, gland.high)
            masks[f"parotid_{side}"] = np.zeros(self.lattice.shape, np.bool_)
            masks[f"parotid_{side}"][part] = gland.level(self.lattice.points(part)) > 0
        return masks

    def contours(self) -> dict[str, list[Vector]]:
        """Closed outlines, each (n, 3) in patient mm, by structure name."""
        contours = {f"parotid_{side}": _around(self, gland) for side, gland in self.glands.items()}
        points = self.person.to_head(self.lattice.points())
        axes = self.lattice.y, self.lattice.x
        for name, level, thin in (
            ("mandible", head.mandible(points), 2),
            ("spinal_cord", head.cord(points), 2),
            ("external", self.skin, 4),
        ):
            contours[name] = list(_outlines(level, self.lattice.z, axes, thin))
        return contours


def _around(anatomy: Anatomy, gland: Gland) -> list[Vector]:
    """A gland's outlines, on a grid of their own."""
    across, down = (np.arange(gland.low[a], gland.high[a], OUTLINE_MM) for a in (0, 1))
    z = anatomy.lattice.z[anatomy.lattice.part(gland.low, gland.high)[0]]
    level = gland.level((across[None, None, :], down[None, :, None], z[:, None, None]))
    return list(_outlines(level, z, (down, across), 2))


def _outlines(
    levels: Vector, z: Vector, axes: tuple[Vector, Vector], thin: int
) -> Iterator[Vector]:
    """Zero lines of each slice's level as rings in mm, closed along the edge of the grid.

    Args:
        levels: (slices, rows, columns); z, axes: where they lie.
        thin: keep every n-th point.
    """
    rows, columns = ((axis[0], axis[1] - axis[0]) for axis in axes)
    for height, level in zip(z, levels, strict=True):
        if not (level > 0).any():
            continue
        padded = np.pad(level, 1, constant_values=min(-1e-3, float(level.min())))
        for line in find_contours(padded, 0.0):
            ring = line[:-1:thin] - 1
            if len(ring) >= LEAST_POINTS:
                x, y = columns[0] + ring[:, 1] * columns[1], rows[0] + ring[:, 0] * rows[1]
                yield np.column_stack([x, y, np.full(len(ring), height)])


def make_anatomy(
    seed: int, index: int, slices: int, spacing_mm: tuple[float, float, float]
) -> Anatomy:
    """Phantom `index` of a seed; the same whatever else is made.

    Args:
        seed, index: who.
        slices: how many, at `spacing_mm` (slice distance, row, column).
    """
    person = draw_person(seed, index, max(slices - 2, 0.5) * spacing_mm[0])
    glands = {side: fit_gland(person, side) for side in SIDES}
    rng = generator(seed, "phantom", index, "scan")
    lowest = _lowest(glands, slices, spacing_mm[0], float(rng.uniform(-1, 1)))
    lattice = Lattice.of(slices, spacing_mm, lowest)
    canvas = Canvas(person, lattice, rng)
    paint_patient(canvas, glands)
    canvas.hu += streaks(canvas)
    hu = canvas.blurred(BLUR_MM) + person.noise_hu * canvas.noise(BLUR_MM)
    return Anatomy(person, lattice, finish(hu), glands, canvas.skin)


def _lowest(glands: dict[str, Gland], slices: int, step: float, luck: float) -> float:
    """Height of the first slice: glands near the middle, both ends free of them."""
    low = min(gland.low[2] for gland in glands.values())
    high = max(gland.high[2] for gland in glands.values())
    extent = (slices - 1) * step
    room = max((extent - (high - low)) / 2 - LEAST_FREE * step, 0.0)
    above = min(room, HEAD_END_MM - (high - low) / 2) if extent > 2 * HEAD_END_MM else room
    top = (low + high) / 2 + extent / 2 + min(luck * min(room, 8.0), above)
    if extent > 2 * HEAD_END_MM:
        top -= extent / 2 - HEAD_END_MM
    return top - extent
