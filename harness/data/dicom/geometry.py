"""Where the voxels of a CT series lie: from position, orientation and pixel spacing alone.

SliceThickness, SliceLocation, InstanceNumber and file names are not trusted. Slices are ordered
along the normal of their common orientation. A tilted gantry moves each slice sideways: the affine
then has a sheared slice axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.text import first_of

_T = TypeVar("_T", bound=np.generic)
Vector = NDArray[np.float64]

ORIENTATION_TOLERANCE = 1e-3  # largest difference of a direction cosine within a series
SPACING_TOLERANCE = 1e-3  # mm, largest difference of pixel spacing within a series
SAME_PLACE_MM = 1e-2  # slices closer than this lie at one position
STEP_TOLERANCE = 0.05  # largest deviation from the median step, as a share of it
LEAST_STEP_TOLERANCE_MM = 0.02  # positions are written with two or three decimals
STRAIGHT = 0.25  # voxels, farthest that a slice may lie from the place that the grid gives it
DEFAULT_THICKNESS_MM = 1.0


@dataclass(frozen=True)
class Plane:
    """Geometry of one slice as its file gives it.

    Attributes:
        position: centre of the first voxel, LPS mm, (3,).
        along_columns, along_rows: unit vectors of growing column and growing row index, (3,).
        spacing: distance of rows and of columns, mm.
        shape: rows, columns.
        thickness: mm, None where not given; read for a series of one slice only.
        least_bytes: what its pixels take in the file at least, 0 where that is not known.
    """

    position: Vector
    along_columns: Vector
    along_rows: Vector
    spacing: tuple[float, float]
    shape: tuple[int, int]
    thickness: float | None = None
    least_bytes: int = 0


@dataclass(frozen=True)
class Grid:
    """A regular grid of voxels.

    Attributes:
        affine: 4 x 4, voxel index (slice, row, column, 1) -> LPS mm.
        shape: slices, rows, columns.
        order: for each slice of the grid, its place among the planes it was made from.
    """

    affine: Vector
    shape: tuple[int, int, int]
    order: tuple[int, ...]

    def indices(self, points: Vector) -> Vector:
        """Points (n, 3) in LPS mm -> fractional (slice, row, column)."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(points @ inverse[:3, :3].T + inverse[:3, 3], np.float64)


def make_grid(planes: Sequence[Plane]) -> Grid:
    """The grid of a series.

    Raises:
        DataError: slices differ in orientation, spacing or size, share a position, leave a gap or
            lie beside the line of the others; positions are named in mm along the normal.
    """
    first = planes[0]
    _check_alike(planes)
    normal = np.cross(first.along_columns, first.along_rows)
    levels = np.array([plane.position @ normal for plane in planes])
    order = np.argsort(levels, kind="stable")
    levels = levels[order]
    _check_steps(levels)
    positions = np.stack([planes[index].position for index in order])
    affine = np.eye(4)
    if len(planes) == 1:
        affine[:3, 0] = normal * (first.thickness or DEFAULT_THICKNESS_MM)
    else:
        affine[:3, 0] = (positions[-1] - positions[0]) / (len(planes) - 1)
    affine[:3, 1] = first.along_rows * first.spacing[0]
    affine[:3, 2] = first.along_columns * first.spacing[1]
    affine[:3, 3] = positions[0]
    grid = Grid(affine, (len(planes), *first.shape), tuple(int(index) for index in order))
    _check_straight(grid, positions, levels)
    return grid


def _check_alike(planes: Sequence[Plane]) -> None:
    first = planes[0]
    for plane in planes[1:]:
        turned = max(
            np.abs(plane.along_columns - first.along_columns).max(),
            np.abs(plane.along_rows - first.along_rows).max(),
        )
        if turned > ORIENTATION_TOLERANCE:
            raise DataError("all slices of a series must have one orientation, but they differ")
        if plane.shape != first.shape:
            raise DataError(
                "all slices of a series must have one size, but got "
                f"{first.shape[0]} x {first.shape[1]} and {plane.shape[0]} x {plane.shape[1]}"
            )
        if np.abs(np.subtract(plane.spacing, first.spacing)).max() > SPACING_TOLERANCE:
            raise DataError(
                "all slices of a series must have one pixel spacing, but got "
                f"{first.spacing} and {plane.spacing} mm"
            )


def _check_steps(levels: Vector) -> None:
    steps = np.diff(levels)
    if not len(steps):
        return
    same = np.flatnonzero(steps < SAME_PLACE_MM)
    if len(same):
        raise DataError(
            "each slice of a series must have a position of its own, but got two at "
            f"{_listed(levels[same])} mm"
        )
    usual = float(np.median(steps))
    allowed = max(usual * STEP_TOLERANCE, LEAST_STEP_TOLERANCE_MM)
    odd = np.flatnonzero(np.abs(steps - usual) > allowed)
    if len(odd):
        raise DataError(
            f"slices must be evenly spaced, but got a step of {steps[odd[0]]:.2f} mm instead of "
            f"{usual:.2f} mm after {_listed(levels[odd])} mm"
        )


def _check_straight(grid: Grid, positions: Vector, levels: Vector) -> None:
    """Slices on a straight line at even steps: what an affine can say."""
    strayed = grid.indices(positions)
    strayed[:, 0] -= np.arange(len(positions))
    odd = np.flatnonzero(np.abs(strayed).max(1) > STRAIGHT)
    if len(odd):
        raise DataError(
            "slices of a series must lie on a straight line at even steps, but got slices beside "
            f"it at {_listed(levels[odd])} mm"
        )


def _listed(levels: Vector) -> str:
    return first_of([f"{level:.2f}" for level in levels], 5)


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
