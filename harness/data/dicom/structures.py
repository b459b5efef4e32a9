"""What an RTSTRUCT file holds: ROIs with their closed contours, and what it says it belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from harness.base.errors import DataError
from harness.base.text import some
from harness.data.dicom.geometry import Vector
from harness.data.dicom.walk import is_whole, quietly, read, text

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "")
NOT_CLOSED = ("POINT", "OPEN_PLANAR", "OPEN_NONPLANAR")
LEAST_POINTS = 3
FARTHEST_MM = 1e6  # of a point from the origin; what is farther is no coordinate of a body
_IMAGES = ("ContourSequence", "ContourImageSequence")
LONGEST_NAME = 64  # letters, the most that the standard allows


@dataclass(frozen=True)
class Roi:
    """One region.

    Attributes:
        number: ROI number within its file.
        name: as written by the planning system, spaces at both ends removed; what cannot be printed
            is a space, and `LONGEST_NAME` letters are kept.
        contours: closed contours of three points or more, each (n, 3), LPS mm.
        skipped: what else the region has, in words -> how often ("POINT contours": 3).
        interpreted: RT ROI Interpreted Type (ORGAN, PTV, ISOCENTER, ...), "" where not given.
        frame: frame of reference UID that it gives, "" where none.
        images: SOP instance UIDs of the images that its contours name.
    """

    number: int
    name: str
    contours: tuple[Vector, ...]
    skipped: dict[str, int] = field(default_factory=dict)
    interpreted: str = ""
    frame: str = ""
    images: frozenset[str] = frozenset()

    @property
    def left_out(self) -> list[str]:
        """What of it is no closed contour, in words."""
        return [some(count, f"{what} left out") for what, count in self.skipped.items()]


@dataclass(frozen=True)
class StructureSet:
    """An RTSTRUCT file.

    Attributes:
        rois: regions in file order.
        images: SOP instance UIDs of the images it refers to.
        series: series instance UIDs that it refers to.
        frames: frame of reference UIDs that it refers to.
        written: digits of the date and time of writing, "" where missing; orders structure sets.
        approval: 2 approved, 1 not approved or not said, 0 rejected.
        notes: what of the file belongs to no region, in words.
    """

    rois: tuple[Roi, ...]
    images: frozenset[str]
    series: frozenset[str]
    frames: frozenset[str]
    written: str
    notes: tuple[str, ...] = ()
    approval: int = 1


APPROVAL = {"APPROVED": 2, "REJECTED": 0}


Parse = Callable[[Dataset], StructureSet]


@quietly()
def read_structures(path: Path, parse: Parse | None = None) -> StructureSet:
    """Read a structure set.

    Args:
        parse: makes it from a file with pixels; None for an RTSTRUCT, which has none.

    Raises:
        DataError: it cannot be parsed.
    """
    dataset = read(path, pixels=parse is not None)
    if dataset is None:
        raise DataError(
            "a structure set must be a readable DICOM file, but this one is broken or cut off; "
            "export it again"
        )
    try:
        return (parse or _parsed)(dataset)
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            "a structure set must be a readable DICOM file, but this one is broken "
            f"({type(error).__name__}); export it again"
        ) from error


def _parsed(dataset: Dataset) -> StructureSet:
    drawn = _by_number(dataset, "ROIContourSequence")
    observed = _by_number(dataset, "RTROIObservationsSequence")
    items = [item for item in sequence(dataset, "StructureSetROISequence") if "ROINumber" in item]
    sharing = Counter(int(item.ROINumber) for item in items)
    rois = tuple(
        _roi(item, drawn.get(number, []), observed.get(number, []), sharing[number])
        for item in items
        for number in [int(item.ROINumber)]
    )
    for number in sharing:
        drawn.pop(number, None)
    orphans = sum(len(below(items, "ContourSequence")) for items in drawn.values())
    notes = (some(orphans, "contours of no ROI left out"),) if orphans else ()
    images, series, frames = _references(dataset)
    approval = APPROVAL.get(text(dataset, "ApprovalStatus").strip().upper(), 1)
    return StructureSet(rois, images, series, frames, written(dataset), notes, approval)


def written(dataset: Dataset) -> str:
    """As `StructureSet.written`."""
    for what in ("StructureSet", "InstanceCreation", "Content", "Series"):
        date, time = (
            "".join(filter(str.isdigit, text(dataset, what + of))) for of in ("Date", "Time")
        )
        if date:
            return date + time
    return ""


def _by_number(dataset: Dataset, keyword: str) -> dict[int, list[Dataset]]:
    """Items of a sequence by the ROI that they refer to; -1 for those that refer to none."""
    items: dict[int, list[Dataset]] = {}
    for item in sequence(dataset, keyword):
        given = item.get("ReferencedROINumber")
        items.setdefault(-1 if given is None else int(given), []).append(item)
    return items


def sequence(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Items of a sequence; DataError where one is cut off."""
    items = list(dataset.get(keyword) or [])
    if not all(map(is_whole, items)):
        raise DataError(
            "a structure set must be a readable DICOM file, but one of its sequences is cut off or "
            "its lengths are wrong; export it again"
        )
    return items


