"""What of a scan a person must know to trust it: geometry, volumes, HU, names of its regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.data.scan import Scan

HU_EDGES = np.arange(-1024, 2049, 32)
"""Edges of the histogram's bins, HU; what lies beyond counts in the outermost ones."""

AIR_HU = -500.0
METAL_HU = 2500


@dataclass(frozen=True)
class ScanSummary:
    """One scan, to be looked at.

    Attributes:
        shape: slices, rows, columns.
        spacing_mm: along slices, rows, columns.
        volumes_ml: of each contoured structure.
        median_hu: inside each contoured structure.
        air: share of each contoured structure's voxels below `AIR_HU`.
        histogram: voxels of the scan per bin of `HU_EDGES`.
        metal_ml: above `METAL_HU` in the slices that hold a contoured structure.
        labels: names of the contoured regions as the planning system wrote them, () if unknown.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    volumes_ml: Mapping[str, float]
    median_hu: Mapping[str, float]
    air: Mapping[str, float]
    histogram: tuple[int, ...]
    metal_ml: float
    labels: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> ScanSummary:
        """What `to_dict` gave, and JSON kept."""
        names = ("shape", "spacing_mm", "histogram", "labels")
        listed = {name: tuple(stored[name]) for name in names}
        return cls(**{**stored, **listed})


def scan_summary(scan: Scan) -> ScanSummary:
    voxel_ml = abs(float(np.linalg.det(scan.affine[:3, :3]))) / 1000
    drawn = {name: mask for name, mask in scan.masks.items() if mask.any()}
    levels = np.zeros(len(scan.hu), np.bool_)
    for mask in drawn.values():
        levels |= mask.any(axis=(1, 2))
    metal = int((scan.hu[levels] > METAL_HU).sum())
    clipped = np.clip(scan.hu, HU_EDGES[0], HU_EDGES[-1] - 1)
    return ScanSummary(
        shape=scan.hu.shape,  # type: ignore[arg-type]
        spacing_mm=scan.spacing_mm,
        volumes_ml={n: round(float(m.sum()) * voxel_ml, 4) for n, m in drawn.items()},
        median_hu={n: float(np.median(scan.hu[m])) for n, m in drawn.items()},
        air={n: round(float((scan.hu[m] < AIR_HU).mean()), 4) for n, m in drawn.items()},
        histogram=tuple(np.histogram(clipped, HU_EDGES)[0].tolist()),
        metal_ml=round(metal * voxel_ml, 4),
        labels=scan.labels,
    )
