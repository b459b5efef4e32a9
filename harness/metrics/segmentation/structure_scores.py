"""Every score of one segmented structure at once, under the names that tables and reports use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from harness.metrics.segmentation.measures import (
    Spacing,
    Value,
    dice,
    hd95_mm,
    patient_value,
    surface_dice,
    surface_distance_mm,
    volume_error,
    volume_error_ml,
    volume_ml,
)

LEAST_TOLERANCE_MM = 2.0
"""What surface Dice forgives at least. Two observers' parotids lie 1.2 mm apart on average, and
5.5 mm at the worst twentieth of their surfaces (62 pairs of 0.98 x 0.98 x 2.5 mm)."""

Mask = NDArray[Any]

_SCORES: Mapping[str, Callable[[Mask, Mask, Spacing, float | None], Value]] = {
    "dice": lambda prediction, truth, *_: dice(prediction, truth),
    "hd95_mm": hd95_mm,
    "surface_distance_mm": surface_distance_mm,
    "surface_dice": lambda prediction, truth, spacing, _: surface_dice(
        prediction, truth, spacing, tolerance_mm(spacing)
    ),
    "volume_ml": lambda _, truth, spacing, __: Value(volume_ml(truth, spacing)),
    "predicted_ml": lambda prediction, _, spacing, __: Value(volume_ml(prediction, spacing)),
    "volume_error_ml": lambda prediction, truth, spacing, _: volume_error_ml(
        prediction, truth, spacing
    ),
    "volume_error": lambda prediction, truth, *_: volume_error(prediction, truth),
}

MEASURES = tuple(_SCORES)
"""Names of the scores. Higher is better for `dice` and `surface_dice`, lower for `hd95_mm`,
`surface_distance_mm` and `volume_error_ml`; `volume_error` is signed and right at 0; `volume_ml` is
the truth's and `predicted_ml` the prediction's volume."""


def tolerance_mm(spacing_mm: Spacing) -> float:
    """Tolerance of surface Dice in mm: the larger of 2 mm and the scan's largest voxel edge.

    A fixed rule, not a setting, so that scores compare; below a voxel's edge the score would
    measure the grid. On the grids of one data set the tolerance may differ between patients.
    """
    return max(LEAST_TOLERANCE_MM, *spacing_mm)


def structure_scores(
    prediction: Mask, truth: Mask, spacing_mm: Spacing, largest_mm: float | None = None
) -> dict[str, Value]:
    """Every score of `MEASURES` of one structure.

    Args:
        prediction, truth: bool volumes of one shape, slices x rows x columns, all slices of a scan.
        spacing_mm: voxel size along the same axes.
        largest_mm: both distances where one of the masks is empty, the largest one of the region
            that a prediction can lie in; None is the diagonal of the whole volume.

    Returns:
        Value by name; empty masks as the table of `harness.metrics.segmentation.measures` says.

    Raises:
        DataError: the two are not bool volumes of one shape.
    """
    return {
        name: score(prediction, truth, spacing_mm, largest_mm) for name, score in _SCORES.items()
    }


def patient_scores(sides: Mapping[str, Mapping[str, Value]]) -> dict[str, Value]:
    """A patient's scores: of each, volumes too, the mean of the structures that have one.

    Args:
        sides: scores by structure, e.g. of the left and the right structure.
    """
    return {
        name: patient_value({side: scores[name] for side, scores in sides.items()})
        for name in MEASURES
    }
