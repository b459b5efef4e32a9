"""Closed planar contours to a mask.

Rule: a voxel is inside if its centre is enclosed by an odd number of the contours of its slice
(holes, islands and keyholes follow), after repeats of a contour were dropped; or, if asked, by any
contour. Where contours of several planes are nearest to one slice, the nearest plane alone is
drawn. A centre on an edge belongs to the side toward the patient's back, left and head (half-open),
so that two regions that share an edge share no voxel, and the same voxels written in another order
give the same mask. Coordinates are rounded to 1e-4 voxel first, which decides such cases alike on
every machine.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.base.text import first_of, some
from harness.data.dicom import notes
from harness.data.dicom.geometry import Grid, Vector, reorient
from harness.data.dicom.overlaps import Plane, boxes_meet, overlap, overrun
from harness.data.dicom.rings import near_repeat, tolerance_mm
from harness.data.dicom.scanline import DECIMALS, Whole, boxes_of, enclosed, fill, within

PLANAR = 0.25  # slices, half the largest spread of a contour that still lies in an image plane
ON_PLANE = 0.5  # slices, farthest that a contour may lie from the slice it is drawn on
OFF_PLANE = 0.1  # slices, beyond which it is said
SAME_PLANE = 0.05  # slices, contours of one plane agree to this
SAME_POINT_MM = 1e-3  # exact repeats of a contour agree to this
SHOWN = 3  # slices that a note names
LONGEST = 2**16  # points of a ring that is looked at closely; no organ's has more

Overlap = Literal["xor", "union"]
Placed = tuple[float, Vector, Vector]  # level in slices; row and column in voxels; LPS mm


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
        near_repeats: repeats but for rounding that were dropped.
        off_slice, off_mm: drawn contours beside their slice, and how far the farthest lies.
        crossing: under "xor", slices where contours overlap in part (mm along the normal) -> what
            "union" would decide otherwise there, ml.
        overrun: slices where a contour runs over itself -> what it goes around twice, ml.
        united: under "union", what "xor" would leave out, ml; holes too.
    """

    mask: NDArray[np.bool_]
    drawn: int
    repeats: int
    off_image: int
    off_plane: int
    between: int
    bare: int = 0
    near_repeats: int = 0
    off_slice: int = 0
    off_mm: float = 0.0
    crossing: Mapping[float, float] = field(default_factory=dict)
    overrun: Mapping[float, float] = field(default_factory=dict)
    united: float = 0.0

    @property
    def notes(self) -> list[str]:
        """What was left out and what is in doubt, in words; `notes.at_stake` tells the latter."""
        counts = {
            "repeated contours dropped": self.repeats,
            "nearly repeated contours dropped": self.near_repeats,
            f"contours {notes.NO_IMAGE}": self.off_image,
            f"contours {notes.ACROSS}": self.off_plane,
            f"contours {notes.BETWEEN}": self.between,
            f"slices {notes.BARE}": self.bare,
        }
        return [*(some(count, what) for what, count in counts.items() if count), *self._doubts()]

    def _doubts(self) -> Iterator[str]:
        if self.off_slice:
            all_of = self.off_slice == self.drawn
            said = some(self.drawn, "contours lie up to")
            said = f"all {said}" if all_of else f"{self.off_slice} of {said}"
            yield f"{said} {self.off_mm:.2f} mm {notes.OFF_SLICES}"
        if self.crossing:
            yield (
                f"on {_slices(self.crossing)} some {notes.CROSS}: {_ml(self.crossing)} ml that two "
                "of them enclose is left out; data.dicom.overlap: union takes it"
            )
        if self.overrun:
            yield (
                f"on {_slices(self.overrun)} some {notes.OVERRUN}: {_ml(self.overrun)} ml that one "
                "goes around twice is left out; draw them again"
            )
        if self.united:
            yield f"{self.united:.2f} ml that two of its contours enclose is taken, holes too"


def _slices(stakes: Mapping[float, float]) -> str:
    levels = [f"{level:.2f} mm" for level in sorted(stakes)]
    return f"{some(len(levels), 'slices')} (at {first_of(levels, SHOWN)})"


def _ml(stakes: Mapping[float, float]) -> str:
    return f"{sum(stakes.values()):.2f}"


EMPTY = "its contours enclose no voxel of the CT series"
NO_VOXEL = "contours must enclose voxels of the CT series, but none does"