def _roi(item: Dataset, drawn: Sequence[Dataset], observed: Sequence[Dataset], sharing: int) -> Roi:
    """`sharing`: how many regions have its number; contours of several belong to none for sure."""
    kept, skipped = [], Counter[str]()
    for contour in below(drawn, "ContourSequence"):
        kind = text(contour, "ContourGeometricType").strip().upper()
        points = _points(contour)
        if sharing > 1:
            skipped["contours of a number that several ROIs have"] += 1
        elif points is None:
            skipped["contours whose coordinates cannot be read"] += 1
        elif kind not in CLOSED:
            known = f"{kind} contours" if kind in NOT_CLOSED else "contours of an unknown type"
            skipped[known] += 1
        elif len(points) < LEAST_POINTS:
            skipped["contours of one or two points"] += 1
        else:
            kept.append(points)
    kind = next((printable(text(entry, "RTROIInterpretedType")) for entry in observed), "")
    name = printable(text(item, "ROIName"))
    frame = text(item, "ReferencedFrameOfReferenceUID")
    images = uids(below(drawn, *_IMAGES), "ReferencedSOPInstanceUID")
    return Roi(int(item.ROINumber), name, tuple(kept), dict(skipped), kind, frame, images)


def printable(words: str) -> str:
    """A name on one line, and no longer than a name may be."""
    shown = "".join(letter if letter.isprintable() else " " for letter in words.strip())
    return shown.strip()[:LONGEST_NAME].strip()


def _points(contour: Dataset) -> Vector | None:
    """(n, 3), or None if the numbers are missing, not finite, too far away, or no triplets.

    Numbers are taken from the bytes of the file: a decimal string object for each would cost more
    than all else. Contour data beyond 64 kB come as VR UN from writers that cannot state their
    length.
    """
    try:
        element: Any = contour.get_item("ContourData")
        if isinstance(element, RawDataElement) and element.VR in (None, "DS", "UN"):
            value: Any = element.value
        else:
            value = contour.get("ContourData")
        if value is None:
            return None
        if isinstance(value, bytes):
            value = value.strip(b"\0 ").split(b"\\")
        values = np.array([float(number) for number in value], np.float64)
    except (ValueError, TypeError):
        return None
    if not values.size or values.size % 3 or not (np.abs(values) < FARTHEST_MM).all():
        return None
    return values.reshape(-1, 3)


def _references(dataset: Dataset) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """UIDs of images, series and frames of reference."""
    frames = sequence(dataset, "ReferencedFrameOfReferenceSequence")
    series = below(frames, "RTReferencedStudySequence", "RTReferencedSeriesSequence")
    contours = below([dataset], "ROIContourSequence", *_IMAGES)
    images = [*below(series, "ContourImageSequence"), *contours]
    rois = sequence(dataset, "StructureSetROISequence")
    return (
        uids(images, "ReferencedSOPInstanceUID"),
        uids(series, "SeriesInstanceUID"),
        uids([dataset, *frames], "FrameOfReferenceUID")
        | uids(rois, "ReferencedFrameOfReferenceUID"),
    )


def below(items: Sequence[Dataset], *keywords: str) -> list[Dataset]:
    """Items of the sequences in each item's sequences."""
    found = list(items)
    for keyword in keywords:
        found = [inner for item in found for inner in sequence(item, keyword)]
    return found


def uids(items: Sequence[Dataset], keyword: str) -> frozenset[str]:
    """What items say under a keyword; those that do not say it are left out."""
    return frozenset(text(item, keyword) for item in items) - {""}
