"""Slices of CT and MR files: one of a classic file, one of each frame of an enhanced one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from harness.base.errors import DataError
from harness.base.text import first_of
from harness.data.dicom.geometry import MOST_NAMED, Plane
from harness.data.dicom.numbers import is_given, number, numbers, whole
from harness.data.dicom.walk import Header, frame_name, quietly, read, text

MOST_SIDE = 8192  # rows or columns of a slice
FARTHEST_MM = 1e6  # of a position from the origin
PIXEL_MM = (1e-3, 1e3)  # least and largest pixel spacing and slice thickness
_PLAIN = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
FUNCTIONAL_GROUPS = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
_SHARED, _FRAMES = FUNCTIONAL_GROUPS
_LEGACY = "ConversionSourceAttributesSequence"

PARTING: dict[str, tuple[str, ...]] = {
    "acquisition": ("AcquisitionNumber", "FrameAcquisitionNumber"),
    "temporal position": ("TemporalPositionIdentifier", "TemporalPositionIndex"),
    "stack": ("StackID",),
    "echo": ("EchoNumbers", "EchoTime", "EffectiveEchoTime"),
    "cardiac phase": (
        "NominalPercentageOfCardiacPhase",
        "NominalCardiacTriggerDelayTime",
        "TriggerTime",
    ),
    "image type": ("ImageType", "FrameType"),
    "respiratory phase": (
        "NominalPercentageOfRespiratoryPhase",
        "StartingRespiratoryPhase",
        "NominalRespiratoryTriggerDelayTime",
    ),
    "gantry tilt": ("GantryDetectorTilt",),
    "tube voltage": ("KVP",),
    "filter": ("FilterType", "ConvolutionKernel"),
    "slice thickness": ("SliceThickness",),
    "contrast agent": ("ContrastBolusAgent",),
    "series number": ("SeriesNumber",),
    "description": ("SeriesDescription", "ImageComments"),
    "frame of reference": ("FrameOfReferenceUID",),
    "series time": ("SeriesTime",),
    "acquisition time": ("AcquisitionTime", "AcquisitionDateTime", "FrameAcquisitionDateTime"),
    "content time": ("ContentTime",),
}
"""What may tell apart the stacks that one series UID holds, in the order in which it is tried."""

_PLACE = ("ImagePositionPatient", "ImageOrientationPatient")
_GROUPS = ["NumberOfFrames", _SHARED, _FRAMES]
_TAGS = [
    *_PLACE,
    "PixelSpacing",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "SliceThickness",
    "BitsAllocated",
    "PixelRepresentation",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    *_GROUPS,
]


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice, equal to itself alone.

    Attributes:
        header: its file.
        frame: its place in the file, from 0.
        plane: where it lies.
        source: SOP instance UID of the image that it was converted from, "" where it was not.
        rescaled: whether its file says how stored values become HU.
        changed: whether these are other values.
        unit: of the rescaled values, "HU" where nothing is said.
        several: whether its file has more frames.
    """

    header: Header
    frame: int
    plane: Plane
    source: str = ""
    rescaled: bool = True
    changed: bool = True
    unit: str = "HU"
    several: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """What a structure set may call it: the SOP instance UID of its file, and its frame."""
        sop = self.header.sop
        return (sop, frame_name(sop, self.frame + 1)) if self.several else (sop,)


@quietly()
def read_slices(headers: Sequence[Header]) -> tuple[list[Slice], list[Header]]:
    """All slices of files, in their order, and the files that are none, as reports: they claim no
    place in a body, or are in colour.

    Raises:
        DataError: files lack geometry, or their sizes are absurd; up to five are named.
    """
    found: list[Slice] = []
    placeless, bad = [], []
    for header in headers:
        try:
            dataset = read(Path(header.path), _TAGS)
            if dataset is None:
                raise ValueError("unreadable")
            grey = (whole(dataset, "SamplesPerPixel") or 1) == 1
            if grey and any(keyword in dataset for keyword in (*_PLACE, _FRAMES)):
                found += _slices(header, dataset)
            else:
                placeless.append(header)
        except DataError:
            raise
        except Exception:  # noqa: BLE001 - elements are parsed when asked for; the file is named
            bad.append(header)
    if bad or not found:
        raise without_geometry(bad) if bad else no_slices(placeless)
    return found, placeless


def without_geometry(files: Sequence[Header]) -> DataError:
    """The refusal of files that do not say where their slices lie."""
    return DataError(
        "every slice must give its position, orientation, pixel spacing and size, but "
        f"{listed([file.number for file in files])} {'does' if len(files) == 1 else 'do'} not; "
        "export the series again"
    )


def no_slices(files: Sequence[Header]) -> DataError:
    """The refusal of files that may be reports, where slices may be missing."""
    return DataError(
        "every slice must be grey and give its position, but "
        f"{listed([file.number for file in files])} {'does' if len(files) == 1 else 'do'} not; "
        "export the series again, or leave them out where they are reports"
    )


@quietly()
def read_parting(slices: Sequence[Slice]) -> list[dict[str, str]]:
    """For each slice its values of `PARTING`; never printed."""
    keywords = [keyword for words in PARTING.values() for keyword in words]
    opened: dict[str, Dataset] = {}
    found = []
    for entry in slices:
        path = entry.header.path
        if path not in opened:
            opened = {path: read(Path(path), [*keywords, *_GROUPS]) or Dataset()}
        groups = groups_of(opened[path], entry.frame)
        said = {keyword: text(holder(groups, keyword), keyword) for keyword in keywords}
        found.append({name: "\n".join(said[w] for w in words) for name, words in PARTING.items()})
    return found