def draw(contours: Sequence[Vector], grid: Grid, overlap: Overlap = "xor") -> Drawn:
    """Rasterise closed contours, each (n, 3) in LPS mm with n >= 3, on a grid.

    Args:
        overlap: "xor" takes a voxel that an odd number of contours encloses; "union" one that any
            encloses, which fills holes that are contours of their own.
    """
    upright, axes, flips = _upright(grid)
    drawn = _draw(contours, upright, overlap)
    # `axes` swaps or keeps, so turning back is turning again, with the flips of the other place.
    back = reorient(drawn.mask, axes, [flips[axis] for axis in axes])
    levels = _levels_mm(grid)[:: -1 if flips[0] else 1]
    crossing, over = (
        {float(levels[int(index)]): ml for index, ml in stakes.items()}
        for stakes in (drawn.crossing, drawn.overrun)
    )
    return replace(drawn, mask=back, crossing=crossing, overrun=over)


def encloses(contours: Sequence[Vector], grid: Grid) -> bool:
    """Whether `draw` takes a voxel; the contour in the middle, which says so at once of nearly all,
    comes first."""
    middle = len(contours) // 2
    tried = (contours[middle : middle + 1], contours)
    return any(bool(draw(some_of, grid).mask.any()) for some_of in tried)


def _levels_mm(grid: Grid) -> Vector:
    """Where each slice lies along the normal, as messages about a series say it."""
    step, rows, columns = grid.affine[:3, :3].T
    normal = np.cross(columns, rows)
    normal = normal / np.linalg.norm(normal)
    levels = np.arange(grid.shape[0]) if grid.levels is None else np.array(grid.levels)
    return np.asarray(grid.affine[:3, 3] @ normal + levels * (step @ normal))


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


def _draw(contours: Sequence[Vector], grid: Grid, overlap: Overlap) -> Drawn:
    """Of an upright grid; slices at stake by their index."""
    once = _distinct(contours)
    placed, off_image, off_plane = _placed(once, grid)
    on_slice: dict[int, list[Placed]] = {}
    for index, entry in zip(_nearest_slices(placed, grid.shape[0]), placed, strict=True):
        on_slice.setdefault(index, []).append(entry)
    nearest = {index: _nearest_plane(those, index) for index, those in on_slice.items()}
    kept = {index: _without_near_repeats(those, grid) for index, those in nearest.items()}
    rings = {index: [points for _, points, _ in those] for index, those in kept.items()}
    near = sum(map(len, nearest.values())) - sum(map(len, kept.values()))
    away = [abs(level - index) for index, those in kept.items() for level, _, _ in those]
    off = [distance for distance in away if distance > OFF_PLANE]
    mask, crossing, over, united = _filled(rings, grid, overlap)
    return Drawn(
        mask,
        drawn=len(away),
        repeats=len(contours) - len(once),
        off_image=off_image,
        off_plane=off_plane,
        between=len(placed) - len(away) - near,
        bare=max(kept) - min(kept) + 1 - len(kept) if kept else 0,
        near_repeats=near,
        off_slice=len(off),
        off_mm=max(off, default=0.0) * _step_mm(grid),
        crossing=crossing,
        overrun=over,
        united=united,
    )


def _step_mm(grid: Grid) -> float:
    """Between slices, along their normal."""
    return float(abs(np.linalg.det(grid.affine[:3, :3])) / _pixel_mm(grid).prod())


def _pixel_mm(grid: Grid) -> Vector:
    return np.asarray(np.linalg.norm(grid.affine[:3, 1:3], axis=0))


def _placed(contours: Sequence[Vector], grid: Grid) -> tuple[list[Placed], int, int]:
    """Contours that lie on slices; how many lie beyond the images, and how many across planes."""
    placed: list[Placed] = []
    off_image = off_plane = 0
    every = np.round(grid.indices(np.concatenate([np.empty((0, 3)), *contours])), DECIMALS)
    borders = np.cumsum([len(contour) for contour in contours])[:-1]
    for contour, points in zip(contours, np.split(every, borders) if contours else (), strict=True):
        level = float(points[:, 0].mean())
        if np.ptp(points[:, 0]) > 2 * PLANAR:
            off_plane += 1
        elif not -ON_PLANE <= level <= grid.shape[0] - 1 + ON_PLANE:
            off_image += 1
        else:
            placed.append((level, points[:, 1:], contour))
    return placed, off_image, off_plane


def _nearest_slices(placed: Sequence[Placed], count: int) -> list[int]:
    """The slice of each contour.

    Those half-way between two slices all go to one side: the one that puts fewer planes on one
    slice, then leaves fewer slices bare, then moves the whole of the contours less, then the head.
    """
    levels = np.array([level for level, _, _ in placed])
    below = np.floor(levels)
    half = np.abs(levels - below - 0.5) <= SAME_PLANE

    def toward(side: int) -> Whole:
        slices = np.where(half, below + side, np.floor(levels + 0.5))
        return np.clip(slices, 0, count - 1).astype(np.int64)

    def cost(slices: Whole) -> tuple[int, int, float]:
        moved = abs(float((slices - levels).mean()))
        return -len(np.unique(slices)), int(np.ptp(slices)), round(moved, 2)  # not by rounding

    return min((toward(1), toward(0)), key=cost).tolist() if half.any() else toward(1).tolist()


