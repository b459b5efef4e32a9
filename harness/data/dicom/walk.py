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
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, RTStructureSetStorage

from harness.base.errors import DataError
from harness.base.files import read_json
from harness.data.dicom.private import write_private_json

# pydicom quotes values of broken files in its log and warnings; they may name a person.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

CACHE_VERSION = 1
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
]
_PREAMBLE = 128


@dataclass(frozen=True)
class Header:
    """What grouping needs to know of a file.

    Attributes:
        number: place in the private list of files; what messages name.
        path: absolute; never printed.
        size, mtime_ns: as last seen.
        kind: "ct", "rtstruct", or "" for a file that is ignored.
        patient: digest of the patient ID (of the study where there is none), no identifier.
        study, series, frame, sop: UIDs, "" where missing.
        reason: why the file is ignored; "" if it is not.
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


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without warnings: for whatever parses files, since elements are parsed when asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@quietly()
def walk(root: Path, private: Path) -> list[Header]:
    """Headers of all files below `root`, in path order.

    Raises:
        DataError: there is no such folder, or it cannot be listed.
    """
    if not root.is_dir():
        raise DataError(
            "data.root must be a folder of DICOM files, but got none of that name; check data.root"
        )
    cache = _load(private / "headers.json")
    headers = [_header(number, path, cache) for number, path in enumerate(_files(root), 1)]
    known = {header.path: asdict(header) for header in headers}
    if known != cache:
        write_private_json(private / "headers.json", {"version": CACHE_VERSION, "files": known})
    return headers


def _load(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    kept = read_json(path)
    files: dict[str, dict[str, Any]] = kept["files"] if kept["version"] == CACHE_VERSION else {}
    return files


def _files(root: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise DataError(
            "every folder below data.root must be readable, but one is not "
            f"({error.strerror}); check its permissions"
        ) from error

    for folder, names, files in os.walk(root.resolve(), onerror=refuse):
        names.sort()
        yield from (Path(folder, name) for name in sorted(files))


def _header(number: int, path: Path, cache: dict[str, dict[str, Any]]) -> Header:
    try:
        found = path.stat()
    except OSError:
        return Header(number, str(path), 0, 0, reason="it cannot be opened")
    seen = (number, str(path), found.st_size, found.st_mtime_ns)
    if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for its writer
        return Header(*seen, reason="it is not an ordinary file")
    known = cache.get(str(path))
    if known and (known["size"], known["mtime_ns"]) == (found.st_size, found.st_mtime_ns):
        return Header(**{**known, "number": number})
    dataset = read(path, _TAGS)
    if dataset is None:
        return Header(*seen, reason="it is not a readable DICOM file")
    if len(dataset) == 0:
        return Header(*seen, reason="it has no DICOM header")
    return _described(seen, dataset)


def _described(seen: tuple[int, str, int, int], dataset: Dataset) -> Header:
    identity = text(dataset, "PatientID") or text(dataset, "StudyInstanceUID")
    header = Header(
        *seen,
        patient=hashlib.sha256(identity.strip().encode()).hexdigest()[:24],
        study=text(dataset, "StudyInstanceUID"),
        series=text(dataset, "SeriesInstanceUID"),
        frame=text(dataset, "FrameOfReferenceUID"),
        sop=text(dataset, "SOPInstanceUID"),
    )
    storage = text(dataset, "SOPClassUID")
    if storage == RTStructureSetStorage:
        return replace(header, kind="rtstruct")
    if storage != CTImageStorage:
        return replace(header, reason="it is neither a CT slice nor a structure set")
    if "LOCALIZER" in text(dataset, "ImageType").upper():
        return replace(header, reason="it is a localiser")
    return replace(header, kind="ct")


def read(path: Path, tags: Sequence[str] | None = None) -> Dataset | None:
    """A data set without pixels; None if the file is no DICOM or too broken to parse.

    Args:
        tags: keywords to read; None reads everything but pixels.
    """
    chosen = list(tags) if tags is not None else None
    try:
        return pydicom.dcmread(
            path, stop_before_pixels=True, specific_tags=chosen, force=_looks_bare(path)
        )
    except Exception:  # noqa: BLE001 - broken files raise anything; the caller names the file
        return None


def _looks_bare(path: Path) -> bool:
    """True for a file without preamble that begins with a DICOM tag of group 2 or 8."""
    with open(path, "rb") as file:
        head = file.read(_PREAMBLE + 4)
    return head[_PREAMBLE:] != b"DICM" and head[:2] in (b"\x02\x00", b"\x08\x00", b"\x00\x08")


def text(dataset: Dataset, keyword: str) -> str:
    """An element as text, "" where it is missing or cannot be read."""
    try:
        value = dataset.get(keyword)
    except Exception:  # noqa: BLE001 - elements are parsed when asked for
        return ""
    if value is None:
        return ""
    if isinstance(value, str | bytes):
        return value.decode("latin-1") if isinstance(value, bytes) else str(value)
    try:
        return "\\".join(str(part) for part in value)
    except TypeError:
        return str(value)
