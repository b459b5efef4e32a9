"""Contours of one plane that overlap in part, and contours that run over themselves.

Even-odd is right for rings that lie inside or beside each other. Where two cross, it empties what
both enclose, and where one goes around a place twice, that place: whether that is meant, the
contours do not say. Lines nearer to each other than a tolerance are one line: shared edges, a hole
that touches its outside, the corridor of a keyhole cross nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from harness.data.dicom.geometry import Vector
from harness.data.dicom.rings import far, loops, near_repeat
from harness.data.dicom.scanline import Whole, boxes_of, enclosed, winding, within

Mask = NDArray[np.bool_]

MOST_LOOPS = 100  # of one ring that are looked at; no organ has more
MOST_COMPARED = 1000  # pairs of rings of a plane; beyond, all of them count as crossing


@dataclass(frozen=True)
class Plane:
    """The rings of a slice, cut to the box that holds them.

    Attributes:
        rings: (n, 2), row and column in voxels of the box.
        shape: rows, columns.
        pixel_mm: height and width of a pixel.
        tolerance_mm: within which lines are one.
    """

    rings: Sequence[Vector]
    shape: tuple[int, int]
    pixel_mm: Vector
    tolerance_mm: float

    @classmethod
    def of(
        cls, rings: Sequence[Vector], shape: tuple[int, int], pixel_mm: Vector, tolerance_mm: float
    ) -> Plane:
        [box] = boxes_of([np.concatenate(rings)], shape)
        rows, columns = (box[2:] - box[:2]).tolist()
        return cls([ring - box[:2] for ring in rings], (rows, columns), pixel_mm, tolerance_mm)

    def beyond(self, voxels: Whole, ring: Vector) -> bool:
        """Whether any of the voxels (k, 2) lies farther than the tolerance from a ring's edges."""
        return bool(far(voxels * self.pixel_mm, ring * self.pixel_mm, self.tolerance_mm).any())

    def follows(self, first: Vector, second: Vector) -> bool:
        """Whether two rings that are not one run along each other within twice the tolerance."""
        one, other = (np.pad(of * self.pixel_mm, ((0, 0), (0, 1))) for of in (first, second))
        return near_repeat(one, other, 2 * self.tolerance_mm)


def overlap(plane: Plane) -> int | None:
    """Voxels that even-odd and the union of rings that overlap in part decide differently; None
    where none do."""
    boxes = boxes_of(plane.rings, plane.shape)
    if not boxes_meet(boxes):
        return None
    masks = [enclosed(*of) for of in zip(plane.rings, boxes, strict=True)]
    crossing = sorted(_crossing(plane, boxes, masks))
    if not crossing:
        return None
    count = np.zeros(plane.shape, np.int64)
    for index in crossing:
        count[within(boxes[index])] += masks[index]
    return int(np.count_nonzero((count > 0) & (count % 2 == 0)))


def overrun(plane: Plane, ring: Vector) -> int:
    """Voxels that a ring of the plane goes around twice by crossing itself; not a keyhole's."""
    parts = loops(ring)
    if len(parts) > MOST_LOOPS:
        turns_of_all = winding(ring, plane.shape)
        return int(np.count_nonzero((turns_of_all != 0) & (turns_of_all % 2 == 0)))
    turns = [winding(part, plane.shape) for part in parts]
    twice = [np.argwhere((of != 0) & (of % 2 == 0)) for of in turns]
    crossed = sum(len(voxels) for voxels in twice if plane.beyond(voxels, ring))
    return crossed + (overlap(replace(plane, rings=parts)) or 0)


def boxes_meet(boxes: Whole) -> bool:
    """Whether any two of `boxes_of` share a voxel."""
    return any(bool(_meeting(boxes[:n], here).any()) for n, here in enumerate(boxes))


def _meeting(boxes: Whole, here: Whole) -> Mask:
    """Which of the boxes share a voxel with one."""
    return np.asarray(((here[:2] < boxes[:, 2:]) & (boxes[:, :2] < here[2:])).all(1))


def _crossing(plane: Plane, boxes: Whole, masks: Sequence[Mask]) -> set[int]:
    """Rings that overlap another in part, or follow it too closely to tell.

    Drawn from the largest to the smallest, each ring lies on one colour, that of the ring around
    it, unless it crosses a larger one: only then it is compared with each of those.
    """
    order = np.argsort([-np.count_nonzero(mask) for mask in masks], kind="stable")
    colours = np.zeros(plane.shape, np.int32)
    found: set[int] = set()
    compared = 0
    for rank, index in enumerate(order.tolist()):
        under = colours[within(boxes[index])][masks[index]]
        if not len(under):
            break
        others = [int(under[0]) - 1] if under[0] else []
        if (under != under[0]).any():
            larger = order[:rank]
            others = larger[_meeting(boxes[larger], boxes[index])].tolist()
        for other in others:
            if {index, other} <= found:
                continue
            compared += 1
            if compared > MOST_COMPARED:
                return set(range(len(masks)))
            if _cross(plane, (index, other), boxes, masks):
                found |= {index, other}
        colours[within(boxes[index])][masks[index]] = index + 1
    return found


def _cross(plane: Plane, pair: tuple[int, int], boxes: Whole, masks: Sequence[Mask]) -> bool:
    rings = [plane.rings[index] for index in pair]
    if plane.follows(rings[0], rings[1]):
        return True
    both = boxes[list(pair)]
    corner = np.tile(both[:, :2].min(0), 2)
    first, second = np.zeros((2, *(both[:, 2:].max(0) - corner[:2])), np.bool_)
    for index, whole in zip(pair, (first, second), strict=True):
        whole[within(boxes[index] - corner)] = masks[index]
    moved = [ring - corner[:2] for ring in rings]
    regions = first & second, first & ~second, second & ~first
    return all(_is_thick(plane, region, moved) for region in regions)


def _is_thick(plane: Plane, region: Mask, rings: Sequence[Vector]) -> bool:
    """Whether a region is more than what lies between two lines that are one."""
    voxels = np.argwhere(region)
    if not len(voxels):
        return False
    whole = bool(binary_erosion(region, np.ones((3, 3))).any())  # quick, and sure where it is so
    return whole or any(plane.beyond(voxels, ring) for ring in rings)