def _nearest_plane(placed: Sequence[Placed], index: int) -> list[Placed]:
    """Of the contours placed on a slice, those of the plane nearest to it."""
    nearest = min((entry[0] for entry in placed), key=lambda level: (abs(level - index), level))
    return [entry for entry in placed if abs(entry[0] - nearest) <= SAME_PLANE]


def _without_near_repeats(placed: Sequence[Placed], grid: Grid) -> list[Placed]:
    """The first of all contours of a plane that are one but for rounding."""
    if len(placed) < 2:
        return list(placed)
    apart = tolerance_mm(grid)
    boxes = np.array([[*contour.min(0), *contour.max(0)] for _, _, contour in placed])
    kept: list[int] = []
    for index, (_, _, contour) in enumerate(placed):
        alike = (np.abs(boxes[kept] - boxes[index]) <= apart).all(1)
        others = [placed[kept[place]][2] for place in np.flatnonzero(alike)]
        if not any(near_repeat(contour, other, apart) for other in others):
            kept.append(index)
    return [placed[index] for index in kept]


def _filled(
    rings: Mapping[int, Sequence[Vector]], grid: Grid, rule: Overlap
) -> tuple[NDArray[np.bool_], dict[float, float], dict[float, float], float]:
    """The mask; by slice what is at stake where contours cross and run over themselves, ml; and
    what a union adds."""
    every = [ring for those in rings.values() for ring in those]
    slices = [index for index, those in rings.items() for _ in those]
    mask, sums = fill(every, slices, grid.shape)
    boxes = boxes_of(every, grid.shape)
    voxel_ml = abs(float(np.linalg.det(grid.affine[:3, :3]))) / 1000
    crossing, over, united, end = {}, {}, 0, 0
    for index, those in rings.items():
        end += len(those)
        box, size = boxes[end - len(those) : end], np.abs(sums[end - len(those) : end])
        meet = len(those) > 1 and boxes_meet(box)
        drawn = np.count_nonzero(mask[index, box[:, 0].min() : box[:, 2].max()])
        if not meet and size.sum() == drawn:
            continue
        if rule == "xor" and max(map(len, those)) > LONGEST:
            twice = max(1, abs(int(size.sum()) - int(drawn)) // 2)
            over[float(index)] = twice * voxel_ml
            continue
        plane = Plane.of(those, grid.shape[1:], _pixel_mm(grid), tolerance_mm(grid))
        inside = [enclosed(*of) for of in zip(those, box, strict=True)]
        crossed = [n for n, of in enumerate(inside) if np.count_nonzero(of) != size[n]]
        if voxels := sum(overrun(plane, plane.rings[n]) for n in crossed):
            over[float(index)] = voxels * voxel_ml
        if rule == "union":
            united += _unite(mask[index], box, inside)
        elif meet and (shared := overlap(plane)) is not None:
            crossing[float(index)] = shared * voxel_ml
    return mask, crossing, over, united * voxel_ml


def _unite(mask: NDArray[np.bool_], boxes: Whole, inside: Sequence[NDArray[np.bool_]]) -> int:
    """Add to a slice what any ring encloses; returns how many voxels that adds."""
    before = np.count_nonzero(mask)
    for box, enclosed_there in zip(boxes, inside, strict=True):
        mask[within(box)] |= enclosed_there
    return int(np.count_nonzero(mask) - before)


def _distinct(contours: Sequence[Vector]) -> list[Vector]:
    """Contours without exact repeats: same edges, from any point and in any direction."""
    rings = [_moving(np.round(contour / SAME_POINT_MM).astype(np.int64)) for contour in contours]
    sums = [(len(ring), *ring.sum(0).tolist()) for ring in rings]  # alike for equal rings
    shared = Counter(sums)
    kept: dict[object, Vector] = {}
    for contour, ring, of in zip(contours, rings, sums, strict=True):
        kept.setdefault(_ring_key(ring) if shared[of] > 1 else of, contour)
    return list(kept.values())


def _moving(points: Whole) -> Whole:
    """Without points where the ring does not move, as its closing point."""
    moves = (points != points[np.arange(len(points)) - 1]).any(1)
    return points[moves] if moves.any() else points[:1]


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
