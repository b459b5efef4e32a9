"""Which files of anyone's folder are images, by name and first bytes, and what is left out.

Links are followed, each folder and file once by its real path. Whatever is left out is counted,
whatever cannot be looked at is refused by name: these are the user's own paths.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import unicodedata
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.base.denied import why
from harness.base.errors import DataError
from harness.base.text import counted, first_of
from harness.commands.score.image_files import READ, kind_of, stem_of
from harness.data.volume_files import HEADERS, SEGMENTATIONS, VOXELS, suffix_of

SHOWN = 3

_SYSTEM = (
    *("__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information"),
    *("lost+found", "@recycle", "thumbs.db", "ehthumbs.db", "desktop.ini", "dicomdir"),
)
"""What systems leave in folders, beside hidden files; in small letters."""
_ARCHIVES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")
_OTHER_IMAGES = (
    *(".jpg", ".jpeg", ".jp2", ".jpx", ".j2k", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".heic"),
    *(".avif", ".pgm", ".ppm", ".pnm", ".exr", ".npz", ".mat", ".h5", ".hdf5", ".pkl", ".pickle"),
    *(".pt", ".img", ".mgh", ".mgz", ".mnc", ".vtk", ".vti", ".par", ".rec", ".raw"),
)
_DICOM = (".dcm", ".dicom", ".ima")
_DATA_FILE = re.compile(r"(?m)^(?:ElementDataFile *=|data ?file *:)[ \t]*(\S.*?)[ \t\r]*$")
"""How .mhd and .nhdr say where their voxels are."""
_HEADER = 1 << 16
"""Bytes of a file in which its header of text ends, voxels may follow."""
_PREAMBLE = 128
_GROUPS = (b"\x02\x00", b"\x08\x00")
"""What DICOM files without preamble begin with."""

_UNSEEN = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
"""Unicode's categories of what would break or bend a line."""

_TITLES = {
    "hidden": ("hidden or system file or folder", "hidden or system files and folders", ""),
    "again": (
        "link that leads back or to what is read already",
        "links that lead back or to what is read already",
        "",
    ),
    "archive": ("archive", "archives", "unpack what holds images"),
    "other image": (
        "image of a kind that is not read",
        "images of kinds that are not read",
        "save each as grey PNG of 8 or 16 bits, or its values with numpy.save as .npy",
    ),
    "segmentation": ("segmentation", "segmentations", ""),
    "special": ("pipe, socket or device", "pipes, sockets or devices", ""),
    "other": ("file that is no image", "files that are no images", ""),
}
"""One, several, and what to do about them."""


@dataclass(frozen=True)
class Found:
    """An image file: where it is, what it is called, and its kind."""

    path: Path
    name: str
    kind: str


@dataclass
class Left:
    """What was left out: names by group."""

    names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, group: str, name: str) -> None:
        self.names.setdefault(group, []).append(name)

    def phrases(self) -> list[str]:
        """`3 archives (a.zip, b.zip, c.zip)`, a group each."""
        return [self._phrase(group) for group in self._groups()]

    def advice(self) -> list[str]:
        """What to do about the groups, "" for nothing."""
        return [_TITLES[group][2] for group in self._groups()]

    def _groups(self) -> list[str]:
        return [group for group in _TITLES if group in self.names]

    def _phrase(self, group: str) -> str:
        names, (one, many, _) = self.names[group], _TITLES[group]
        common = [name for name, _ in Counter(names).most_common()]
        return f"{counted(len(names), one, many)} ({first_of(common, SHOWN)})"


def plain(name: str) -> str:
    """A name as composed Unicode (macOS decomposes) without control characters."""
    shown = unicodedata.normalize("NFC", name)
    return "".join("?" if unicodedata.category(c) in _UNSEEN else c for c in shown)


def is_hidden(name: str) -> bool:
    """Hidden, or a system's leftover; such a name of a folder hides all that is in it."""
    return name.startswith(".") or name.lower() in _SYSTEM


def list_images(folder: Path, side: str) -> tuple[list[Found], list[str]]:
    """The image files below `folder`, all of one kind, in order of their names; and notes.

    Args:
        side: what messages call the set.

    Raises:
        DataError: there are none or several kinds, or something cannot be looked at.
    """
    left = Left()
    found, others = [], []
    for path in _files(folder, left):
        kind = kind_of(path.name) or ("DICOM" if _is_dicom(path) else None)
        if kind:
            found.append(Found(path, plain(path.relative_to(folder).as_posix()), kind))
        else:
            others.append(path)
    heads = [file.path for file in found if suffix_of(file.path.name) in HEADERS]
    stems = {stem_of(str(path)) for path in heads}
    named = {path.with_name(_voxels_of(path)) for path in heads}
    for path in others:
        if path not in named:
            _leave(path, stems, left)
    _check_kinds(found, left, folder, side)
    found.sort(key=lambda file: file.name.split("/"))
    told = zip(left.phrases(), left.advice(), strict=True)
    return found, [f"{side}: left out {text}{advice and ': ' + advice}" for text, advice in told]


