"""What an RTSTRUCT file holds: ROIs with their closed contours, and what it says it belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from harness.base.errors import DataError
from harness.data.dicom.geometry import Vector
from harness.data.dicom.walk import quietly, read, text

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "")
LEAST_POINTS = 3


@dataclass(frozen=True)
class Roi:
    """One region.

    Attributes:
        number: ROI number within its file.
        name: as written by the planning system, spaces at both ends removed.
        contours: closed contours of three points or more, each (n, 3), LPS mm.
        skipped: what else the region has, in words -> how often ("POINT contours": 3).
    """

    number: int
    name: str
    contours: tuple[Vector, ...]
    skipped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class StructureSet:
    """An RTSTRUCT file.

    Attributes:
        rois: regions in file order.
        images: SOP instance UIDs of the images it refers to.
        series: series instance UIDs that it refers to.
        frames: frame of reference UIDs that it refers to.
        written: date and time of writing, "" where missing; orders structure sets.
    """

    rois: tuple[Roi, ...]
    images: frozenset[str]
    series: frozenset[str]
    frames: frozenset[str]
    written: str


@quietly()
def read_structures(path: Path) -> StructureSet:
    """Read an RTSTRUCT file.

    Raises:
        DataError: it cannot be parsed.
    """
    dataset = read(path)
    if dataset is None:
        raise DataError("a structure set must be a readable DICOM file, but this one is broken")
    try:
        return _parsed(dataset)
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"a structure set must be a readable DICOM file, but this one is broken "
            f"({type(error).__name__})"
        ) from error


def _parsed(dataset: Dataset) -> StructureSet:
    contours = {
        int(item.ReferencedROINumber): item
        for item in _items(dataset, "ROIContourSequence")
        if "ReferencedROINumber" in item
    }
    rois = tuple(
        _roi(int(item.ROINumber), text(item, "ROIName").strip(), contours.get(int(item.ROINumber)))
        for item in _items(dataset, "StructureSetROISequence")
        if "ROINumber" in item
    )
    images, series, frames = _references(dataset)
    written = text(dataset, "StructureSetDate") + text(dataset, "StructureSetTime")
    return StructureSet(rois, images, series, frames, written)


def _items(dataset: Dataset | None, keyword: str) -> list[Dataset]:
    found = dataset.get(keyword) if dataset is not None else None
    return list(found) if found else []


def _roi(number: int, name: str, item: Dataset | None) -> Roi:
    kept, skipped = [], Counter[str]()
    for contour in _items(item, "ContourSequence"):
        kind = text(contour, "ContourGeometricType").strip().upper()
        points = _points(contour)
        if points is None:
            skipped["contours whose coordinates cannot be read"] += 1
        elif kind not in CLOSED:
            skipped[f"{kind} contours"] += 1
        elif len(points) < LEAST_POINTS:
            skipped["contours of one or two points"] += 1
        else:
            kept.append(points)
    return Roi(number, name, tuple(kept), dict(skipped))


def _points(contour: Dataset) -> Vector | None:
    """(n, 3), or None if the numbers are missing, not finite, or no triplets.

    Contour data beyond 64 kB come as bytes (VR UN) from writers that cannot state their length.
    """
    try:
        element: Any = contour.get("ContourData")
        if element is None:
            return None
        if isinstance(element, bytes):
            element = element.decode("ascii").strip("\0 ").split("\\")
        values = np.array([float(value) for value in element], np.float64)
    except (ValueError, TypeError, UnicodeDecodeError):
        return None
    if not values.size or values.size % 3 or not np.isfinite(values).all():
        return None
    return values.reshape(-1, 3)


def _references(dataset: Dataset) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    images = {uid for item in _contour_images(dataset) if (uid := _sop(item))}
    series, frames = set(), set()
    for frame in _items(dataset, "ReferencedFrameOfReferenceSequence"):
        frames.add(text(frame, "FrameOfReferenceUID"))
        for study in _items(frame, "RTReferencedStudySequence"):
            for entry in _items(study, "RTReferencedSeriesSequence"):
                series.add(text(entry, "SeriesInstanceUID"))
    for roi in _items(dataset, "StructureSetROISequence"):
        frames.add(text(roi, "ReferencedFrameOfReferenceUID"))
    frames.add(text(dataset, "FrameOfReferenceUID"))
    return frozenset(images), frozenset(series - {""}), frozenset(frames - {""})


def _contour_images(dataset: Dataset) -> Iterator[Dataset]:
    for frame in _items(dataset, "ReferencedFrameOfReferenceSequence"):
        for study in _items(frame, "RTReferencedStudySequence"):
            for entry in _items(study, "RTReferencedSeriesSequence"):
                yield from _items(entry, "ContourImageSequence")
    for roi in _items(dataset, "ROIContourSequence"):
        for contour in _items(roi, "ContourSequence"):
            yield from _items(contour, "ContourImageSequence")


def _sop(item: Dataset) -> str:
    return text(item, "ReferencedSOPInstanceUID")
