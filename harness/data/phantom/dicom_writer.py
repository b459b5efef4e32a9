"""Phantoms as files: CT slices and a structure set, laid out as The Cancer Imaging Archive does.

    PHANTOM-0-0003/2001-01-04-HN planning/2.000000-CT-81923/1-01.dcm ...
    PHANTOM-0-0003/2001-01-04-HN planning/3.000000-RTSTRUCT-81923/1-1.dcm

UIDs follow from what was asked for, so that the same phantom has the same ones everywhere.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RTStructureSetStorage,
    generate_uid,
)
from pydicom.valuerep import format_number_as_ds

from harness.base.files import digest_of, write_bytes
from harness.data.phantom.anatomy import ANATOMY_VERSION, Anatomy
from harness.data.phantom.levels import Vector

ORIGIN_MM = (-3.5, -161.25, -412.5)
"""Where the phantom's middle lies in the scanner."""

INTERCEPT = -1024
DECIMALS = 3

PAROTID_NAMES = {
    "parotid_left": ("L parotid", "Parotid_L", "LT PAROTID", "Parotid Left", "Glnd_Parotid_L"),
    "parotid_right": ("R parotid", "Parotid_R", "RT PAROTID", "Parotid Right", "Glnd_Parotid_R"),
}
OTHER_NAMES = {
    "mandible": ("Mandible", "mandible", "MANDIBLE"),
    "spinal_cord": ("Spinal_Cord", "spinal_cord", "SPINAL_CORD"),
    "external": ("External", "external", "EXTERNAL"),
}


@dataclass(frozen=True)
class Order:
    """What a phantom is made from; names its files and UIDs."""

    seed: int
    index: int
    slices: int
    spacing_mm: tuple[float, float, float]

    @property
    def patient_id(self) -> str:
        """Plainly nobody."""
        return f"PHANTOM-{self.seed}-{self.index:04d}"

    def uid(self, *what: str | int) -> UID:
        """The UID of a part of this phantom."""
        asked = [self.seed, self.index, self.slices, list(self.spacing_mm), ANATOMY_VERSION]
        return generate_uid(entropy_srcs=["phantom", digest_of([asked, list(what)])])


def write_patient(folder: Path, order: Order, anatomy: Anatomy) -> None:
    """Write all files of one phantom below `folder`."""
    day = date(2001, 1, 1) + timedelta(days=order.index)
    number = int(str(order.uid("series"))[-5:])
    study = folder / f"{day.isoformat()}-HN planning"
    images = study / f"2.000000-CT-{number:05d}"
    width = max(len(str(order.slices)), 2)
    # Scanners number from either end; the reader must go by position.
    slices = range(order.slices) if order.index % 2 else reversed(range(order.slices))
    for instance, index in enumerate(slices, 1):
        dataset = _ct(order, anatomy, day, index, instance)
        _write(images / f"1-{instance:0{width}d}.dcm", dataset, ExplicitVRLittleEndian)
    dataset = _structure_set(order, anatomy, day)
    _write(study / f"3.000000-RTSTRUCT-{number:05d}" / "1-1.dcm", dataset, ImplicitVRLittleEndian)


def _write(path: Path, dataset: Dataset, syntax: UID) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    content = io.BytesIO()
    dataset.file_meta = meta
    dataset.save_as(content, enforce_file_format=True)
    write_bytes(path, content.getvalue())


def _common(order: Order, day: date, modality: str, sop: UID) -> Dataset:
    dataset = Dataset()
    dataset.SOPInstanceUID = sop
    dataset.PatientName = f"Phantom^Number {order.index}^^^"
    dataset.PatientID = order.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.StudyInstanceUID = order.uid("study")
    dataset.FrameOfReferenceUID = order.uid("frame")
    dataset.PositionReferenceIndicator = ""
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = day.strftime("%Y%m%d")
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = "120000"
    dataset.StudyID = "1"
    dataset.StudyDescription = "Made-up head and neck"
    dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.Manufacturer = "none: procedural phantom"
    dataset.Modality = modality
    return dataset


