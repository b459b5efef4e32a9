"""What a folder of DICOM files holds: every series, structure set and region, nothing chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.text import some
from harness.config.data import DicomConfig
from harness.data.dicom.names import matches
from harness.data.dicom.pairing import Claim, Images, Refused, choose, judge
from harness.data.dicom.raster import EMPTY, NO_VOXEL, Overlap, draw
from harness.data.dicom.series import Opened, Series, all_series
from harness.data.dicom.slices import listed
from harness.data.dicom.structures import Roi
from harness.data.dicom.walk import IMAGES, SETS, Header

UNNAMED = "no region has a usual name; `harness init FOLDER --structures` takes any"
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

    @property
    def opened(self) -> Opened:
        """As of `all_series`."""
        return list(self.files), self.series, "" if self.series else "; ".join(self.warnings)


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
class FoundPatient:
    """What `prepare` makes of a patient.

    Attributes:
        patient: digest of the patient's identity.
        used: number of the set that each wanted structure is taken from.
        notes: in words; why nothing is used where `used` is empty.
    """

    patient: str
    used: Mapping[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Survey:
    """Everything found; `ignored` are the headers of files that are neither slice nor set."""

    series: tuple[FoundSeries, ...]
    sets: tuple[FoundSet, ...]
    patients: tuple[FoundPatient, ...]
    ignored: tuple[Header, ...]


Keep = Callable[[int, FoundSeries, Roi, NDArray[np.bool_]], None]
"""Takes the mask of every region that encloses voxels: number of its set, series, region, mask."""


def survey(
    headers: Sequence[Header],
    structures: Sequence[str],
    patterns: Mapping[str, Sequence[str]],
    keep: Keep | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
    wanted: Sequence[str] | None = (),
    dicom: DicomConfig | None = None,
) -> Survey:
    """Look at every series and draw every region; reads no pixels but those of segmentations.

    Args:
        headers: of `people.folder_files`.
        structures, patterns: what names are looked up in; as of `names.match`.
        keep: takes each mask as it is drawn.
        progress: called with series and sets done, and how many there are.
        wanted: the structures of which it is said what `prepare` takes them from; None for those
            that each patient has.
        dicom: how sets are drawn, as `prepare` does.
    """
    dicom = dicom or DicomConfig()
    series = list(_found_series(headers))
    images = Images(headers)
    files = [header for header in headers if header.kind in SETS]
    total = len(series) + len(files)
    sets, judged = [], []
    for number, header in enumerate(files, 1):
        progress(len(series) + number - 1, total)
        mine = [entry for entry in series if entry.patient == header.patient]
        stacks = [entry.opened for entry in mine]
        judged.append(judge(header, stacks, images, dicom.trust_positions))
        sets.append(_set(number, judged[-1], mine, structures, patterns, keep, dicom.overlap))
    progress(total, total)
    ignored = tuple(header for header in headers if not header.kind)
    people = tuple(_patients(series, sets, judged, wanted, patterns)) if wanted != () else ()
    return Survey(tuple(series), tuple(sets), people, ignored)


def _patients(
    series: Sequence[FoundSeries],
    sets: Sequence[FoundSet],
    judged: Sequence[Claim | Refused],
    wanted: Sequence[str] | None,
    patterns: Mapping[str, Sequence[str]],
) -> Iterator[FoundPatient]:
    """By the rule of `prepare`, which reads CT alone."""
    numbers = {entry.header.number: number for number, entry in enumerate(judged, 1)}
    empty = {
        id(roi)
        for found, entry in zip(sets, judged, strict=True)
        if entry.structures is not None
        for shown, roi in zip(found.rois, entry.structures.rois, strict=True)
        if shown.voxels == 0
    }
    ct = [entry for entry in series if entry.modality == "CT"]
    everyone = [*(entry.patient for entry in ct), *(entry.header.patient for entry in judged)]
    for patient in dict.fromkeys(everyone):
        stacks = [entry.opened for entry in ct if entry.patient == patient]
        mine = [_on_ct(entry) for entry in judged if entry.header.patient == patient]
        asked = _named(patient, sets) if wanted is None else wanted
        if not asked and any(isinstance(entry, Claim) for entry in mine):
            yield FoundPatient(patient, {}, (UNNAMED,))
            continue
        try:
            chosen = choose(stacks, mine, asked, patterns)
        except DataError as error:
            yield FoundPatient(patient, {}, (str(error),))
        else:
            used = {
                name: numbers[claim.header.number]
                for name, (roi, claim) in chosen.rois.items()
                if id(roi) not in empty
            }
            notes = [f"{name}: {EMPTY}" for name in chosen.rois if name not in used]
            yield FoundPatient(patient, used, (*chosen.notes, *notes) if used else (NO_VOXEL,))


def _named(patient: str, sets: Sequence[FoundSet]) -> tuple[str, ...]:
    rois = [roi for entry in sets if entry.patient == patient for roi in entry.rois]
    return tuple(sorted({roi.structure for roi in rois if roi.structure and roi.contours}))


def _on_ct(entry: Claim | Refused) -> Claim | Refused:
    if isinstance(entry, Refused) or entry.series.headers[0].kind == "ct":
        return entry
    return Refused(entry.header, entry.structures, "it is drawn on MR slices, not CT")


def _found_series(headers: Sequence[Header]) -> Iterator[FoundSeries]:
    images = [header for header in headers if header.kind in IMAGES.values()]
    for number, (slices, opened, reason) in enumerate(all_series(images), 1):
        warnings = tuple(_series_warnings(opened)) if opened else (reason,)
        first = slices[0]
        yield FoundSeries(
            number, first.patient, first.kind.upper(), tuple(slices), opened, warnings
        )


def _series_warnings(series: Series) -> Iterator[str]:
    yield from series.notes
    if series.repeats:
        yield some(series.repeats, "repeated slices left out")
    step, rows, columns = series.grid.affine[:3, :3].T
    normal = np.cross(columns, rows)
    cosine = step @ normal / (np.linalg.norm(step) * np.linalg.norm(normal))
    tilt = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    if tilt > TILT_DEGREES:
        yield f"the gantry was tilted by {tilt:.1f} degrees; masks are drawn on the tilted slices"
    if series.cut:
        yield f"{listed(series.cut)} cut off: too small for the pixels; export the series again"
    if len(series.headers) == 1:
        yield f"it has one slice, taken to be {np.linalg.norm(step):.3g} mm thick"


def _set(
    number: int,
    judged: Claim | Refused,
    series: Sequence[FoundSeries],
    structures: Sequence[str],
    patterns: Mapping[str, Sequence[str]],
    keep: Keep | None,
    overlap: Overlap,
) -> FoundSet:
    header, read = judged.header, judged.structures
    drawn_on = None
    left_out: Mapping[int, str] = {}
    if isinstance(judged, Claim):
        [drawn_on] = [entry for entry in series if entry.series is judged.series]
        left_out, warnings = judged.left_out, judged.notes
    else:
        warnings = [judged.reason, *(read.notes if read else ())]
    names = matches(read.rois if read else (), structures, patterns)
    rois = []
    for roi in read.rois if read else ():
        structure = next((n for n, those in names.items() if any(r is roi for r in those)), None)
        rivals = [other for other in names.get(structure or "", ()) if other.contours]
        on = None if roi.number in left_out else drawn_on
        rois.append(_roi(number, roi, structure, rivals, on, keep, overlap))
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
        drawn = draw(roi.contours, drawn_on.series.planes, overlap)
        mask = drawn_on.series.to_grid(drawn.mask)
        voxels = int(np.count_nonzero(mask))
        volume = voxels * abs(float(np.linalg.det(drawn_on.series.grid.affine[:3, :3]))) / 1000
        warnings += drawn.notes
        if roi.contours and not voxels:
            warnings.append("its contours enclose no voxel")
        if keep is not None and voxels:
            keep(number, drawn_on, roi, mask)
    return FoundRoi(roi.name, roi.interpreted, contours, structure, voxels, volume, tuple(warnings))
