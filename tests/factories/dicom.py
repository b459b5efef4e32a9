"""Small DICOM folders written with pydicom: CT series of any geometry, and structure sets."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
from numpy.typing import NDArray
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage

from harness.base.errors import DataError
from harness.data.dicom.series import Series, all_series
from harness.data.dicom.walk import Header

UID = "1.2.826.0.1.3680043.8.498"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
STORED_OFFSET = 1024


def uid(*numbers: int) -> str:
    return ".".join([UID, *map(str, numbers)])


def placed(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float] = (3.0, 1.0, 1.0),
    orientation: Sequence[float] = AXIAL,
    origin: Sequence[float] = (-20.0, -30.0, 100.0),
    shear: Sequence[float] = (0.0, 0.0, 0.0),
) -> NDArray[np.float64]:
    """Affine (slice, row, column, 1) -> LPS mm of a series; `shear` mm per slice is a tilt."""
    along_columns, along_rows = np.array(orientation[:3]), np.array(orientation[3:])
    affine = np.eye(4)
    affine[:3, 0] = np.cross(along_columns, along_rows) * spacing[0] + np.array(shear)
    affine[:3, 1] = along_rows * spacing[1]
    affine[:3, 2] = along_columns * spacing[2]
    affine[:3, 3] = origin
    return affine


def slice_dataset(pixels: NDArray[Any], affine: NDArray[np.float64], index: int) -> Dataset:
    """One CT slice of patient 1, series 1, study 1; `pixels` are HU."""
    made = Dataset()
    made.SOPClassUID = CTImageStorage
    made.SOPInstanceUID = uid(1, 1, 1, index + 1)
    made.Modality = "CT"
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.PatientID = "1"
    made.PatientName = "Nobody"
    made.StudyInstanceUID = uid(1, 1)
    made.SeriesInstanceUID = uid(1, 1, 1)
    made.FrameOfReferenceUID = uid(1, 9)
    made.InstanceNumber = index + 1
    size = np.linalg.norm(affine[:3, :3], axis=0)
    cosines = [*(affine[:3, 2] / size[2]), *(affine[:3, 1] / size[1])]
    position = affine[:3, 3] + affine[:3, 0] * index
    made.ImageOrientationPatient = [f"{value:.10f}"[:16] for value in cosines]
    made.ImagePositionPatient = [f"{value:.8f}"[:16] for value in position]
    made.PixelSpacing = [f"{size[1]:.6f}", f"{size[2]:.6f}"]
    made.SliceThickness = f"{size[0]:.4f}"
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 16, 15
    made.PixelRepresentation = 0
    made.RescaleSlope, made.RescaleIntercept = 1, -STORED_OFFSET
    made.PixelData = (np.asarray(pixels) + STORED_OFFSET).astype("<u2").tobytes()
    made["PixelData"].VR = "OW"
    return made


def series_datasets(volume: NDArray[Any], affine: NDArray[np.float64]) -> list[Dataset]:
    """All slices of a volume, along growing slice index of the affine."""
    return [slice_dataset(image, affine, index) for index, image in enumerate(volume)]


def save(dataset: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a file with preamble and file meta; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID") or uid(0)
    dataset.file_meta.TransferSyntaxUID = syntax
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some files are meant to be odd
        dataset.save_as(path, enforce_file_format=True)
    return path


def compress(source: Path, target: Path, syntax: int) -> None:
    """Encode the pixels of a file by GDCM, losslessly."""
    target.parent.mkdir(exist_ok=True)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def save_series(datasets: Sequence[Dataset], folder: Path) -> list[Path]:
    """Write slices under names whose order says nothing."""
    names = np.random.default_rng(len(datasets)).permutation(len(datasets))
    pairs = zip(datasets, names, strict=True)
    return [save(dataset, folder / f"im{name:04d}.dcm") for dataset, name in pairs]


def contour_item(points: NDArray[Any] | Sequence[float], kind: str = "CLOSED_PLANAR") -> Dataset:
    item = Dataset()
    item[0x30060042] = DataElement(0x30060042, "CS", kind, validation_mode=IGNORE)
    flat = np.ravel(points)
    item.NumberOfContourPoints = len(flat) // 3
    item.ContourData = [f"{value:.6f}"[:16] for value in flat]
    return item


def structure_dataset(
    rois: Mapping[str, Sequence[NDArray[Any] | Dataset]] | Sequence[tuple[str, Sequence[Any]]],
    *,
    images: Sequence[str] = (),
    series: str = "",
    frame: str = uid(1, 9),
    number: int = 1,
) -> Dataset:
    """An RTSTRUCT of patient 1: contours are (n, 3) points in mm, or ready contour items."""
    made = Dataset()
    made.SOPClassUID = RTStructureSetStorage
    made.SOPInstanceUID = uid(1, 1, 2, number)
    made.Modality = "RTSTRUCT"
    made.PatientID = "1"
    made.PatientName = "Nobody"
    made.StudyInstanceUID = uid(1, 1)
    made.SeriesInstanceUID = uid(1, 1, 2)
    made.StructureSetLabel = "plan"
    made.StructureSetDate, made.StructureSetTime = "20200101", "120000"
    made.ReferencedFrameOfReferenceSequence = _references(frame, series, images)
    made.StructureSetROISequence, made.ROIContourSequence = [], []
    listed = list(rois.items()) if isinstance(rois, Mapping) else list(rois)
    for place, (name, contours) in enumerate(listed, 1):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber = drawn.ReferencedROINumber = place
        roi.ROIName = name
        if frame:
            roi.ReferencedFrameOfReferenceUID = frame
        made.StructureSetROISequence.append(roi)
        if contours:
            drawn.ContourSequence = [
                entry if isinstance(entry, Dataset) else contour_item(entry) for entry in contours
            ]
        made.ROIContourSequence.append(drawn)
    return made


def _references(frame: str, series: str, images: Sequence[str]) -> list[Dataset]:
    if not frame and not series:
        return []
    entry = Dataset()
    if frame:
        entry.FrameOfReferenceUID = frame
    if series:
        study, named = Dataset(), Dataset()
        study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
        study.ReferencedSOPInstanceUID = uid(1, 1)
        named.SeriesInstanceUID = series
        named.ContourImageSequence = [_image(sop) for sop in images]
        study.RTReferencedSeriesSequence = [named]
        entry.RTReferencedStudySequence = [study]
    return [entry]


def _image(sop: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = CTImageStorage
    item.ReferencedSOPInstanceUID = sop
    return item


def to_mm(affine: NDArray[np.float64], points: NDArray[Any]) -> NDArray[np.float64]:
    """Voxel coordinates (n, 3) -> LPS mm."""
    return np.asarray(points, np.float64) @ affine[:3, :3].T + affine[:3, 3]


def rectangle(
    affine: NDArray[np.float64],
    level: float,
    rows: tuple[float, float],
    columns: tuple[float, float],
) -> NDArray[np.float64]:
    """A rectangle in voxel coordinates of one slice, as points in mm."""
    (top, bottom), (left, right) = rows, columns
    corners = [(top, left), (top, right), (bottom, right), (bottom, left)]
    return to_mm(affine, np.array([(level, row, column) for row, column in corners]))


def open_series(headers: Sequence[Header]) -> Series:
    """The one volume that files make.

    Raises:
        DataError: they make none, or several.
    """
    found = list(all_series(headers))
    usable = [series for _, series, _ in found if series]
    if len(usable) == 1:
        return usable[0]
    reasons = "; ".join(reason for _, series, reason in found if not series)
    raise DataError(
        f"slices must make one volume, but they make {len(usable)}; name one by data.dicom.series"
        if usable
        else reasons
    )
