"""A name and numbers that say who somebody is, planted wherever DICOM has room for text."""

from __future__ import annotations

from pydicom.datadict import DicomDictionary
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

PLANTED = "Wintermute"
PLANTED_NUMBER = "271828182"
UIDS = "1.2.840.271828182"
SECRETS = (PLANTED, PLANTED.lower(), PLANTED.upper(), PLANTED_NUMBER)
TEXT = {"LO", "SH", "PN", "ST", "LT", "UT", "UC", "UR", "AE", "CS", "AS", "DA", "TM", "DT", "IS"}
NEEDED = {
    "Modality", "ImageType", "PhotometricInterpretation", "PatientID", "PatientName",
    "SpecificCharacterSet", "ROIName", "ContourGeometricType", "ROINumber", "ReferencedROINumber",
    "StructureSetDate", "StructureSetTime", "NumberOfContourPoints", "NumberOfFrames",
    "InstanceNumber", "TransferSyntaxUID",
}  # fmt: skip


def raw(dataset: Dataset, keyword: str, representation: str, content: str) -> None:
    """An element with this content whether it is valid or not."""
    tag = Tag(keyword)
    value = (content + " " * (len(content) % 2)).encode()
    dataset[tag] = RawDataElement(tag, representation, len(value), value, 0, False, True)


def plant(dataset: Dataset, number: str = PLANTED_NUMBER) -> Dataset:
    """Every text element of the standard's dictionary says who this is, most of them invalidly."""
    for entry in DicomDictionary.values():
        representation, many, _, retired, keyword = entry
        if representation in TEXT and keyword and not retired and keyword not in NEEDED:
            if Tag(keyword).group in (0x0000, 0x0002, 0x0004, 0x0006):
                continue
            raw(dataset, keyword, representation, f"{PLANTED}^{number}"[:16] if many else PLANTED)
    raw(dataset, "PatientName", "PN", f"{PLANTED}^Case={PLANTED}")
    raw(dataset, "PatientID", "LO", f"{PLANTED}-{number}")
    raw(dataset, "StudyInstanceUID", "UI", f"{UIDS}.1")
    raw(dataset, "SeriesInstanceUID", "UI", f"{UIDS}.2")
    raw(dataset, "FrameOfReferenceUID", "UI", PLANTED)
    return dataset
