"""Which series a structure set was drawn on.

What it refers to decides in this order: images, series, frame of reference. Whatever the
references say, its contours must lie on that series' slices: names survive anonymising and
re-exporting less often than positions.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.base.errors import DataError
from harness.data.dicom.series import Series
from harness.data.dicom.structures import StructureSet

ON_SLICE = 0.3  # slices, farthest of a contour that lies on a slice
LEAST_SHARE = 0.5  # of the contours, that must lie on slices of the series
SOME = 1e-9  # of them, where its images are named one by one: an incomplete export
BY_IMAGES, BY_SERIES, BY_FRAME = 3, 2, 1


def pair(structures: StructureSet, series: Sequence[tuple[Series, str]]) -> tuple[Series, bool]:
    """The series of a structure set, and whether the set refers to it in any way.

    Args:
        series: all series of the same patient, each with its frame of reference UID ("" if none).

    Raises:
        DataError: none fits, or several fit equally well.
    """
    claims = [(_claim(structures, entry, frame), entry) for entry, frame in series]
    best = max((claim for claim, _ in claims), default=0)
    candidates = [entry for claim, entry in claims if claim == best]
    shares = [(_share(structures, entry), entry) for entry in candidates]
    least = SOME if best >= BY_IMAGES else LEAST_SHARE
    fitting = [(share, entry) for share, entry in shares if share >= least]
    if not fitting:
        raise DataError(
            "a structure set must lie on the slices of a CT series of its patient, but none of "
            f"{len(series)} series has them"
        )
    most = max(share for share, _ in fitting)
    chosen = [entry for share, entry in fitting if share > most - 1e-6]
    if len(chosen) > 1:
        raise DataError(
            "a structure set must fit one CT series, but it refers to none by name and "
            f"{len(chosen)} series have slices where its contours lie; name one by "
            "data.dicom.series"
        )
    return chosen[0], best > 0


def _claim(structures: StructureSet, series: Series, frame: str) -> float:
    """How directly the references name the series; shares of images decide among the named."""
    images = {header.sop for header in series.headers}
    named = len(images & structures.images)
    if named:
        return BY_IMAGES + named / len(images)
    if series.uid in structures.series:
        return BY_SERIES
    return BY_FRAME if frame and frame in structures.frames else 0


def _share(structures: StructureSet, series: Series) -> float:
    """Share of all closed contours that lie on slices of the series, inside its images."""
    on, total = 0, 0
    slices, rows, columns = series.grid.shape
    for roi in structures.rois:
        for contour in roi.contours:
            level, row, column = series.grid.indices(contour.mean(0, keepdims=True))[0]
            nearest = round(level)
            beside = abs(level - nearest) <= ON_SLICE and 0 <= nearest < slices
            on += beside and -0.5 <= row <= rows - 0.5 and -0.5 <= column <= columns - 0.5
            total += 1
    return on / total if total else 1.0
