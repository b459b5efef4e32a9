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
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
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
    places = range(order.slices) if order.index % 2 else reversed(range(order.slices))
    for instance, place in enumerate(places, 1):
        made = _ct(order, anatomy, day, place, instance)
        _write(images / f"1-{instance:0{width}d}.dcm", made, ExplicitVRLittleEndian)
    made = _structure_set(order, anatomy, day)
    _write(study / f"3.000000-RTSTRUCT-{number:05d}" / "1-1.dcm", made, ImplicitVRLittleEndian)


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
    made = Dataset()
    made.SOPInstanceUID = sop
    made.PatientName = f"Phantom^Number {order.index}^^^"
    made.PatientID = order.patient_id
    made.PatientBirthDate = ""
    made.PatientSex = "O"
    made.StudyInstanceUID = order.uid("study")
    made.FrameOfReferenceUID = order.uid("frame")
    made.PositionReferenceIndicator = ""
    made.StudyDate = made.SeriesDate = made.ContentDate = day.strftime("%Y%m%d")
    made.StudyTime = made.SeriesTime = made.ContentTime = "120000"
    made.StudyID = "1"
    made.StudyDescription = "Made-up head and neck"
    made.AccessionNumber = made.ReferringPhysicianName = ""
    made.Manufacturer = "none: procedural phantom"
    made.Modality = modality
    return made


def _ct(order: Order, anatomy: Anatomy, day: date, place: int, instance: int) -> Dataset:
    lattice, (apart, down, across) = anatomy.lattice, order.spacing_mm
    made = _common(order, day, "CT", order.uid("image", place))
    made.SOPClassUID = CTImageStorage
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.SeriesInstanceUID = order.uid("series")
    made.SeriesNumber, made.InstanceNumber, made.AcquisitionNumber = 2, instance, 1
    made.PatientPosition = "HFS"
    corner = np.array([lattice.x[0], lattice.y[0], lattice.z[place]]) + ORIGIN_MM
    made.ImagePositionPatient = _decimals(corner)
    made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    made.PixelSpacing = _decimals((down, across))
    made.SliceThickness = _decimals((apart,))[0]
    made.KVP = 120
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = lattice.shape[1:]
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PixelRepresentation = 0
    made.RescaleIntercept, made.RescaleSlope, made.RescaleType = INTERCEPT, 1, "HU"
    made.WindowCenter, made.WindowWidth = 40, 400
    made.PixelData = (anatomy.hu[place].astype(np.int32) - INTERCEPT).astype("<u2").tobytes()
    return made


def _decimals(values: Sequence[float] | Vector) -> list[str]:
    return [format_number_as_ds(float(value)) for value in np.round(values, 6)]


def _structure_set(order: Order, anatomy: Anatomy, day: date) -> Dataset:
    made = _common(order, day, "RTSTRUCT", order.uid("structures"))
    made.SOPClassUID = RTStructureSetStorage
    made.SeriesInstanceUID = order.uid("structure series")
    made.SeriesNumber, made.InstanceNumber = 3, 1
    made.StructureSetLabel = "Contours"
    made.StructureSetDate, made.StructureSetTime = made.StudyDate, "130000"
    made.ReferencedFrameOfReferenceSequence = Items([_references(order)])
    made.StructureSetROISequence, made.ROIContourSequence = Items(), Items()
    made.RTROIObservationsSequence = Items()
    contours = anatomy.contours()
    for structure, names in (OTHER_NAMES | PAROTID_NAMES).items():
        name = names[int(order.uid("name", structure)[-6:]) % len(names)]
        shapes = [_contour(order, anatomy, ring) for ring in contours[structure]]
        _add_roi(order, made, name, Items(shapes))
    _add_roi(order, made, "Isocentre", Items([_point()]))
    _add_roi(order, made, "PTV 70", None)
    return made


def _references(order: Order) -> Dataset:
    frame, study, series = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = order.uid("series")
    series.ContourImageSequence = Items(
        [_image(order, place) for place in range(order.slices)],
    )
    study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
    study.ReferencedSOPInstanceUID = order.uid("study")
    study.RTReferencedSeriesSequence = Items([series])
    frame.FrameOfReferenceUID = order.uid("frame")
    frame.RTReferencedStudySequence = Items([study])
    return frame


def _image(order: Order, place: int) -> Dataset:
    image = Dataset()
    image.ReferencedSOPClassUID = CTImageStorage
    image.ReferencedSOPInstanceUID = order.uid("image", place)
    return image


def _contour(order: Order, anatomy: Anatomy, ring: Vector) -> Dataset:
    made = Dataset()
    place = int(np.abs(anatomy.lattice.z - ring[0, 2]).argmin())
    made.ContourImageSequence = Items([_image(order, place)])
    made.ContourGeometricType = "CLOSED_PLANAR"
    made.NumberOfContourPoints = len(ring)
    made.ContourData = [f"{v:.{DECIMALS}f}" for v in (ring + ORIGIN_MM).ravel()]
    return made


def _point() -> Dataset:
    made = Dataset()
    made.ContourGeometricType = "POINT"
    made.NumberOfContourPoints = 1
    made.ContourData = _decimals(ORIGIN_MM)
    return made


def _add_roi(order: Order, made: Dataset, name: str, shapes: Items | None) -> None:
    """A region; without shapes it is declared and never drawn."""
    number = len(made.StructureSetROISequence) + 1
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
    made.StructureSetROISequence.append(roi)
    made.ROIContourSequence.append(drawn)
    made.RTROIObservationsSequence.append(seen)
