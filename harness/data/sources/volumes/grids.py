"""Voxels of image and mask files, in canonical order and on one grid; what is no CT or no mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.data.dicom.geometry import canonical_axes, reorient, reorient_affine
from harness.data.dicom.series import LEAST_HU
from harness.data.scan import check_hu
from harness.data.volume_files import Form, read_layers, read_volume

SAME_PLACE = 0.05
"""Voxels that a mask's may lie from its image's: what two converters leave of one geometry."""
UNSAID_MM = 1e-3
"""Distance up to which nothing is said of it: what rounding leaves."""
SAME_DIRECTION = 0.02
"""Largest difference of direction cosines of one axis in two headers that mean one grid."""
WHOLE = 1e-3
"""Farthest that a label may lie from a whole number: what a stored scale leaves of it."""
NOTHING_MM = 1e-6  # of an affine: what float32 leaves where decimal text says 0
Vector = NDArray[np.float64]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class VolumeGrid:
    """Where the voxels of an image lie: (slice, row, column, 1) -> LPS mm, canonical order."""

    affine: Vector
    shape: Shape

    def gap(self, affine: Vector, shape: Shape) -> tuple[float, float]:
        """Farthest that a corner voxel of `shape` lies apart under the two affines: mm, voxels."""
        corners = np.array([[*c, 1.0] for c in product(*((0, n - 1) for n in shape))])
        apart = (corners @ (self.affine - affine).T)[:, :3]
        voxels = np.linalg.solve(self.affine[:3, :3], apart.T)
        return (
            float(np.linalg.norm(apart, axis=1).max()),
            float(np.linalg.norm(voxels, axis=0).max()),
        )

    def along(self, other: VolumeGrid) -> bool:
        """Whether both have one shape, and axes of the same directions."""
        axes = [grid.affine[:3, :3] for grid in (self, other)]
        one, two = (turn / np.linalg.norm(turn, axis=0) for turn in axes)
        return self.shape == other.shape and bool(np.abs(one - two).max() <= SAME_DIRECTION)

    def moved(self, offset: Vector) -> VolumeGrid:
        """The same lattice, counted from the voxel at `offset`."""
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ offset
        return VolumeGrid(affine, self.shape)


def open_image(path: Path, form: Form | None) -> tuple[NDArray[Any], VolumeGrid]:
    """An image, (slices, rows, columns) in canonical order, and its grid.

    Args:
        form: as of `read_layers`.

    Raises:
        DataError: it cannot be read, or its axes are nearest to no body axes.
    """
    return _canonical(*read_volume(path, form))


def open_mask(
    path: Path, layer: int | None, grid: VolumeGrid, cropped: bool, form: Form | None
) -> tuple[NDArray[Any], float]:
    """A mask's or label map's values on the grid of its image, and how far its header lies beside
    the image's, mm.

    Args:
        layer: of a segmentation; None for a file that must have one.
        cropped: whether it may cover a part of the grid alone, as 3D Slicer writes segmentations;
            a single voxel then stands for nothing at all.
        form: as of `read_layers`.

    Raises:
        DataError: it cannot be read, or lies elsewhere.
    """
    layers, affine = read_layers(path, form)
    if layer is None and len(layers) != 1:
        hint = "; call a segmentation of 3D Slicer .seg.nrrd" if path.suffix == ".nrrd" else ""
        raise DataError(f"a mask must have one number a voxel, but one has {len(layers)}{hint}")
    if (layer or 0) >= len(layers):
        raise DataError("a segment must be in a layer of its file, but one is not; export it again")
    values = layers[layer or 0]
    if cropped and values.size == 1:
        return np.zeros(grid.shape, values.dtype), 0.0
    values, own = _canonical(values, affine)
    gap, voxels = grid.gap(own.affine, own.shape)
    if own.shape == grid.shape and voxels <= SAME_PLACE:
        return values, gap
    if cropped:
        at = np.rint(np.linalg.solve(grid.affine, own.affine[:, 3])[:3])
        fits = (at >= 0).all() and (at + own.shape <= grid.shape).all()
        part, beside = grid.moved(at).gap(own.affine, own.shape)
        if fits and beside <= SAME_PLACE:
            placed = np.zeros(grid.shape, values.dtype)
            placed[tuple(slice(int(a), int(a) + n) for a, n in zip(at, own.shape, strict=True))] = (
                values
            )
            return placed, part
    raise DataError(
        f"a mask must lie on the grid of its image, but {_difference(own, grid, gap, voxels)}"
    )


def _difference(own: VolumeGrid, grid: VolumeGrid, gap: float, voxels: float) -> str:
    place = f"up to {gap:.3g} mm ({voxels:.2g} voxels) beside"
    if own.along(grid):
        return (
            f"the headers of files of the same voxels differ: its own lies {place} the image's; "
            "correct the mask's header, or the image's where all masks lie beside it alike"
        )
    if own.shape == grid.shape:
        return f"it lies {place} it, turned; resample it onto the image"
    sizes = (" x ".join(map(str, shape)) for shape in (own.shape, grid.shape))
    return "it has {} voxels where the image has {}; resample it onto the image".format(*sizes)


def _canonical(values: NDArray[Any], affine: Vector) -> tuple[NDArray[Any], VolumeGrid]:
    axes, flips = canonical_axes(affine)
    shape: Shape = values.shape  # type: ignore[assignment]
    turned = reorient(values, axes, flips)
    canonical = reorient_affine(affine, shape, axes, flips)
    canonical[np.abs(canonical) < NOTHING_MM] = 0.0  # no -0.0 either, which has a digest of its own
    return turned, VolumeGrid(canonical, turned.shape)  # type: ignore[arg-type]


def hounsfield(values: NDArray[Any]) -> NDArray[np.int16]:
    """Rounded HU, below -1024 as -1024.

    Raises:
        DataError: the values cannot be HU.
    """
    _check_numbers(values)
    if values.dtype.itemsize == 1:
        raise DataError("values must be HU, but an image has 8 bits; export the CT itself")
    check_hu(values)
    top = np.iinfo(np.int16).max
    return np.clip(np.rint(values), LEAST_HU, top).astype(np.int16)


def inside(values: NDArray[Any], wanted: Sequence[int]) -> NDArray[np.bool_]:
    """Voxels of a structure: those of the `wanted` values, or of the one value that is not 0.

    Values that a stored scale moved from whole numbers by up to `WHOLE` stand for these.

    Raises:
        DataError: no mask, or no label map.
    """
    _check_numbers(values)
    rounded = _rounded(values)
    if wanted:
        odd = rounded[rounded != np.rint(rounded)]
        if odd.size:
            raise DataError(
                f"a label map must hold whole numbers, but got {odd[0]:g}; export the labels "
                "unscaled"
            )
        return np.logical_or.reduce([rounded == value for value in wanted])
    mask = rounded != 0
    if not mask.any():  # of a scale so small that its mask would be lost
        mask = values != 0
    there = values[mask]
    if there.size and float(there.max()) - float(there.min()) > WHOLE * min(1, abs(there.max())):
        raise DataError(
            f"a mask must have two values, 0 and another, but got {there.min():g} to "
            f"{there.max():g} beside 0; a label map needs data.images.labels"
        )
    if mask.all():
        raise DataError("a mask must leave voxels outside at 0, but none is")
    return mask


def _rounded(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind != "f":
        return values
    whole = np.rint(values)
    return np.where(np.abs(values - whole) <= WHOLE, whole, values)


def _check_numbers(values: NDArray[Any]) -> None:
    if values.dtype.kind == "f":
        lost = int(np.count_nonzero(~np.isfinite(values)))
        if lost:
            raise DataError(
                f"every voxel must have a number, but {lost} have none; export it again"
            )