def _ct(order: Order, anatomy: Anatomy, day: date, index: int, instance: int) -> Dataset:
    lattice, (apart, down, across) = anatomy.lattice, order.spacing_mm
    dataset = _common(order, day, "CT", order.uid("image", index))
    dataset.SOPClassUID = CTImageStorage
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesInstanceUID = order.uid("series")
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.AcquisitionNumber = 2, instance, 1
    dataset.PatientPosition = "HFS"
    corner = np.array([lattice.x[0], lattice.y[0], lattice.z[index]]) + ORIGIN_MM
    dataset.ImagePositionPatient = _decimals(corner)
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = _decimals((down, across))
    dataset.SliceThickness = _decimals((apart,))[0]
    dataset.KVP = 120
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = lattice.shape[1:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = INTERCEPT, 1, "HU"
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    dataset.PixelData = (anatomy.hu[index].astype(np.int32) - INTERCEPT).astype("<u2").tobytes()
    return dataset


def _decimals(values: Sequence[float] | Vector) -> list[str]:
    return [format_number_as_ds(float(value)) for value in np.round(values, 6)]


def _structure_set(order: Order, anatomy: Anatomy, day: date) -> Dataset:
    dataset = _common(order, day, "RTSTRUCT", order.uid("structures"))
    dataset.SOPClassUID = RTStructureSetStorage
    dataset.SeriesInstanceUID = order.uid("structure series")
    dataset.SeriesNumber, dataset.InstanceNumber = 3, 1
    dataset.StructureSetLabel = "Contours"
    dataset.StructureSetDate, dataset.StructureSetTime = dataset.StudyDate, "130000"
    dataset.ReferencedFrameOfReferenceSequence = [_references(order)]
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    dataset.RTROIObservationsSequence = []
    contours = anatomy.contours()
    for structure, names in (OTHER_NAMES | PAROTID_NAMES).items():
        name = names[int(order.uid("name", structure)[-6:]) % len(names)]
        shapes = [_contour(order, anatomy, ring) for ring in contours[structure]]
        _add_roi(order, dataset, name, shapes)
    _add_roi(order, dataset, "Isocentre", [_point()])
    _add_roi(order, dataset, "PTV 70", None)
    return dataset


def _references(order: Order) -> Dataset:
    frame, study, series = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = order.uid("series")
    series.ContourImageSequence = [_image(order, index) for index in range(order.slices)]
    study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
    study.ReferencedSOPInstanceUID = order.uid("study")
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = order.uid("frame")
    frame.RTReferencedStudySequence = [study]
    return frame


def _image(order: Order, index: int) -> Dataset:
    image = Dataset()
    image.ReferencedSOPClassUID = CTImageStorage
    image.ReferencedSOPInstanceUID = order.uid("image", index)
    return image


def _contour(order: Order, anatomy: Anatomy, ring: Vector) -> Dataset:
    contour = Dataset()
    index = int(np.abs(anatomy.lattice.z - ring[0, 2]).argmin())
    contour.ContourImageSequence = [_image(order, index)]
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.NumberOfContourPoints = len(ring)
    points = "\\".join(f"{v:.{DECIMALS}f}" for v in (ring + ORIGIN_MM).ravel()).encode()
    points += b" " * (len(points) % 2)
    # As it will lie in the file: pydicom takes longer to check thousands of points than to write.
    tag = Tag("ContourData")
    contour[tag] = RawDataElement(tag, "DS", len(points), points, 0, True, True)
    return contour


def _point() -> Dataset:
    contour = Dataset()
    contour.ContourGeometricType = "POINT"
    contour.NumberOfContourPoints = 1
    contour.ContourData = _decimals(ORIGIN_MM)
    return contour


def _add_roi(order: Order, dataset: Dataset, name: str, shapes: list[Dataset] | None) -> None:
    """A region; without shapes it is declared and never drawn."""
    number = len(dataset.StructureSetROISequence) + 1
    roi, drawn, seen = Dataset(), Dataset(), Dataset()
    roi.ROINumber, roi.ROIName = number, name
    roi.ReferencedFrameOfReferenceUID = order.uid("frame")
    roi.ROIGenerationAlgorithm = "AUTOMATIC"
    drawn.ReferencedROINumber = number
    drawn.ROIDisplayColor = [255, 40 * number % 256, 90]
    if shapes is not None:
        drawn.ContourSequence = shapes
    seen.ObservationNumber, seen.ReferencedROINumber = number, number
    seen.RTROIInterpretedType, seen.ROIInterpreter = "", ""
    dataset.StructureSetROISequence.append(roi)
    dataset.ROIContourSequence.append(drawn)
    dataset.RTROIObservationsSequence.append(seen)
