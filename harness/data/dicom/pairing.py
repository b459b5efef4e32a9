"""Which of a patient's structure sets is used, and which series it was drawn on.

Of several sets the one with most of the wanted structures, and the newest of equals. What a set
refers to decides its series in this order: images, series, frame of reference. Whatever the
references say, its contours must lie on that series' slices: names survive anonymising and
re-exporting less often than positions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base.errors import DataError
from harness.base.text import some
from harness.data.dicom.series import Series
from harness.data.dicom.structures import Roi, StructureSet, read_structures
from harness.data.dicom.walk import Header

ON_SLICE = 0.3  # slices, farthest of a contour that lies on a slice
LEAST_SHARE = 0.5  # of the contours, that must lie on slices of the series
SOME = 1e-9  # of them, where its images are named one by one: an incomplete export
BY_IMAGES, BY_SERIES, BY_FRAME = 3, 2, 1


@dataclass(frozen=True)
class Paired:
    """A structure set with the series it was drawn on and the structures it has.

    `named` is false where only positions say that it belongs to the series.
    """

    structures: StructureSet
    series: Series
    named: bool
    rois: Mapping[str, Roi]


def most_complete(
    sets: Sequence[Header],
    series: Sequence[tuple[Series, str]],
    wanted: Callable[[Sequence[Roi]], Mapping[str, Roi]],
    notes: list[str],
    labels: list[str],
) -> Paired:
    """The structure set with most wanted structures; the newest of equals.

    Args:
        series: as in `pair`.
        wanted: the wanted structures among a set's regions.
        notes: what a reader should know of the choice is added.
        labels: becomes the names of the contoured regions, of all sets until one is chosen.

    Raises:
        DataError: none can be used.
    """
    candidates, refused = [], []
    for header in sets:
        try:
            structures = read_structures(Path(header.path))
            labels += _labels(structures)
            rois = wanted(structures.rois)
            candidates.append(Paired(structures, *pair(structures, series), rois))
        except DataError as error:
            refused.append(f"file {header.number}: {error}" if len(sets) > 1 else str(error))
    if not candidates:
        raise DataError("; ".join(refused))
    notes += [f"a structure set is not used: {reason}" for reason in refused]
    best = max(candidates, key=lambda c: (len(c.rois), c.structures.written))
    labels[:] = _labels(best.structures)
    if len(candidates) > 1:
        notes.append(f"{len(candidates)} structure sets fit; the most complete, newest is used")
    notes += best.structures.notes
    if not best.named:
        notes.append("the structure set refers to no CT series here; its positions decide")
    if best.series.repeats:
        notes.append(some(best.series.repeats, "repeated slices of the CT series left out"))
    return best


def _labels(structures: StructureSet) -> list[str]:
    return [roi.name for roi in structures.rois if roi.contours]


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
    images = series.images
    named = len(images & structures.images)
    if named:
        return BY_IMAGES + named / len(images)
    if series.uid in structures.series:
        return BY_SERIES
    return BY_FRAME if frame and frame in structures.frames else 0


def _share(structures: StructureSet, series: Series) -> float:
    """Share of all closed contours that lie on slices of the series, inside its images."""
    on, total = 0, 0
    slices, rows, columns = series.planes.shape
    for roi in structures.rois:
        for contour in roi.contours:
            level, row, column = series.planes.indices(contour.mean(0, keepdims=True))[0]
            nearest = round(level)
            beside = abs(level - nearest) <= ON_SLICE and 0 <= nearest < slices
            on += beside and -0.5 <= row <= rows - 0.5 and -0.5 <= column <= columns - 0.5
            total += 1
    return on / total if total else 1.0
