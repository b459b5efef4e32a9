"""A DICOM segmentation (SEG) as a structure set: one closed contour for each frame of a segment.

The contour goes half-way between the centres of pixels inside and outside (marching squares), and
from one part to the next and back along the same line, which encloses nothing. So a mask drawn on
the grid that it was made on comes back voxel by voxel. Source: DICOM PS3.3, A.51 and C.8.20.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from skimage.measure import find_contours

from harness.base.text import some
from harness.data.bounds import check_voxels
from harness.data.dicom.geometry import Vector
from harness.data.dicom.numbers import numbers
from harness.data.dicom.slices import FUNCTIONAL_GROUPS, groups_of, holder
from harness.data.dicom.structures import (
    Roi,
    StructureSet,
    below,
    images_of,
    printable,
    read_structures,
    sequence,
    uids,
    written,
)
from harness.data.dicom.walk import Header, text

HALF = "of its fractional values half and more is inside"


def read_set(header: Header) -> StructureSet:
    """The structure set of a file of one of the kinds in `walk.SETS`.

    Raises:
        DataError: it cannot be read.
    """
    path = Path(header.path)
    return read_structures(path) if header.kind == "rtstruct" else read_structures(path, _parsed)


def _parsed(dataset: Dataset) -> StructureSet:
    shape = int(dataset.get("NumberOfFrames", 1)), int(dataset.Rows), int(dataset.Columns)
    check_voxels(shape, 1, "a segmentation")
    frames = np.reshape(dataset.pixel_array, shape)
    kind = text(dataset, "SegmentationType").upper()
    if kind == "FRACTIONAL":
        frames = frames >= int(dataset.MaximumFractionalValue) / 2  # whole numbers would overflow
    drawn: dict[int, list[Vector]] = {}
    for place, frame in enumerate(frames):
        groups = groups_of(dataset, place)
        for number, inside in _segments(frame, kind, groups):
            drawn.setdefault(number, []).append(_placed(_outline(inside), groups))
    frame_of_reference = text(dataset, "FrameOfReferenceUID")
    rois = tuple(
        Roi(number, printable(_name(segment)), tuple(drawn.get(number, ())))
        for segment in sequence(dataset, "SegmentSequence")
        for number in [int(segment.SegmentNumber)]
    )
    said = [HALF] * (kind == "FRACTIONAL")
    if orphans := len(drawn.keys() - {roi.number for roi in rois}):
        said.append(some(orphans, "labels of no segment left out"))
    series = sequence(dataset, "ReferencedSeriesSequence")
    sources = [
        source
        for keyword in FUNCTIONAL_GROUPS
        for source in below([dataset], keyword, "DerivationImageSequence", "SourceImageSequence")
    ]
    return StructureSet(
        rois,
        images_of([*below(series, "ReferencedInstanceSequence"), *sources]),
        uids(series, "SeriesInstanceUID"),
        frozenset({frame_of_reference} - {""}),
        written(dataset),
        tuple(said),
    )


def _name(segment: Dataset) -> str:
    return text(segment, "SegmentLabel") or text(segment, "SegmentDescription")


def _segments(
    frame: NDArray[Any], kind: str, groups: Sequence[Dataset]
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Segments that a frame shows: number, mask."""
    if kind == "LABELMAP":
        for number in np.unique(frame[frame > 0]):
            yield int(number), frame == number
    elif frame.any():
        segment = holder(groups, "ReferencedSegmentNumber")
        yield int(segment.ReferencedSegmentNumber), frame > 0


def _outline(inside: NDArray[np.bool_]) -> Vector:
    """(n, 2) rows and columns of one closed line about all parts of a mask that is not empty."""
    rings = [ring - 1 for ring in find_contours(np.pad(inside, 1).astype(float), 0.5)]
    start = rings[0][:1]
    return np.concatenate([part for ring in rings for part in (ring, start)])


def _placed(points: Vector, groups: Sequence[Dataset]) -> Vector:
    """(n, 3) LPS mm of rows and columns of a frame."""
    position, turn, size = (
        np.array(numbers(holder(groups, keyword), keyword), np.float64)
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    )
    per_row_and_column = turn.reshape(2, 3)[::-1] * size[:, None]
    return np.asarray(position + points @ per_row_and_column, np.float64)
