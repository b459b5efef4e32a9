"""Where the voxels of a CT series lie: from position, orientation and pixel spacing alone.

SliceThickness, SliceLocation, InstanceNumber and file names are not trusted. Slices are ordered
along the normal of their common orientation. A tilted gantry moves each slice sideways: the affine
then has a sheared slice axis. Slices at uneven steps keep their true places in `Grid.levels`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.text import first_of

_T = TypeVar("_T", bound=np.generic)
Vector = NDArray[np.float64]

ORIENTATION_TOLERANCE = 1e-3  # largest difference of a direction cosine within a series
NEARLY = 0.1  # of a direction cosine: turned by less, slices are not of two orientations
SPACING_TOLERANCE = 1e-3  # mm, largest difference of pixel spacing within a series
SAME_PLACE_MM = 1e-2  # slices closer than this lie at one position
STEP_TOLERANCE = 0.05  # largest deviation from the median step, as a share of it
LEAST_STEP_TOLERANCE_MM = 0.02  # positions are written with two or three decimals
STRAIGHT = 0.25  # voxels, farthest that a slice may lie from the place that the grid gives it
DEFAULT_THICKNESS_MM = 1.0
MISSING_STEPS = 4.0  # a step this many times as wide as those beside it is a missing block
MISSING_MM = 20.0  # so is a wider one, among slices that are not evenly spaced
LEAST_STEP = 0.1  # of the widest step: slices that are nearer are of two volumes
LEAST_TURNS = 4  # steps, narrow and wide by turns throughout: so are these
MOST_NAMED = 5  # positions or files that one sentence names


@dataclass(frozen=True)
class Plane:
    """Geometry of one slice as its file gives it.

    Attributes:
        position: centre of the first voxel, LPS mm, (3,).
        along_columns, along_rows: unit vectors of growing column and growing row index, (3,).
        spacing: distance of rows and of columns, mm.
        shape: rows, columns.
        thickness: mm, None where not given; read for a series of one slice only.
        least_bytes: what the pixels take in the file at least, 0 where that is not known.
        file: number of its file, which messages name.
    """

    position: Vector
    along_columns: Vector
    along_rows: Vector
    spacing: tuple[float, float]
    shape: tuple[int, int]
    thickness: float | None = None
    least_bytes: int = 0
    file: int = 0

    @cached_property
    def level(self) -> float:
        """Where it lies along its normal, mm."""
        return float(self.position @ np.cross(self.along_columns, self.along_rows))

    def turn(self, other: Plane) -> float:
        """Largest difference of a direction cosine."""
        columns = np.abs(self.along_columns - other.along_columns).max()
        return float(max(columns, np.abs(self.along_rows - other.along_rows).max()))

    def is_like(self, other: Plane, turn: float = ORIENTATION_TOLERANCE) -> bool:
        """Whether both may be slices of one volume: orientation, size and pixel spacing."""
        wider = np.abs(np.subtract(self.spacing, other.spacing)).max()
        alike = wider <= SPACING_TOLERANCE and self.shape == other.shape
        return bool(alike and self.turn(other) <= turn)


@dataclass(frozen=True)
class Grid:
    """Slices of voxels, at even steps unless `levels` says otherwise.

    Attributes:
        affine: 4 x 4, voxel index (slice, row, column, 1) -> LPS mm; with `levels`, of the mean
            step.
        shape: slices, rows, columns.
        order: for each slice of the grid, its place among the planes it was made from.
        levels: slice index under `affine` of each slice, growing, first and last as if even; None
            where all are even.
    """

    affine: Vector
    shape: tuple[int, int, int]
    order: tuple[int, ...]
    levels: tuple[float, ...] | None = None

    def indices(self, points: Vector) -> Vector:
        """Points (n, 3) in LPS mm -> fractional (slice, row, column)."""
        inverse = np.linalg.inv(self.affine)
        found = np.asarray(points @ inverse[:3, :3].T + inverse[:3, 3], np.float64)
        if self.levels is not None:
            found[:, 0] = _among(found[:, 0], np.array(self.levels))
        return found

    def turned(self, axes: Sequence[int], flips: Sequence[bool]) -> Grid:
        """After `transpose(axes)`, which keeps the slices first, and flipping."""
        affine = reorient_affine(self.affine, self.shape, axes, flips)
        levels = self.levels
        if levels is not None and flips[0]:
            levels = tuple(self.shape[0] - 1 - level for level in reversed(levels))
        shape = self.shape[axes[0]], self.shape[axes[1]], self.shape[axes[2]]
        return Grid(affine, shape, self.order, levels)

    def steps_mm(self) -> Vector:
        """Distances of neighbouring slices along the slice axis."""
        levels = np.arange(self.shape[0]) if self.levels is None else np.array(self.levels)
        return np.diff(levels) * np.linalg.norm(self.affine[:3, 0])

    def even(self) -> Grid:
        """The grid of the finest step from the first to the last slice; itself where it is even."""
        if self.levels is None:
            return self
        steps = self.steps_mm()
        finest = float(np.median(steps[steps <= steps.min() + _allowed(steps.min())]))
        count = float(steps.sum()) / finest
        whole = abs(count - round(count)) <= STRAIGHT
        slices = (round(count) if whole else int(np.ceil(count))) + 1
        affine = self.affine.copy()
        affine[:3, 0] *= (self.shape[0] - 1) / (slices - 1)
        return Grid(affine, (slices, *self.shape[1:]), self.order)


def _among(places: Vector, levels: Vector) -> Vector:
    """Places along an axis as fractional indices of growing levels; outside, of the last step."""
    lower = np.clip(np.searchsorted(levels, places, side="right") - 1, 0, len(levels) - 2)
    return lower + (places - levels[lower]) / (levels[lower + 1] - levels[lower])


def make_grid(planes: Sequence[Plane]) -> Grid:
    """The grid of a series.

    Raises:
        DataError: slices differ in orientation, spacing or size, share a position, leave a block
            out or lie beside the line of the others; positions are named in mm along the normal,
            with the numbers of their files.
    """
    first = planes[0]
    if not all(plane.is_like(first) for plane in planes):
        raise DataError(
            "all slices of a series must have one orientation, size and pixel spacing, but they "
            "differ"
        )
    order = sorted(range(len(planes)), key=lambda index: planes[index].level)
    ordered = [planes[index] for index in order]
    check_distinct(ordered)
    positions = np.stack([plane.position for plane in ordered])
    affine = np.eye(4)
    if len(planes) == 1:
        normal = np.cross(first.along_columns, first.along_rows)
        affine[:3, 0] = normal * (first.thickness or DEFAULT_THICKNESS_MM)
    else:
        affine[:3, 0] = (positions[-1] - positions[0]) / (len(planes) - 1)
    affine[:3, 1] = first.along_rows * first.spacing[0]
    affine[:3, 2] = first.along_columns * first.spacing[1]
    affine[:3, 3] = positions[0]
    grid = Grid(affine, (len(planes), *first.shape), tuple(order))
    if not _is_even(grid, ordered):
        _check_gaps(ordered)
        grid = replace(grid, levels=tuple(grid.indices(positions)[:, 0].tolist()))
    _check_straight(grid, ordered)
    return grid


def check_distinct(planes: Sequence[Plane]) -> None:
    """Raises a `DataError` where two of the planes, in order of their levels, share a position."""
    steps = np.diff([plane.level for plane in planes])
    same = np.flatnonzero(steps < SAME_PLACE_MM).tolist()
    if same:
        raise DataError(
            "each slice of a series must have a position of its own, but got two at "
            f"{_listed([planes[index] for index in same])} mm "
            f"({_files([planes[index + more] for index in same for more in (0, 1)])}) and nothing "
            "in their headers tells them apart; export the series again"
        )


def _allowed(step: float) -> float:
    """How far a step may be from the usual one."""
    return max(step * STEP_TOLERANCE, LEAST_STEP_TOLERANCE_MM)


def _is_even(grid: Grid, planes: Sequence[Plane]) -> bool:
    steps = np.diff([plane.level for plane in planes])
    if not len(steps):
        return True
    usual = float(np.median(steps))
    drift = grid.indices(np.stack([plane.position for plane in planes]))[:, 0]
    drift -= np.arange(len(planes))
    return bool(
        (np.abs(steps - usual) <= _allowed(usual)).all() and np.abs(drift).max() <= STRAIGHT
    )


def _check_gaps(planes: Sequence[Plane]) -> None:
    """A planned change of step, or a slice or two that are missing; not a block, nor slices of two
    volumes by turns."""
    steps = np.diff([plane.level for plane in planes])
    around = np.pad(steps, 1)
    beside = np.maximum(around[:-2], around[2:])
    wide = np.flatnonzero((steps > MISSING_STEPS * beside) | (steps > MISSING_MM)).tolist()
    if wide and not _by_turns(steps):
        raise DataError(
            f"no block of slices may be missing, but got a step of {steps[wide[0]]:.2f} mm instead "
            f"of {np.median(steps):.2f} mm after {_listed([planes[index] for index in wide])} mm "
            f"({_files([planes[index] for index in wide])}); export the series again, or leave out "
            "the files beyond"
        )
    narrow = np.flatnonzero(steps < steps.max() * LEAST_STEP).tolist()
    if narrow or _by_turns(steps):
        between = narrow or [int(steps.argmin())]
        raise DataError(
            "slices of a series must be of one volume, but some lie only "
            f"{steps.min():.2f} mm apart, after {_listed([planes[i] for i in between])} mm "
            f"({_files([planes[i + more] for i in between for more in (0, 1)])}), where others "
            f"lie {steps.max():.2f} mm apart; export its volumes one by one"
        )


def _by_turns(steps: Vector) -> bool:
    """Whether narrow and wide steps alternate throughout."""
    odd, even = steps[::2], steps[1::2]
    if len(steps) < LEAST_TURNS:
        return False
    spread = max(np.ptp(odd), np.ptp(even), _allowed(steps.min()))
    return bool(abs(np.median(odd) - np.median(even)) > spread)


def _check_straight(grid: Grid, planes: Sequence[Plane]) -> None:
    """Slices on a straight line: what an affine can say."""
    strayed = grid.indices(np.stack([plane.position for plane in planes]))[:, 1:]
    odd = np.flatnonzero(np.abs(strayed).max(1) > STRAIGHT).tolist()
    if odd:
        beside = [planes[index] for index in odd]
        raise DataError(
            "slices of a series must lie on a straight line, but got slices beside it at "
            f"{_listed(beside)} mm ({_files(beside)}); export the series again"
        )


def _listed(planes: Sequence[Plane]) -> str:
    return first_of([f"{plane.level:.2f}" for plane in planes], MOST_NAMED)


def _files(planes: Sequence[Plane]) -> str:
    return first_of([f"file {n}" for n in sorted({p.file for p in planes})], MOST_NAMED)


def canonical_axes(affine: Vector) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """How to transpose and then flip a volume so that slices run to the head, rows to the back,
    columns to the patient's left, each axis to its nearest direction.

    Raises:
        DataError: an axis has no nearest direction of its own (turned by 45 degrees or so).
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    nearest = [int(np.argmax(np.abs(directions[:, axis]))) for axis in range(3)]
    if sorted(nearest) != [0, 1, 2]:
        raise DataError(
            "each axis of a volume must be nearest to one body axis, but this one is turned "
            "half-way between two"
        )
    axes = (nearest.index(2), nearest.index(1), nearest.index(0))
    flips = tuple(bool(directions[nearest[axis], axis] < 0) for axis in axes)
    return axes, flips  # type: ignore[return-value]


def reorient_affine(
    affine: Vector, shape: tuple[int, int, int], axes: Sequence[int], flips: Sequence[bool]
) -> Vector:
    """The affine of a volume after `transpose(axes)` and flipping."""
    turned = np.eye(4)
    turned[:3, :3] = affine[:3, list(axes)]
    turned[:3, 3] = affine[:3, 3]
    for axis, flip in enumerate(flips):
        if flip:
            turned[:3, 3] += turned[:3, axis] * (shape[axes[axis]] - 1)
            turned[:3, axis] *= -1
    return turned


def reorient(volume: NDArray[_T], axes: Sequence[int], flips: Sequence[bool]) -> NDArray[_T]:
    """Transpose, flip, make contiguous."""
    turned = volume.transpose(axes)
    for axis, flip in enumerate(flips):
        if flip:
            turned = np.flip(turned, axis)
    return np.ascontiguousarray(turned)
