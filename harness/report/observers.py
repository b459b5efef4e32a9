"""Inter-observer agreement, beside which a segmenter's Dice is read.

Two observers' parotids of 30 patients (DeepMind's TCIA masks; the table says how it was made). It
has a line per pixel size because a reader will ask whether a coarse grid changes the agreement; the
nearest is used and named. It hardly does: mean Dice is 0.86 at each.

Its spacing is that of the pixels in the plane (rows and columns) of the grid on which Dice is
counted: the scan's own, not the frames' that a segmenter sees. This is where sources differ most:
about 1 mm as scanned, 3.9-5.1 mm in OpenKBP. Slices are as scanned, 2.5 mm, within the 2-3 mm of
planning CT and OpenKBP; a scan of thicker slices has no line of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from harness.base.errors import DataError
from harness.base.files import read_json

TABLE = Path(__file__).with_name("observers.json")
"""The shipped table: provenance and a line per spacing, finest first."""


@dataclass(frozen=True)
class ObserverAgreement:
    """Agreement of two observers at one pixel size.

    Attributes:
        spacing_mm: pixel size in the plane (0.98: as scanned, 0.94-1.27); slices are 2.5 mm.
        patients: number of patients; a patient's value is the mean of the sides.
        dice_mean, dice_sd, dice_min: 3D Dice over patients, in [0, 1].
        hd95_mean_mm, hd95_sd_mm, hd95_min_mm, hd95_max_mm: HD95 over patients; the maximum is the
            worst.
    """

    spacing_mm: float
    patients: int
    dice_mean: float
    dice_sd: float
    dice_min: float
    hd95_mean_mm: float
    hd95_sd_mm: float
    hd95_min_mm: float
    hd95_max_mm: float


def observer_agreement(spacing_mm: float) -> ObserverAgreement:
    """The line whose spacing is nearest; its `spacing_mm` names which one was used.

    Args:
        spacing_mm: pixel size in the plane of the scans that Dice is counted on; for several
            patients their median, for oblong pixels the root of the pixel's area. Halfway between
            two lines the finer one is used.

    Raises:
        DataError: the spacing is not a positive number.
    """
    if not (math.isfinite(spacing_mm) and spacing_mm > 0):
        raise DataError(
            f"a spacing must be a positive number of millimetres, but got {spacing_mm}; "
            "give the pixel size of the scans"
        )
    lines = [ObserverAgreement(**line) for line in read_json(TABLE)["lines"]]
    return min(lines, key=lambda line: abs(line.spacing_mm - spacing_mm))
