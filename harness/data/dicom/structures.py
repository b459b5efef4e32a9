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
from harness.data.dicom import notes
from harness.data.dicom.geometry import Vector
from harness.data.dicom.numbers import BINARY, is_given, numbers
from harness.data.dicom.walk import frame_name, is_whole, quietly, read, text

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "")
NOT_CLOSED = ("POINT", "OPEN_PLANAR", "OPEN_NONPLANAR")
LEAST_POINTS = 3
MOVED = (
    "its contours must lie where their points say, but it has a Contour Offset Vector (3006,0045), "
    "which is no longer in use and read in two ways; export the structure set without it"
)
FARTHEST_MM = 1e6  # of a point from the origin; what is farther is no coordinate of a body
SOP = "ReferencedSOPInstanceUID"
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
        refused: why its contours cannot be trusted, in a sentence; it then has none. "" as a rule.
        miscounted: kept contours whose number of points is not the one that they state.
    """

    number: int
    name: str
    contours: tuple[Vector, ...]
    skipped: dict[str, int] = field(default_factory=dict)
    interpreted: str = ""
    frame: str = ""
    images: frozenset[str] = frozenset()
    refused: str = ""
    miscounted: int = 0

    @property
    def left_out(self) -> list[str]:
        """What of it is no closed contour, and what contradicts itself, in words."""
        odd = f"contours of another number of points {notes.MISCOUNTED}"
        said = [some(count, f"{what} left out") for what, count in self.skipped.items()]
        return [*said, some(self.miscounted, odd)] if self.miscounted else said


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
    kept, skipped, miscounted, moved = [], Counter[str](), 0, False
    for contour in below(drawn, "ContourSequence"):
        kind = text(contour, "ContourGeometricType").strip().upper()
        points = _points(contour)
        moved |= _is_moved(contour)
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
            miscounted += _is_miscounted(contour, len(points))
    kind = next((printable(text(entry, "RTROIInterpretedType")) for entry in observed), "")
    name = printable(text(item, "ROIName"))
    number = int(item.ROINumber)
    frame = text(item, "ReferencedFrameOfReferenceUID")
    images = images_of(below(drawn, *_IMAGES))
    if moved:
        skipped["contours moved by an offset"] += len(kept)
        return Roi(number, name, (), dict(+skipped), kind, frame, images, MOVED)
    return Roi(number, name, tuple(kept), dict(skipped), kind, frame, images, "", miscounted)


def _is_moved(contour: Dataset) -> bool:
    """Whether it has an offset that is not zero, or one that cannot be read."""
    given = numbers(contour, "ContourOffsetVector")
    return is_given(contour, "ContourOffsetVector") and (given is None or any(given))


def _is_miscounted(contour: Dataset, points: int) -> bool:
    stated = numbers(contour, "NumberOfContourPoints")
    return stated is not None and stated != (points,)


def printable(words: str) -> str:
    """A name on one line, and no longer than a name may be."""
    shown = "".join(letter if letter.isprintable() else " " for letter in words.strip())
    return shown.strip()[:LONGEST_NAME].strip()


def _points(contour: Dataset) -> Vector | None:
    """(n, 3), or None if the numbers are missing, not finite, too far away, or no triplets."""
    values = _coordinates(contour)
    if values is None or not values.size or values.size % 3:
        return None
    return values.reshape(-1, 3) if (np.abs(values) < FARTHEST_MM).all() else None


def _coordinates(contour: Dataset) -> Vector | None:
    """The numbers of the contour data; none where it is empty, None where one cannot be read.

    They are taken from the bytes of the file, all at once: `numbers`, which looks at each, would
    cost more than all else. Contour data beyond 64 kB come as VR UN from writers that cannot state
    their length.
    """
    try:
        element: Any = contour.get_item("ContourData")
        if isinstance(element, RawDataElement) and element.VR not in BINARY:
            value: Any = element.value
        else:
            value = contour.get("ContourData")
        if isinstance(value, str):
            value = value.encode()
        if isinstance(value, bytes):
            value = _with_points(value.strip(b"\0 ")).split(b"\\")
        if value is None or value == [b""]:
            return np.empty(0)
        several = value if isinstance(value, Sequence) else [value]
        return np.array([float(number) for number in several], np.float64)
    except (ValueError, TypeError):
        return None


def _with_points(numbers: bytes) -> bytes:
    """Decimal commas as points, where no number has a point or two commas."""
    if b"," not in numbers or b"." in numbers:
        return numbers
    if any(number.count(b",") > 1 for number in numbers.split(b"\\")):
        return numbers
    return numbers.replace(b",", b".")


def _references(dataset: Dataset) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """UIDs of images, series and frames of reference."""
    frames = sequence(dataset, "ReferencedFrameOfReferenceSequence")
    series = below(frames, "RTReferencedStudySequence", "RTReferencedSeriesSequence")
    contours = below([dataset], "ROIContourSequence", *_IMAGES)
    images = [*below(series, "ContourImageSequence"), *contours]
    rois = sequence(dataset, "StructureSetROISequence")
    return (
        images_of(images),
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


def images_of(items: Sequence[Dataset]) -> frozenset[str]:
    """SOP instance UIDs that items refer to, and `frame_name` of the frames."""
    found = uids(items, SOP)
    for item in items:
        for number in numbers(item, "ReferencedFrameNumber") or ():
            found |= {frame_name(text(item, SOP), int(number))}
    return found


def uids(items: Sequence[Dataset], keyword: str) -> frozenset[str]:
    """What items say under a keyword; those that do not say it are left out."""
    return frozenset(text(item, keyword) for item in items) - {""}
