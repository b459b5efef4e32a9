"""What of a scan is kept to learn and apply a crop: a coarse volume of the CT, and its structures.

`landmarks` reads a scan once. Its `coarse` part is a function of the CT alone. Its `structures`
part comes from the contours and is read for training patients only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.files import write_array
from harness.data.scan import Scan

CELL_MM = 6.0
"""Edge of a cell of the coarse volume: enough to tell skull base from mandible from neck."""

COARSE_HU = (-324.0, 476.0)
"""Window of the coarse volume, mapped to 0..255: soft tissue, and bone from it."""


@dataclass(frozen=True)
class Landmarks:
    """One scan, small.

    Attributes:
        shape: slices, rows and columns of the scan.
        spacing_mm: voxel size of the scan along slices, rows and columns.
        coarse: uint8, mean CT in cubes of `CELL_MM` laid from the scan's first corner.
        structures: structure name -> {"centroid": [slice, row, column], "slices": [first, last]},
            in voxels of the scan.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    coarse: NDArray[np.uint8]
    structures: Mapping[str, Mapping[str, Any]]

    def to_cells(self, voxel: NDArray[np.float64]) -> NDArray[np.float64]:
        """A place in voxels of the scan, in cells of the coarse volume (both from centres)."""
        return (np.asarray(voxel) + 0.5) * np.asarray(self.spacing_mm) / CELL_MM - 0.5

    def to_voxels(self, cell: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of `to_cells`."""
        return (np.asarray(cell) + 0.5) * CELL_MM / np.asarray(self.spacing_mm) - 0.5

    def write(self, volume: Path) -> dict[str, Any]:
        """Write the coarse volume to `volume` (.npy); returns the rest as plain data."""
        write_array(volume, self.coarse)
        return {
            "shape": list(self.shape),
            "spacing_mm": list(self.spacing_mm),
            "structures": {name: dict(structure) for name, structure in self.structures.items()},
        }

    @classmethod
    def read(cls, about: Mapping[str, Any], volume: Path) -> Landmarks:
        """What `write` wrote."""
        coarse = np.load(volume, allow_pickle=False)
        return cls(tuple(about["shape"]), tuple(about["spacing_mm"]), coarse, about["structures"])


def landmarks(scan: Scan) -> Landmarks:
    structures = {name: _structure(mask) for name, mask in scan.masks.items() if mask.any()}
    slices, rows, columns = scan.hu.shape
    return Landmarks((slices, rows, columns), scan.spacing_mm, _coarse(scan), structures)


def _coarse(scan: Scan) -> NDArray[np.uint8]:
    low, high = COARSE_HU
    across = [
        _means(length, size) for length, size in zip(scan.hu.shape, scan.spacing_mm, strict=True)
    ]
    planes = [across[1] @ np.clip(plane, low, high).astype(np.float64) for plane in scan.hu]
    volume = np.tensordot(across[0], np.stack(planes) @ across[2].T, axes=1)
    return np.rint((volume - low) / (high - low) * 255).astype(np.uint8)


def _means(length: int, size_mm: float) -> NDArray[np.float64]:
    """Weights (cells, length) of the mean over each whole or partial cell of an axis."""
    edges = np.arange(length + 1) * size_mm
    cells = max(1, int(np.ceil(edges[-1] / CELL_MM - 1e-6)))
    low = np.arange(cells)[:, None] * CELL_MM
    shared = np.minimum(edges[1:], low + CELL_MM) - np.maximum(edges[:-1], low)
    weights = np.clip(shared, 0, None)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float64)


def _structure(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Centroid (slice, row, column) and first and last slice, in voxels."""
    where = np.argwhere(mask)
    return {
        "centroid": [round(float(v), 3) for v in where.mean(0)],
        "slices": [int(where[:, 0].min()), int(where[:, 0].max())],
    }
