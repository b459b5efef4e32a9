"""What a folder of DICOM files holds: every series, structure set and region, nothing chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.text import first_of, some
from harness.data.dicom.names import matches
from harness.data.dicom.pairing import pair
from harness.data.dicom.raster import Overlap, draw
from harness.data.dicom.series import Series, all_series
from harness.data.dicom.structures import Roi, read_structures
from harness.data.dicom.walk import IMAGES, Header

MOST_NAMED = 5
"""Files that one warning names."""

TILT_DEGREES = 0.1
"""A slice axis nearer to the normal of its slices is straight; positions are rounded."""


@dataclass(frozen=True)
class FoundSeries:
    """A series of slices.

    Attributes:
        number: place in the survey, from 1.
        patient: digest of the patient's identity.
        modality: "CT" or "MR".
        files: its slices, as they lie on the disk.
        series: its slices and grid; None where they make none, and `warnings` says why.
        warnings: in words.
    """

    number: int
    patient: str
    modality: str
    files: tuple[Header, ...]
    series: Series | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class FoundRoi:
    """A region of a structure set.

    Attributes:
        name: as the planning system wrote it.
        interpreted: RT ROI Interpreted Type (ORGAN, PTV, ...), "" where not given.
        contours: all its contours, of any type.
        structure: structure of the experiment that its name maps to, or None.
        voxels, volume_ml: inside its closed contours; None without a series.
        warnings: in words.
    """

    name: str
    interpreted: str
    contours: int
    structure: str | None
    voxels: int | None
    volume_ml: float | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class FoundSet:
    """A structure set.

    Attributes:
        number: place in the survey, from 1.
        patient: digest of the patient's identity.
        header: its file.
        series: the series it was drawn on; None where there is none, and `warnings` says why.
        rois: its regions in file order.
        warnings: in words.
    """

    number: int
    patient: str
    header: Header
    series: FoundSeries | None
    rois: tuple[FoundRoi, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Survey:
    """Everything found; `ignored` are the headers of files that are neither slice nor set."""

    series: tuple[FoundSeries, ...]
    sets: tuple[FoundSet, ...]
    ignored: tuple[Header, ...]


Keep = Callable[[int, FoundSeries, Roi, NDArray[np.bool_]], None]
"""Takes the mask of every region that encloses voxels: number of its set, series, region, mask."""


def survey(
    headers: Sequence[Header],
    structures: Sequence[str],
    patterns: Mapping[str, Sequence[str]],
    keep: Keep | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
    overlap: Overlap = "xor",
) -> Survey:
    """Look at every series and draw every region; reads no pixels.

    Args:
        headers: of `walk`.
        structures, patterns: what names are looked up in; as of `names.match`.
        keep: takes each mask as it is drawn.
        progress: called with series and sets done, and how many there are.
        overlap: as of `raster.draw`.
    """
    series = list(_found_series(headers))
    files = [header for header in headers if header.kind == "rtstruct"]
    total = len(series) + len(files)
    sets = []
    for number, header in enumerate(files, 1):
        progress(len(series) + number - 1, total)
        sets.append(_set(number, header, series, structures, patterns, keep, overlap))
    progress(total, total)
    ignored = tuple(header for header in headers if not header.kind)
    return Survey(tuple(series), tuple(sets), ignored)


def _found_series(headers: Sequence[Header]) -> Iterator[FoundSeries]:
    images = [header for header in headers if header.kind in IMAGES.values()]
    for number, (slices, opened, reason) in enumerate(all_series(images), 1):
        warnings = tuple(_series_warnings(opened)) if opened else (reason,)
        first = slices[0]
        yield FoundSeries(
            number, first.patient, first.kind.upper(), tuple(slices), opened, warnings
        )


def _series_warnings(series: Series) -> Iterator[str]:
    if series.repeats:
        yield some(series.repeats, "repeated slices left out")
    step, rows, columns = series.grid.affine[:3, :3].T
    normal = np.cross(columns, rows)
    cosine = step @ normal / (np.linalg.norm(step) * np.linalg.norm(normal))
    tilt = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    if tilt > TILT_DEGREES:
        yield f"the gantry was tilted by {tilt:.1f} degrees; masks are drawn on the tilted slices"
    if series.cut:
        files = first_of([f"file {number}" for number in series.cut], MOST_NAMED)
        yield f"{files} cut off: too small for the pixels; export the series again"
    if len(series.headers) == 1:
        yield f"it has one slice, taken to be {np.linalg.norm(step):.3g} mm thick"


def _set(
    number: int,
    header: Header,
    series: Sequence[FoundSeries],
    structures: Sequence[str],
    patterns: Mapping[str, Sequence[str]],
    keep: Keep | None,
    overlap: Overlap,
) -> FoundSet:
    mine = [entry for entry in series if entry.patient == header.patient]
    try:
        structure_set = read_structures(Path(header.path))
    except DataError as error:
        return FoundSet(number, header.patient, header, None, (), (str(error),))
    warnings = list(structure_set.notes)
    drawn_on = None
    usable = [(entry.series, entry.series.headers[0].frame) for entry in mine if entry.series]
    try:
        if not usable:
            others = ", only other patients' are" if len(mine) < len(series) else ""
            raise DataError(f"no usable series of its patient is here{others}: nothing to draw on")
        chosen, named = pair(structure_set, usable)
        [drawn_on] = [entry for entry in mine if entry.series is chosen]
        if not named:
            warnings.append("it refers to no series here; its positions decide")
    except DataError as error:
        warnings.append(str(error))
    names = matches(structure_set.rois, structures, patterns)
    rois = []
    for roi in structure_set.rois:
        structure = next((n for n, those in names.items() if any(r is roi for r in those)), None)
        rivals = [other for other in names.get(structure or "", ()) if other.contours]
        rois.append(_roi(number, roi, structure, rivals, drawn_on, keep, overlap))
    return FoundSet(number, header.patient, header, drawn_on, tuple(rois), tuple(warnings))


def _roi(
    number: int,
    roi: Roi,
    structure: str | None,
    rivals: Sequence[Roi],
    drawn_on: FoundSeries | None,
    keep: Keep | None,
    overlap: Overlap,
) -> FoundRoi:
    contours = len(roi.contours) + sum(roi.skipped.values())
    warnings = list(roi.left_out) if contours else ["it has no contours"]
    if roi.refused:
        warnings.append(roi.refused)
    if roi.contours and len(rivals) > 1:
        both = ", ".join(f"'{other.name}'" for other in rivals)
        warnings.append(f"one ROI must match {structure}, but {both} do; narrow data.patterns")
    voxels = volume = None
    if drawn_on is not None and drawn_on.series is not None:
        grid = drawn_on.series.grid
        drawn = draw(roi.contours, grid, overlap)
        voxels = int(np.count_nonzero(drawn.mask))
        volume = voxels * abs(float(np.linalg.det(grid.affine[:3, :3]))) / 1000
        warnings += drawn.notes
        if roi.contours and not voxels:
            warnings.append("its contours enclose no voxel")
        if keep is not None and voxels:
            keep(number, drawn_on, roi, drawn.mask)
    return FoundRoi(roi.name, roi.interpreted, contours, structure, voxels, volume, tuple(warnings))
