"""Phantoms under the names of people: in every text element, in private tags, in the names of
folders and files. Some of them are broken."""

from __future__ import annotations

from pathlib import Path

import pydicom
from factories.planted import PLANTED, PLANTED_NUMBER, UIDS, plant, raw
from pydicom.dataset import Dataset

from harness.config.data import PhantomConfig
from harness.data.dicom.names import is_named
from harness.data.sources.phantom import write_phantoms

ROI = "Neuromancer"
"""Part of the names of a ROI that everybody has, and one that a structure's expression finds."""

BROKEN = ("cut off", "no pixels", "no set", "two of a name")
GEOMETRY = (
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
    "RescaleSlope", "RescaleIntercept", "Rows", "Columns", "PixelRepresentation",
    "FrameOfReferenceUID",
)  # fmt: skip


def planted(root: Path, phantoms: PhantomConfig) -> Path:
    """Phantoms under the names of people, in folders and files that say so; some are broken."""
    made = write_phantoms(root / "made", phantoms)
    home = root / f"{PLANTED} clinic"
    for number, patient in enumerate(sorted(made.iterdir())):
        for index, file in enumerate(sorted(patient.rglob("*.dcm"))):
            dataset = pydicom.dcmread(file)
            uids = {k: str(dataset[k].value) for k in ("StudyInstanceUID", "SeriesInstanceUID")}
            kept = {k: dataset[k] for k in GEOMETRY if k in dataset}
            if index == 0 or dataset.Modality == "RTSTRUCT":  # thousands of elements
                plant(dataset, f"{PLANTED_NUMBER}{number}")
            for keyword in ("PatientName", "SeriesDescription", "OperatorsName"):
                raw(dataset, keyword, "LO", f"{PLANTED} {PLANTED_NUMBER}")
            raw(dataset, "PatientID", "LO", f"{PLANTED}-{PLANTED_NUMBER}{number}")
            for keyword, element in kept.items():
                dataset[keyword] = element
            for keyword, value in uids.items():
                raw(dataset, keyword, "UI", f"{UIDS}.{value[-20:]}")
            private = dataset.private_block(0x0011, PLANTED, create=True)
            private.add_new(0x01, "LO", f"{PLANTED} {PLANTED_NUMBER}")
            if dataset.Modality == "RTSTRUCT":
                _name_rois(dataset, number)
            if number < len(BROKEN):
                dataset = spoilt(dataset, BROKEN[number])
            place = home / f"{PLANTED}_{PLANTED_NUMBER}{number}" / f"{PLANTED}-{index}.dcm"
            place.parent.mkdir(parents=True, exist_ok=True)
            if dataset is not None:
                dataset.save_as(place)
        if number == BROKEN.index("cut off"):
            place.write_bytes(place.read_bytes()[:900])
    (home / f"letter to {PLANTED}.txt").write_text(PLANTED)
    return home


def _name_rois(dataset: Dataset, number: int) -> None:
    """Names that say who somebody is, with quotes in them, and of each patient another."""
    regions = list(dataset.StructureSetROISequence)
    [left] = [r for r in regions if "par" in r.ROIName.lower() and is_left(r.ROIName)]
    others = [roi for roi in regions if "par" not in roi.ROIName.lower()]
    others[0].ROIName = f"GTV 'O'{ROI}' {number}"
    if number == len(BROKEN):
        left.ROIName = f"Ohr li {ROI}"


def is_left(name: str) -> bool:
    return is_named(name, "parotid_left", {})


def spoilt(dataset: Dataset, how: str) -> Dataset | None:
    structures = dataset.Modality == "RTSTRUCT"
    if how == "no pixels" and not structures and dataset.InstanceNumber == 3:
        dataset.PixelData = dataset.PixelData[:50]
    if how == "no set" and structures:
        return None
    if how == "two of a name" and structures:
        for roi in dataset.StructureSetROISequence[:2]:
            roi.ROIName = "Parotid_L"
    return dataset
