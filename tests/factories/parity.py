"""Masks of the same structure sets by other tools: plastimatch, and rt-utils where installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, generate_uid

from harness.data.dicom.geometry import Grid
from harness.data.dicom.structures import Roi
from harness.data.dicom.survey import FoundSeries, survey
from harness.data.dicom.walk import walk

FOLDER = Path(os.environ.get("HARNESS_TEST_DATA", "")) / "rtstruct"
CASES = (
    "lung1-001",
    "lung1-002",
    "ibsi1-ct",
    "sts-ct-001",
    "sts-ct-002",
    "vhm-aria",
    "ge-mim-phantom",
    "breast-1of98",
)
REPEATED = {("lung1-001", "1,SUV_primair"), ("lung1-002", "Lung L")}
"""Regions that list contours several times: plain XOR empties what is listed an even number."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Ours:
    """A region with the mask that the program makes of it."""

    roi: Roi
    mask: Mask
    grid: Grid
    warnings: tuple[str, ...]


def prepared(case: str, scratch: Path) -> Path:
    """The folder of a case as plastimatch can read it: it takes no series of one slice.

    A case of one slice gets a copy of it on either side, three slices in all.
    """
    source = FOLDER / case
    images = [path for path in sorted(source.iterdir()) if _is_ct(path)]
    if len(images) > 1:
        return source
    made = scratch / f"{case}-three"
    if not made.exists():
        shutil.copytree(source, made)
        image = pydicom.dcmread(images[0])
        across, down = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
        normal = np.cross(across, down) * float(image.SliceThickness)
        position = np.array(image.ImagePositionPatient, float)
        for side in (-1, 1):
            image.ImagePositionPatient = list(np.round(position + side * normal, 6))
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            image.save_as(made / f"beside{side}.dcm")
    return made


def once(case: str, name: str, scratch: Path) -> tuple[Path, int]:
    """A case with one region whose contours are listed once, and how many repeats that dropped.

    Repeats are those whose coordinates are written in the same characters.
    """
    made, dropped = scratch / f"{case}-once", 0
    made.mkdir()
    for path in (FOLDER / case).iterdir():
        if _is_ct(path):
            (made / path.name).symlink_to(path)
            continue
        structures = pydicom.dcmread(path)
        named = {roi.ROINumber: roi.ROIName for roi in structures.StructureSetROISequence}
        for roi in structures.ROIContourSequence:
            items = roi.get("ContourSequence") or []
            kept = {str(item.ContourData): item for item in items}
            roi.ContourSequence = (
                list(kept.values()) if named[roi.ReferencedROINumber] == name else []
            )
            dropped += len(items) - len(kept) if roi.ContourSequence else 0
        structures.save_as(made / path.name)
    return made, dropped


def _is_ct(path: Path) -> bool:
    header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"])
    return bool(header.SOPClassUID == CTImageStorage)


def our_masks(folder: Path) -> dict[str, Ours]:
    """Every region that encloses voxels of the one series of a folder, by name."""
    found: dict[str, tuple[Roi, Mask, Grid]] = {}

    def keep(number: int, series: FoundSeries, roi: Roi, mask: Mask) -> None:
        assert series.series is not None
        found[roi.name] = roi, mask, series.series.grid

    [drawn] = survey(walk(folder, None), (), {}, keep).sets
    said = {roi.name: roi.warnings for roi in drawn.rois}
    return {name: Ours(*kept, said[name]) for name, kept in found.items()}


def plastimatch_masks(folder: Path, scratch: Path, xor: bool) -> dict[str, Mask]:
    """Masks of `plastimatch convert` by region, (slices, rows, columns), foot first."""
    import SimpleITK

    out = scratch / f"{folder.name}-{'xor' if xor else 'or'}"
    if not out.exists():
        convert(folder, out, xor)
    return {
        path.stem: SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))) > 0
        for path in sorted(out.glob("*.nrrd"))
    }


