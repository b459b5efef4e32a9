"""Where the frame of a pair is centred, and which slices it runs over.

Learnt on training patients, applied to every scan as a function of its CT alone. The level of a
gland along the body is found by regression on slice thumbnails (each slice says how far below the
gland's centre it lies; the scan's answer is the median over the slices that lie near it); in the
plane the centre is a fixed place of the body box at that level. How well this does on training
patients is measured leaving one out, and the slice range is widened by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.config.data import CropConfig

RIDGE = 3.0
"""Penalty on thumbnail weights (features lie in [0, 1])."""

NEAR_MM = 40.0
"""Slices that see themselves this near the gland vote on where it is."""

LEVEL_MM = 12.0
"""The body box is the median over slices within this distance of the gland's level."""

Landmarks = Mapping[str, Any]


@dataclass(frozen=True)
class Placement:
    """Where a structure's frames lie in one scan.

    Attributes:
        centre: row and column of the frame's centre, in source voxels.
        slices: first and last slice of the range, both included.
    """

    centre: tuple[float, float]
    slices: tuple[int, int]

    def plain(self) -> dict[str, Any]:
        return {"centre": list(self.centre), "slices": list(self.slices)}


@dataclass(frozen=True)
class CropRule:
    """Per structure: how to find its level, place and slice range; plain JSON inside."""

    placement: str
    fixed: tuple[int, int]
    structures: Mapping[str, Mapping[str, Any]]

    def place(self, found: Landmarks, structure: str) -> Placement:
        """Placement in a scan, from the label-free part of its landmarks."""
        rule = self.structures[structure]
        spacing = found["spacing_mm"]
        count = len(found["slices"])
        level = _level(found["slices"], spacing[0], np.asarray(rule["weights"]))
        first, last = (level + offset / spacing[0] for offset in rule["range_mm"])
        slices = (
            int(np.clip(np.floor(first), 0, count - 1)),
            int(np.clip(np.ceil(last), 0, count - 1)),
        )
        if self.placement == "fixed":
            return Placement((float(self.fixed[0]), float(self.fixed[1])), slices)
        return Placement(_in_box(_box(found["slices"], level, spacing[0]), rule["place"]), slices)

    def plain(self) -> dict[str, Any]:
        return {
            "placement": self.placement,
            "fixed": list(self.fixed),
            "structures": {name: dict(rule) for name, rule in self.structures.items()},
        }


def fit_crop(
    training: Sequence[Landmarks], structures: Sequence[str], config: CropConfig
) -> CropRule:
    """Learn the rule from training patients' landmarks, labels included.

    Raises:
        DataError: a structure is contoured in no training patient.
    """
    rules = {name: _fit_structure(training, name) for name in structures}
    return CropRule(config.placement, (config.fixed_row, config.fixed_column), rules)


def _fit_structure(training: Sequence[Landmarks], name: str) -> dict[str, Any]:
    usable = [found for found in training if name in found["glands"]]
    if not usable:
        raise DataError(
            f"a crop for '{name}' must be learnt on training patients, but none of "
            f"{len(training)} has it contoured; check data.structures and data.roles"
        )
    places, offsets, misses = [], [], []
    for index, found in enumerate(usable):
        others = usable[:index] + usable[index + 1 :] or usable
        weights = _regress(others, name)
        gland, spacing = found["glands"][name], found["spacing_mm"]
        level = _level(found["slices"], spacing[0], weights)
        misses.append((level - gland["centroid"][0]) * spacing[0])
        offsets.append([(s - level) * spacing[0] for s in gland["slices"]])
        top, bottom, left, right = _box(found["slices"], gland["centroid"][0], spacing[0])
        row, column = gland["centroid"][1:]
        places.append([(row - top) / (bottom - top), (column - left) / (right - left)])
    return {
        "weights": [round(float(w), 6) for w in _regress(usable, name)],
        "place": [float(v) for v in np.median(places, axis=0)],
        "range_mm": [float(min(o[0] for o in offsets)), float(max(o[1] for o in offsets))],
        "level_error_mm": float(np.median(np.abs(misses))),
        "patients": len(usable),
    }


def _regress(patients: Sequence[Landmarks], name: str) -> NDArray[np.float64]:
    """Ridge weights (last one the intercept): thumbnail -> millimetres up to the gland's centre."""
    inputs, targets = [], []
    for found in patients:
        centre, spacing = found["glands"][name]["centroid"][0], found["spacing_mm"][0]
        for index, entry in enumerate(found["slices"]):
            distance = (centre - index) * spacing
            if entry is not None and abs(distance) < 3 * NEAR_MM:
                inputs.append([*entry["thumbnail"], 1.0])
                targets.append(distance)
    x, y = np.asarray(inputs, np.float64), np.asarray(targets, np.float64)
    penalty = np.eye(x.shape[1]) * RIDGE
    penalty[-1, -1] = 0
    return np.asarray(np.linalg.solve(x.T @ x + penalty, x.T @ y), np.float64)


def _level(
    slices: Sequence[Mapping[str, Any] | None], spacing: float, weights: NDArray[np.float64]
) -> float:
    """The gland's level in slices: median vote of the slices that see themselves near it."""
    known = [index for index, entry in enumerate(slices) if entry is not None]
    if not known:
        return (len(slices) - 1) / 2
    thumbnails = np.array([[*slices[i]["thumbnail"], 1.0] for i in known])  # type: ignore[index]
    distance = thumbnails @ weights
    near = np.abs(distance) < NEAR_MM
    if not near.any():
        near = np.abs(distance) <= np.abs(distance).min()
    votes = np.asarray(known) + distance / spacing
    return float(np.clip(np.median(votes[near]), 0, len(slices) - 1))


def _box(
    slices: Sequence[Mapping[str, Any] | None], level: float, spacing: float
) -> NDArray[np.float64]:
    """Median body box around a level; the nearest slice's where none lies within reach."""
    known = [i for i, entry in enumerate(slices) if entry is not None]
    if not known:
        return np.array([0.0, 1.0, 0.0, 1.0])
    near = [i for i in known if abs(i - level) * spacing <= LEVEL_MM]
    near = near or [min(known, key=lambda i: abs(i - level))]
    return np.median([slices[i]["box"] for i in near], axis=0)  # type: ignore[index]


def _in_box(box: NDArray[np.float64], place: Sequence[float]) -> tuple[float, float]:
    top, bottom, left, right = box
    return float(top + place[0] * (bottom - top)), float(left + place[1] * (right - left))