def listed(files: Sequence[int]) -> str:
    """Files by their numbers, each once."""
    return first_of([f"file {number}" for number in dict.fromkeys(files)], MOST_NAMED)


def groups_of(dataset: Dataset, frame: int) -> list[Dataset]:
    """Where attributes of a frame are looked up, nearest first; a classic file has itself alone."""
    per_frame, shared = dataset.get(_FRAMES), dataset.get(_SHARED)
    groups = []
    for item in [*(per_frame[frame : frame + 1] if per_frame else []), *(shared or [])]:
        macros = [element.value for element in item if element.VR == "SQ"]
        groups += [*(macro[0] for macro in macros if macro), item]
    return [*groups, dataset]


def holder(groups: Sequence[Dataset], keyword: str) -> Dataset:
    """The nearest of the groups that has an attribute; the last where none has."""
    return next((group for group in groups if keyword in group), groups[-1])


def _slices(header: Header, dataset: Dataset) -> list[Slice]:
    count = 1 if "NumberOfFrames" not in dataset else whole(dataset, "NumberOfFrames")
    described = len(dataset.get(_FRAMES) or ()) or 1
    if count != described:
        raise DataError(
            "every frame of a file must give its position, but file "
            f"{header.number} has {count if count is not None else 'an unknown number of'} frames "
            f"and gives {described}; convert it to one file a slice"
        )
    shape = whole(dataset, "Rows"), whole(dataset, "Columns")
    if None not in shape and not all(1 <= (side or 0) <= MOST_SIDE for side in shape):
        raise DataError(
            f"every slice must have 1 to {MOST_SIDE} rows and columns, but file {header.number} "
            f"says {shape[0]} x {shape[1]}; export the series again"
        )
    least = _least_bytes(dataset, count)
    return [_slice(header, frame, groups_of(dataset, frame), least) for frame in range(count)]


def _slice(header: Header, frame: int, groups: Sequence[Dataset], least_bytes: int) -> Slice:
    legacy = holder(groups, _LEGACY).get(_LEGACY)
    return Slice(
        header,
        frame,
        _plane(header, groups, least_bytes),
        text(legacy[0], "ReferencedSOPInstanceUID") if legacy else "",
        *_rescale(groups),
        text(holder(groups, "RescaleType"), "RescaleType").strip().upper() or "HU",
        len(groups[-1].get(_FRAMES) or ()) > 1,
    )


def _rescale(groups: Sequence[Dataset]) -> tuple[bool, bool]:
    """Whether a file says how stored values become HU, and whether that changes them.

    To leave unsigned values as they are says nothing: none could be below water.
    """
    place = holder(groups, "RescaleIntercept")
    slope = number(holder(groups, "RescaleSlope"), "RescaleSlope")
    changed = number(place, "RescaleIntercept") != 0 or slope not in (None, 1)
    given = is_given(place, "RescaleIntercept")
    signed = whole(groups[-1], "PixelRepresentation") == 1
    return given and (signed or changed), given and changed


def _plane(header: Header, groups: Sequence[Dataset], least_bytes: int) -> Plane:
    def read_from(keyword: str, count: int) -> list[float]:
        values = numbers(holder(groups, keyword), keyword)
        if values is None or len(values) != count:
            raise ValueError(keyword)
        return list(values)

    turn = np.array(read_from("ImageOrientationPatient", 6))
    position = np.array(read_from("ImagePositionPatient", 3))
    rows_mm, columns_mm = read_from("PixelSpacing", 2)
    sound = PIXEL_MM[0] <= min(rows_mm, columns_mm) <= max(rows_mm, columns_mm) <= PIXEL_MM[1]
    if not sound or np.abs(position).max() >= FARTHEST_MM:
        raise ValueError("geometry")
    columns, rows = turn[:3], turn[3:]
    if not np.allclose([columns @ columns, rows @ rows, columns @ rows], [1, 1, 0], atol=1e-3):
        raise ValueError("orientation")
    return Plane(
        position,
        columns / np.linalg.norm(columns),
        rows / np.linalg.norm(rows),
        (rows_mm, columns_mm),
        (int(read_from("Rows", 1)[0]), int(read_from("Columns", 1)[0])),
        _thickness(groups),
        least_bytes,
        header.number,
    )


def _least_bytes(dataset: Dataset, frames: int) -> int:
    """What the pixels take in their file; 0 where they are compressed or nothing says."""
    syntax = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID", ImplicitVRLittleEndian)
    sides = [whole(dataset, keyword) for keyword in ("Rows", "Columns", "BitsAllocated")]
    rows, columns, bits = (side or 0 for side in sides)
    return frames * rows * columns * bits // 8 if syntax in _PLAIN else 0


def _thickness(groups: Sequence[Dataset]) -> float | None:
    """None where it is missing or no sound number."""
    value = number(holder(groups, "SliceThickness"), "SliceThickness")
    return value if value is not None and PIXEL_MM[0] <= value <= PIXEL_MM[1] else None
