"""Files of a folder of images, and the scans that they make up. Names and paths stay in here."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.base.errors import DataError
from harness.base.text import counted
from harness.data.dicom.walk import refuse
from harness.data.volume_files import HEADERS, SEGMENTATIONS, VOXELS, suffix_of
from harness.data.voxel_files import composed

OTHER_SOURCES = {".dcm": "dicom", ".dicom": "dicom", ".ima": "dicom"}
KINDS = {
    *OTHER_SOURCES, *VOXELS, ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".gz", ".bz2", ".xz",
    ".zip", ".7z", ".rar", ".tar", ".tgz", ".part", ".crdownload", ".tmp", ".bak", ".mat", ".npy",
    ".npz", ".h5", ".hdf5", ".mnc", ".mgz", ".mgh", ".vtk", ".vti", ".vtp", ".stl", ".obj", ".tif",
    ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".pdf", ".csv", ".tsv", ".txt", ".json", ".xml",
    ".yaml", ".yml", ".xls", ".xlsx", ".doc", ".docx", ".md",
}  # fmt: skip
"""Endings that a message may show; what else stands behind a point may be a part of a name."""
PART = re.compile(
    r"(?i)(cts?|img|images?|volumes?|masks?|labels?|structures?|seg(mentation)?s?|rois?|contours?|"
    r"oars?|organs?)"
)
"""Names of folders that are no patient but a part of one."""


@dataclass(frozen=True)
class File:
    """A volume, or another file that a layout needs.

    Attributes:
        number: place in the private list of files; what messages name.
        folder: its folders below the root.
        stem: name without the ending of a volume, each letter spelt in one way.
        seen: size and modification time, ns; of a header also those of what lies beside it.
    """

    number: int
    path: Path = field(repr=False)
    folder: tuple[str, ...] = field(repr=False)
    stem: str = field(repr=False)
    seen: tuple[int, ...]

    @property
    def is_segmentation(self) -> bool:
        """Whether its name says that 3D Slicer wrote it, with segments in its header."""
        return self.path.name.lower().endswith(SEGMENTATIONS)


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
        image: the CT; None where there is none.
        problem: why it cannot be read, in words without names; "" if nothing but files lack.
    """

    identity: str = field(repr=False)
    image: File | None
    masks: tuple[Mask, ...] = ()
    problem: str = ""


def one_image(folder: tuple[str, ...], images: Sequence[File], masks: Sequence[Mask]) -> Case:
    """The case of a folder; its problem where several files are its image."""
    identity = "/".join(folder) or "."
    if len(images) < 2:
        return Case(identity, images[0] if images else None, tuple(masks))
    numbers = ", ".join(str(image.number) for image in images)
    return Case(
        identity,
        None,
        tuple(masks),
        f"one file of a patient must be its image, but got {len(images)} (files {numbers}); narrow "
        "data.images.image, or move the others away",
    )


@dataclass(frozen=True)
class Others:
    """Files that are no volumes: how many of each ending lie in each folder below the root."""

    counts: dict[tuple[str, ...], Counter[str]] = field(repr=False)

    def all(self) -> str:
        """How a sentence that finds nothing goes on; "" where there are none."""
        return _listed(self.counts.values())

    def beside(self, case: Case) -> str:
        """The same of the folders of a case, and those below; of the root, its own files alone."""
        files = [case.image, *(mask.file for mask in case.masks)]
        own = {home_of(file.folder) for file in files if file}
        return _listed(
            count
            for folder, count in self.counts.items()
            if folder in own or any(folder[: len(at)] == at for at in own if at)
        )


def home_of(folder: tuple[str, ...]) -> tuple[str, ...]:
    """The folder of the patient whose part a folder is."""
    while folder and PART.fullmatch(folder[-1]):
        folder = folder[:-1]
    return folder


def _listed(counts: Iterable[Counter[str]]) -> str:
    parts = []
    found = sum(counts, Counter[str]())
    for ending, count in sorted(found.items(), key=lambda item: (item[0] == "", -item[1])):
        kind = f"{ending} file" if ending else "file of another kind"
        source = OTHER_SOURCES.get(ending)
        reads = f", which source `{source}` reads" if source else ""
        parts.append(counted(count, kind, kind.replace("file", "files")) + reads)
    return "".join(f", and {part}" for part in parts)


def list_files(root: Path) -> tuple[list[File], Others]:
    """All volumes below `root`, in path order, of linked folders last, and what else is there;
    without hidden files.

    Raises:
        DataError: there is no such folder, or it cannot be listed.
    """
    if not root.is_dir():
        raise DataError(
            "data.root must be a folder of NRRD, NIfTI or MetaImage files, but got none of that "
            "name; check data.root"
        )
    files: list[File] = []
    counts: dict[tuple[str, ...], Counter[str]] = {}
    for at, volumes, others in _folders(root):
        folder = tuple(map(composed, at.relative_to(root).parts))
        headed = any(suffix_of(path.name) in HEADERS for path in volumes)
        for path in volumes:
            stem = composed(path.name[: -len(suffix_of(path.name))])
            seen = _seen([path, *others] if suffix_of(path.name) in HEADERS else [path])
            files.append(File(len(files) + 1, path, folder, stem, seen))
        endings = [_ending(path.name) for path in others]
        counts[folder] = Counter(end for end in endings if not (headed and end in VOXELS))
    return files, Others(counts)


def _folders(root: Path) -> Iterator[tuple[Path, list[Path], list[Path]]]:
    """Each folder with its volumes and its other files."""
    for folder, files in _tree(root):
        paths = [Path(folder, name) for name in sorted(files) if not name.startswith(".")]
        # Opening a pipe would wait for its writer; a link to nowhere stays and is refused.
        usual = [path for path in paths if path.is_file() or not path.exists()]
        lost = sum(not path.exists() and not _ending(path.name) for path in usual)
        if lost:  # of folders that are not mounted, as far as one can see
            raise DataError(
                "every link below data.root must lead to a file or folder, but in one folder "
                f"{lost} lead nowhere; repair them or take them out"
            )
        volumes = [path for path in usual if suffix_of(path.name)]
        yield Path(folder), volumes, [path for path in usual if not suffix_of(path.name)]


def _tree(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Folders that are not hidden and the names of their files. Links are followed, each folder
    once by its real path, and after all folders of their own name; not those that lead above it."""
    read, starts = set[str](), [str(root)]
    for start in starts:
        if start != str(root) and root.is_relative_to(os.path.realpath(start)):
            continue
        for folder, names, files in os.walk(start, onerror=refuse):
            if (real := os.path.realpath(folder)) in read:
                names.clear()
                continue
            read.add(real)
            names[:] = sorted(name for name in names if not name.startswith("."))
            starts += [at for at in (os.path.join(folder, n) for n in names) if os.path.islink(at)]
            yield folder, files


def _ending(name: str) -> str:
    """What stands behind the points of a name, as far as it is a kind of file."""
    parts = name.lower().split(".")[1:]
    while parts and any(f".{part}" not in KINDS for part in parts):
        parts = parts[1:]
    return "".join(f".{part}" for part in parts)


def _seen(paths: Sequence[Path]) -> tuple[int, ...]:
    """Sizes and modification times; nothing of what cannot be looked at."""
    seen = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        seen += [status.st_size, status.st_mtime_ns]
    return tuple(seen)


def plain_name(stem: str, owner: str) -> str:
    """A mask's or an image's name without its owner's in front of it ("P1_Parotid_L" of "P1")."""
    match = re.fullmatch(rf"(?i){re.escape(owner)}[_\-. ]+(.+)", stem) if owner else None
    return match[1] if match else stem