def _check_kinds(found: Sequence[Found], left: Left, folder: Path, side: str) -> None:
    counts = Counter(file.kind for file in found)
    if not counts:
        what = " and ".join(left.phrases()) or "an empty folder"
        raise DataError(
            f"the {side} images must be {READ}, or a store, but got {what} in '{folder}'; "
            f"{next(filter(None, left.advice()), 'check the path')}"
        )
    if len(counts) > 1:
        what = " and ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        raise DataError(
            f"a set must be files of one kind, but got {what} in '{folder}'; "
            "keep each kind in a folder of its own"
        )


def _files(root: Path, left: Left) -> Iterator[Path]:
    """All files below `root`, each once; links come last, so that real names go before them."""
    home = os.path.realpath(root)
    names, links, read = deque([str(root)]), deque[str](), set[str]()
    while names or links:
        linked = not names
        at = links.popleft() if linked else names.popleft()
        real = os.path.realpath(at)
        if real in read or (linked and _leads_back(at, real, home)):
            left.add("again", plain(os.path.basename(at)))
            continue
        read.add(real)
        mode = _mode(at)
        if stat.S_ISDIR(mode):
            for path in _inside(at, left):
                (links if os.path.islink(path) else names).append(path)
        elif stat.S_ISREG(mode):
            yield Path(at)
        else:  # opening a pipe would wait for its writer
            left.add("special", plain(os.path.basename(at)))


def _leads_back(at: str, real: str, home: str) -> bool:
    """Whether a link leads to a folder about itself or about the set."""
    around = Path(os.path.realpath(os.path.dirname(at)))
    return around.is_relative_to(real) or Path(home).is_relative_to(real)


def _inside(folder: str, left: Left) -> Iterator[str]:
    """Paths of what is in a folder, in order, without what is hidden."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise unreadable("folder", folder, error) from error
    for name in names:
        if is_hidden(name):
            left.add("hidden", plain(name))
        else:
            yield os.path.join(folder, name)


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except OSError as error:
        raise unreadable("link" if os.path.islink(path) else "file", path, error) from error


def unreadable(what: str, path: str, error: OSError) -> DataError:
    """The sentence that refuses a file, link or folder, by name."""
    nowhere = what == "link" and error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)
    return DataError(
        f"every {what} in a folder of images must be readable, but got '{plain(path)}' "
        f"({'it leads nowhere' if nowhere else why(error, named=False)}); repair it or take it out"
    )


def _is_dicom(path: Path) -> bool:
    """By suffix, by its preamble, or by a first tag where the name says nothing else."""
    if path.name.lower().endswith(_DICOM):
        return True
    try:
        with open(path, "rb") as file:
            head = file.read(_PREAMBLE + 4)
    except OSError as error:
        raise unreadable("file", str(path), error) from error
    # Names that are UIDs end in a number.
    bare = head[:2] in _GROUPS and not path.suffix[1:].strip("0123456789")
    return head[_PREAMBLE:] == b"DICM" or (bare and len(head) > _PREAMBLE)


def _voxels_of(head: Path) -> str:
    """The file of voxels that a header of text names; its own name where it names none."""
    try:
        with open(head, "rb") as file:
            text = os.fsdecode(file.read(_HEADER))
    except OSError as error:
        raise unreadable("file", str(head), error) from error
    match = _DATA_FILE.search(text)
    return os.path.basename(match[1]) if match else head.name


def _leave(path: Path, heads: set[str], left: Left) -> None:
    low = path.name.lower()
    voxels = next((end for end in VOXELS if low.endswith(end)), "")
    if voxels and str(path)[: -len(voxels)] in heads:
        return  # its header, which names it, is read
    if (end := suffix_of(path.name)) in SEGMENTATIONS:
        left.add("segmentation", end)
    elif low.endswith(_ARCHIVES):
        left.add("archive", plain(path.name))
    else:
        group = "other image" if low.endswith(_OTHER_IMAGES) else "other"
        left.add(group, plain(path.suffix or path.name))