def convert(folder: Path, out: Path, xor: bool = True) -> None:
    """Run plastimatch: a folder with a series and a structure set -> one NRRD a region."""
    command = ["plastimatch", "convert", "--input", str(folder), "--output-prefix", str(out)]
    command += ["--prefix-format", "nrrd", *(["--xor-contours"] if xor else [])]
    subprocess.run(command, check=True, capture_output=True)


def rewritten(folder: Path, out: Path) -> tuple[Path, Path]:
    """Copies of a series and of its structure set whose contours name the nearest slice.

    rt-utils places contours by the images that they name, and refuses or loses all others.

    Returns:
        Folder of the series, file of the structure set; below `out`.
    """
    images, sets = out / "images", out / "structures.dcm"
    if sets.exists():
        return images, sets
    images.mkdir(parents=True)
    places: dict[str, float] = {}
    for path in sorted(folder.iterdir()):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        if dataset.SOPClassUID == CTImageStorage:
            shutil.copy(path, images / path.name)
            places[dataset.SOPInstanceUID] = float(dataset.ImagePositionPatient[2])
        else:
            structures = pydicom.dcmread(path)
    _point_at(structures, places)
    structures.save_as(sets)
    return images, sets


def _point_at(structures: Dataset, places: dict[str, float]) -> None:
    """Let contours name the nearest of `places` (UID -> z), and the set name no other.

    A contour farther than half a slice from all of them keeps its name, which no tool finds.
    """
    uids, levels = list(places), np.array(list(places.values()))
    reach = np.diff(np.sort(levels)).min() / 2
    for contour in _contours(structures):
        away = np.abs(levels - np.mean([float(value) for value in contour.ContourData[2::3]]))
        if away.min() <= reach:
            contour.ContourImageSequence = [_image(uids[int(away.argmin())])]
    for frame in structures.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            for series in study.get("RTReferencedSeriesSequence") or []:
                series.ContourImageSequence = [_image(uid) for uid in uids]


def _image(uid: str) -> Dataset:
    made = Dataset()
    made.ReferencedSOPClassUID = CTImageStorage
    made.ReferencedSOPInstanceUID = uid
    return made


def _contours(structures: Dataset) -> Iterator[Dataset]:
    for roi in structures.ROIContourSequence:
        for contour in roi.get("ContourSequence") or []:
            if contour.get("ContourData"):
                yield contour


def rt_utils_masks(images: Path, structures: Path) -> dict[str, Mask]:
    """Masks of rt-utils by region, (slices, rows, columns); those that it cannot draw are absent.

    Raises:
        ImportError: rt-utils is not installed.
    """
    from rt_utils import RTStructBuilder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        builder = RTStructBuilder.create_from(str(images), str(structures))
        found = {}
        for name in builder.get_roi_names():
            try:
                found[name] = builder.get_roi_mask_by_name(name).transpose(2, 0, 1)
            except Exception:  # noqa: BLE001 - points and empty regions raise anything
                continue
    return found


def dice(one: Mask, other: Mask) -> float:
    """Twice the shared voxels over all; 1 where both are empty."""
    whole = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero(one & other) / whole if whole else 1.0


def distance_to_edge(roi: Roi, grid: Grid, voxel: NDArray[np.int64]) -> float:
    """Of a voxel's centre to the nearest edge of the contours on its slice, in pixels."""
    nearest = np.inf
    for contour in roi.contours:
        placed = grid.indices(contour)
        if abs(placed[:, 0].mean() - voxel[0]) > 0.5:
            continue
        start = placed[:, 1:] - voxel[1:]
        along = np.roll(start, -1, axis=0) - start
        length = np.maximum((along**2).sum(1), 1e-30)
        share = np.clip(-(start * along).sum(1) / length, 0, 1)
        foot = start + share[:, None] * along
        nearest = min(nearest, float(np.hypot(*foot.T).min()))
    return nearest
