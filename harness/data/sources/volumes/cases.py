"""Files of a folder of images, and the scans that they make up. Names and paths stay in here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.base.errors import DataError
from harness.data.dicom.walk import refuse
from harness.data.volume_files import suffix_of

NO_IMAGE = (
    "a scan must have a CT image with its masks, but there is none; add it under the name that its "
    "layout gives it (docs/own-data.md)"
)


@dataclass(frozen=True)
class File:
    """A volume, or another file that a layout needs.

    Attributes:
        number: place in the private list of files; what messages name.
        folder: its folders below the root.
        stem: name without the ending of a volume.
        size, mtime_ns: as last seen; 0 where the file cannot be looked at.
    """

    number: int
    path: Path = field(repr=False)
    folder: tuple[str, ...] = field(repr=False)
    stem: str = field(repr=False)
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Mask:
    """A structure's mask: a whole file, or where a layer of it has one of `values`."""

    name: str
    file: File
    values: tuple[int, ...] = ()
    layer: int | None = None


@dataclass(frozen=True)
class Case:
    """One scan.

    Attributes:
        identity: what tells it from the others; private.
        image: the CT; None where there is none, and `problem` says so.
        problem: why it cannot be read, in words without names; "" if it can.
    """

    identity: str = field(repr=False)
    image: File | None
    masks: tuple[Mask, ...] = ()
    problem: str = ""


def make_case(folder: tuple[str, ...], image: File | None, masks: list[Mask]) -> Case:
    """The case of a folder; its problem where it has no image."""
    identity = "/".join(folder) or "."
    return Case(identity, image, tuple(masks), "" if image else NO_IMAGE)


def list_files(root: Path) -> list[File]:
    """All volumes below `root`, in path order; hidden files are left out.

    Raises:
        DataError: there is no such folder, or it cannot be listed.
    """
    if not root.is_dir():
        raise DataError(
            "data.root must be a folder of NRRD or NIfTI files, but got none of that name; check "
            "data.root"
        )
    return [_file(number, path, root) for number, path in enumerate(_volumes(root), 1)]


def _volumes(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root, onerror=refuse):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder, name)
            # Opening a pipe would wait for its writer; a link to nowhere stays and is refused.
            usual = path.is_file() or not path.exists()
            if suffix_of(name) and not name.startswith(".") and usual:
                yield path


def _file(number: int, path: Path, root: Path) -> File:
    stem = path.name[: -len(suffix_of(path.name))]
    folder = path.relative_to(root).parts[:-1]
    try:
        status = path.stat()
    except OSError:
        return File(number, path, folder, stem, 0, 0)
    return File(number, path, folder, stem, status.st_size, status.st_mtime_ns)


def plain_name(stem: str, owner: str) -> str:
    """A mask's or an image's name without its owner's in front of it ("P1_Parotid_L" of "P1")."""
    match = re.fullmatch(rf"(?i){re.escape(owner)}[_\-. ]+(.+)", stem) if owner else None
    return match[1] if match else stem
