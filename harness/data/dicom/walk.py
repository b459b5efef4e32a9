"""Which DICOM files a folder holds, and every other file with the reason why it is ignored.

Headers are read once per unchanged file (size and modification time). What was read is kept in the
source's private folder, with the list that resolves file numbers to paths; both have mode 0600.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_preamble
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    RTStructureSetStorage,
    SegmentationStorage,
)

from harness.base.denied import why
from harness.base.errors import DataError
from harness.base.files import read_note, with_digest
from harness.base.text import counted
from harness.data.dicom.private import write_private_json

# pydicom quotes values of broken files in its log and warnings; they may name a person.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

CACHE_VERSION = 3
_TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "PatientID",
    "PatientName",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "ImageType",
    "NumberOfFrames",
    "SeriesDescription",
    "StructureSetLabel",
    "StructureSetName",
    "ContentLabel",
]
_SET_NAMES = {
    "rtstruct": ("StructureSetLabel", "StructureSetName"),
    "seg": ("ContentLabel", "SeriesDescription"),
}
_PREAMBLE = 128
_NIFTI = 344  # bytes before the four that say NIfTI
_CHUNK = 2**14  # bytes of a deflated file inflated at once; they may be a thousand times as many
MOST_INFLATED = 2**28  # bytes that a deflated file may hold; else a small one could fill the memory
IMAGES: dict[str, str] = {
    CTImageStorage: "ct",
    EnhancedCTImageStorage: "ct",
    LegacyConvertedEnhancedCTImageStorage: "ct",
    MRImageStorage: "mr",
}
"""Kinds of slices by their SOP class; a source of CT reads the first alone."""
_SETS: dict[str, str] = {
    RTStructureSetStorage: "rtstruct",
    SegmentationStorage: "seg",
    "1.2.840.10008.5.1.4.1.1.66.7": "seg",  # Label Map Segmentation Storage
}
SETS = ("rtstruct", "seg")
"""Kinds of structure sets: contours, and masks."""


NO_DICOM = "not a readable DICOM file"


@dataclass(frozen=True)
class Header:
    """What grouping needs to know of a file.

    Attributes:
        number: place in the private list of files; what messages name.
        path: absolute; never printed.
        size, mtime_ns: as last seen.
        kind: of `IMAGES` or `SETS`, or "" for a file that is ignored.
        patient: digest of the patient ID, no identifier; "" without one until `people.py` finds it.
        study, series, frame, sop: UIDs, "" where missing.
        reason: why the file is ignored; "" if it is not.
        described: what people called the series or structure set; never printed.
    """

    number: int
    path: str
    size: int
    mtime_ns: int
    kind: str = ""
    patient: str = ""
    study: str = ""
    series: str = ""
    frame: str = ""
    sop: str = ""
    reason: str = ""
    described: str = ""


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without warnings: for whatever parses files, since elements are parsed when asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@quietly()
def walk(root: Path, private: Path | None) -> list[Header]:
    """Headers of all files below `root`, in path order.

    Args:
        private: folder of what was read before; None remembers nothing.

    Raises:
        DataError: there is no such folder, or it cannot be listed.
    """
    if not root.is_dir():
        raise DataError(
            "data.root must be a folder of DICOM files, but got none of that name; check data.root"
        )
    cache = _load(private / "headers.json") if private else {}
    headers = [_header(number, path, cache) for number, path in enumerate(_files(root), 1)]
    known = {header.path: asdict(header) for header in headers}
    if private and known != cache:
        cache_file = with_digest({"version": CACHE_VERSION, "files": known})
        write_private_json(private / "headers.json", cache_file)
    return headers


def digest(identity: str) -> str:
    """What stands for an identity in the program: never printed, nothing leads back from it."""
    return hashlib.sha256(identity.encode(errors="backslashreplace")).hexdigest()[:24]


def _load(path: Path) -> dict[str, dict[str, Any]]:
    kept = read_note(path)
    return kept["files"] if kept is not None and kept["version"] == CACHE_VERSION else {}


def refuse(error: OSError) -> NoReturn:
    """Of a folder that cannot be listed, as `os.walk` meets it."""
    raise DataError(
        "every folder below data.root must be readable, but one is not "
        f"({why(error, named=False)}); check its permissions"
    ) from error


def _files(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root.resolve(), onerror=refuse):
        names.sort()
        links = [name for name in names if os.path.islink(os.path.join(folder, name))]
        yield from (Path(folder, name) for name in sorted([*files, *links]))


def _header(number: int, path: Path, cache: dict[str, dict[str, Any]]) -> Header:
    try:
        status = path.stat()
    except OSError:
        return Header(number, str(path), 0, 0, reason="it cannot be opened")
    seen = (number, str(path), status.st_size, status.st_mtime_ns)
    if stat.S_ISDIR(status.st_mode):  # it could lead anywhere, back here too
        return Header(*seen, reason="it is a link to a folder, which is not followed")
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for its writer
        return Header(*seen, reason="it is not an ordinary file")
    if not os.access(path, os.R_OK):
        return Header(*seen, reason="its permissions do not let it be read")
    known = cache.get(str(path))
    if known and (known["size"], known["mtime_ns"]) == (status.st_size, status.st_mtime_ns):
        return Header(**{**known, "number": number})
    dataset = read(path, _TAGS)
    if dataset is None:
        return Header(*seen, reason=f"it is {_what_is(path)}")
    if len(dataset) == 0:
        return Header(*seen, reason="it has no DICOM header")
    return _described(seen, dataset)


def no_folder(path: Path) -> str:
    """Why a path is no folder of patients, and what to do."""
    if not path.exists():
        return "there is none of that name; check the path"
    reason = _header(1, path, {}).reason
    return "it is a file; name its folder" if reason in ("", f"it is {NO_DICOM}") else reason


def held(headers: Sequence[Header]) -> str:
    """Files that cannot be used, in words: how many and, of most, why."""
    reasons = Counter(header.reason for header in headers if header.reason).most_common(3)
    why = ", ".join(f"{count}: {reason}" for reason, count in reasons)
    return f"{counted(len(headers), 'file')} without either ({why})" if headers else "no file"


def _what_is(path: Path) -> str:
    """What a file that is no DICOM is, by its first bytes, and what to do with it."""
    with open(path, "rb") as file:
        head = file.read(_NIFTI + 4)
    if head[_NIFTI:] in (b"n+1\0", b"ni1\0") or path.name.lower().endswith(".nii.gz"):
        return "a NIfTI volume, which the source `images` reads"
    if head[:4] == b"NRRD":
        return "an NRRD volume, which the source `images` reads"
    if head[:4] in (b"PK\3\4", b"7z\xbc\xaf", b"Rar!") or head[:2] == b"\x1f\x8b":
        return "an archive; unpack it"
    return NO_DICOM


def _described(seen: tuple[int, str, int, int], dataset: Dataset) -> Header:
    identity = text(dataset, "PatientID").strip()
    header = Header(
        *seen,
        patient=digest(identity) if identity else "",
        study=text(dataset, "StudyInstanceUID"),
        series=text(dataset, "SeriesInstanceUID"),
        frame=text(dataset, "FrameOfReferenceUID"),
        sop=text(dataset, "SOPInstanceUID"),
    )
    storage = text(dataset, "SOPClassUID")
    if kind := _SETS.get(storage, ""):
        names = [text(dataset, name) for name in _SET_NAMES[kind]]
        return replace(header, kind=kind, described="\n".join(names))
    if storage == MediaStorageDirectoryStorage:
        return replace(header, reason="it is a DICOMDIR, which lists the files that lie beside it")
    if storage not in IMAGES:
        name = UID(storage).name  # of the standard's dictionary, else the UID itself
        known = "something else" if name == storage else name
        return replace(header, reason=f"it is neither CT nor MR nor a structure set, but {known}")
    if "LOCALIZER" in text(dataset, "ImageType").upper():
        return replace(header, reason="it is a localiser")
    described = text(dataset, "SeriesDescription")
    return replace(header, kind=IMAGES[storage], described=described)


def read(path: Path, tags: Sequence[str] | None = None, pixels: bool = False) -> Dataset | None:
    """A data set; None if the file is no DICOM, too broken to parse, inflates to more than
    `MOST_INFLATED`, or is cut off.

    Args:
        tags: keywords to read, also of a file that is cut off; None reads everything but pixels.
        pixels: read pixels, too.
    """
    chosen = list(tags) if tags is not None else None
    try:
        bare = _looks_bare(path)
        if _inflates_too_far(path, bare):
            return None
        dataset = pydicom.dcmread(
            path, stop_before_pixels=not pixels, specific_tags=chosen, force=bare
        )
    except Exception:  # noqa: BLE001 - broken files raise anything; the caller names the file
        return None
    return dataset if tags is not None or is_whole(dataset) else None


def is_whole(dataset: Dataset) -> bool:
    """False where an element is shorter than it says: pydicom reads cut files without a word."""
    return all(
        element.length in (len(element.value or b""), 0xFFFFFFFF)
        for element in dataset.values()
        if isinstance(element, RawDataElement) and isinstance(element.value, bytes | None)
    )


def _inflates_too_far(path: Path, bare: bool) -> bool:
    with open(path, "rb") as file:
        read_preamble(file, force=bare)
        meta = read_dataset(file, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
        if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
            return False
        inflated, inflate = 0, zlib.decompressobj(-zlib.MAX_WBITS)
        while inflated <= MOST_INFLATED and (chunk := file.read(_CHUNK)):
            inflated += len(inflate.decompress(chunk))
        return inflated > MOST_INFLATED


def _looks_bare(path: Path) -> bool:
    """True for a file without preamble that begins with a DICOM tag of group 2 or 8."""
    with open(path, "rb") as file:
        head = file.read(_PREAMBLE + 4)
    return head[_PREAMBLE:] != b"DICM" and head[:2] in (b"\x02\x00", b"\x08\x00", b"\x00\x08")


def frame_name(sop: str, number: int) -> str:
    """What stands for a frame, counted from 1, beside the SOP instance UID of its file."""
    return f"{sop}#{number}"


def text(dataset: Dataset, keyword: str) -> str:
    """An element as text, "" where it is missing or cannot be read."""
    try:
        value = dataset.get(keyword)
        if value is None:
            return ""
        if isinstance(value, bytes):
            return value.decode("latin-1")
        several = isinstance(value, Iterable) and not isinstance(value, str)
        return "\\".join(map(str, value)) if several else str(value)
    except Exception:  # noqa: BLE001 - elements are parsed when asked for
        return ""
