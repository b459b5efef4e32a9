"""Who is in a folder, and what their regions are called; no voxel of an image is read."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base.console import Console
from harness.base.errors import DataError
from harness.base.text import counted, first_of
from harness.commands.inspect.command import FILE
from harness.config.data import DicomConfig, ImagesConfig
from harness.data.dicom.names import is_named
from harness.data.dicom.pairing import Claim, Images, Refused, choose, judge
from harness.data.dicom.people import folder_files
from harness.data.dicom.raster import NO_VOXEL, encloses
from harness.data.dicom.series import Opened, all_series
from harness.data.dicom.usual_names import USUAL_NAMES
from harness.data.dicom.walk import SETS, Header, held, no_folder
from harness.data.scan import Excluded, Reference
from harness.data.sources.dicom import READ, DicomFolder
from harness.data.sources.volumes.cases import list_files
from harness.data.sources.volumes.source import ImageFolder

NO_MASK = "a patient must have masks beside the image, but got none"
MOST_REASONS = 5
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Person:
    """A patient with CT and contoured regions.

    Attributes:
        reference: what a source reads the patient by.
        place: where the first file lies, below the folder.
        names: of the contoured regions, as they are written.
        structures: of those with usual names, the ones that `prepare` would take.
    """

    reference: Reference
    place: str
    names: frozenset[str]
    structures: frozenset[str]

    def has(self, structure: str, patterns: Mapping[str, Sequence[str]]) -> bool:
        """Whether the structure is there, by its patterns where it has any."""
        if structure in patterns:
            return any(is_named(name, structure, patterns) for name in self.names)
        return structure in self.structures


@dataclass(frozen=True)
class Looked:
    """What a folder holds.

    Attributes:
        source: what reads it: "dicom" or "images".
        people: usable patients, in the order of their files.
        reasons: why each other patient cannot be used; files by their names.
        files: path below the folder of each file number.
    """

    source: str
    people: tuple[Person, ...]
    reasons: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def names(self) -> list[tuple[str, int]]:
        """Names of regions with how many patients have them, most frequent first."""
        counts = Counter(name for person in self.people for name in person.names)
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))

    @property
    def why(self) -> str:
        """Why patients cannot be used: how many for each reason."""
        found = Counter(self.reasons).most_common()
        return first_of([f"{count}: {reason}" for reason, count in found], MOST_REASONS)


def look(root: Path, private: Path, console: Console) -> Looked:
    """Look at every patient of a folder of DICOM, else of volume files.

    Args:
        private: folder for what sources must keep to themselves.

    Raises:
        DataError: nobody in it has CT and contours; the sentence says what is there.
    """
    if not root.is_dir():
        raise DataError(
            f"harness init needs a folder of patients, but got '{root}': {no_folder(root)}; check "
            "the path"
        )
    with console.progress() as progress:
        progress.start("look", f"look at every file in '{root}'")
        headers = folder_files(root, private / "dicom", DicomConfig())
        found = _dicom(root, private, headers, lambda n, of: progress.update("look", n, f"of {of}"))
        if not found.people:
            found = _volumes(root, private, found.reasons)
        progress.finish("look", counted(len(found.people), "patient") + " with CT and contours")
    if not found.people and any(root.rglob("pt_*/ct.csv")):
        raise DataError(
            f"harness init reads DICOM, NIfTI, NRRD and MetaImage, but got OpenKBP in '{root}'; "
            "its experiments are written: harness run experiments/openkbp/smoke.yaml "
            f"-s data.root={shlex.quote(str(root))}"
        )
    if not found.people:
        without = f"{counted(len(found.reasons), 'patient')} who cannot be used ({found.why})"
        what = without if found.reasons else held(headers)
        raise DataError(
            "harness init needs patients with CT and contours (DICOM series with structure sets, "
            f"or NIfTI, NRRD or MetaImage files with masks), but got {what} in '{root}'; name the "
            "folder that holds them (docs/own-data.md has the layouts that are read)"
        )
    return found


def _dicom(root: Path, private: Path, headers: Sequence[Header], progress: Progress) -> Looked:
    if not any(header.kind in READ for header in headers):
        return Looked("dicom", ())
    references = DicomFolder(root, (), {}, private / "dicom").patients()
    references.sort(key=lambda reference: str(reference.location[0].path))
    files = _below(root, (header.path for header in headers))
    images, people, reasons = Images(headers), [], []
    for number, reference in enumerate(references):
        progress(number, len(references))
        place = Path(files[reference.location[0].number - 1]).parent.as_posix()
        found = _person(reference, place, images)
        if isinstance(found, Person):
            people.append(found)
        else:
            reasons.append(named(found, files))
    return Looked("dicom", tuple(people), tuple(reasons), files)


def _person(reference: Reference, place: str, images: Images) -> Person | str:
    """A patient by the rule of `prepare`, or in words why it is none."""
    headers: Sequence[Header] = reference.location
    stacks = list(all_series([header for header in headers if header.kind == "ct"]))
    judged = [judge(header, stacks, images) for header in headers if header.kind in SETS]
    rois = [roi for entry in judged if isinstance(entry, Claim) for roi in entry.rois]
    names = frozenset(roi.name for roi in rois if roi.contours)
    if not names:
        return _why_not(stacks, judged, "a structure")
    usual = [s for s in USUAL_NAMES if any(is_named(name, s, {}) for name in names)]
    taken = frozenset(s for s in usual if not _why_not(stacks, judged, s))
    return Person(reference, place, names, taken)


def _why_not(stacks: Sequence[Opened], judged: Sequence[Claim | Refused], structure: str) -> str:
    """Why `prepare` would not take the structure of a patient, "" if it would."""
    try:
        chosen = choose(stacks, judged, (structure,), {})
    except DataError as error:
        return str(error)
    drawn = any(encloses(roi.contours, chosen.series.planes) for roi, _ in chosen.rois.values())
    return "" if drawn else NO_VOXEL


def _volumes(root: Path, private: Path, reasons: Sequence[str]) -> Looked:
    """Patients of volume files; `reasons` are those of a DICOM folder that has nobody usable."""
    files, _ = list_files(root.resolve())
    if not files:
        return Looked("dicom", (), tuple(reasons))
    source = ImageFolder(root, (), {}, ImagesConfig(), private / "images")
    try:
        references = source.patients()
    except DataError as error:
        return Looked("images", (), (*reasons, str(error)))
    references.sort(key=lambda reference: str(reference.location[0].identity))
    paths = _below(root, (file.path for file in files))
    people, refused = [], list(reasons)
    for reference in references:
        found = source.read(reference)  # asked for no structure, it reads no voxels
        assert isinstance(found, Excluded)
        usable = [case for case in reference.location if case.image and not case.problem]
        names = frozenset(found.labels)
        if usable and names:
            usual = frozenset(s for s in USUAL_NAMES if any(is_named(n, s, {}) for n in names))
            people.append(Person(reference, reference.location[0].identity, names, usual))
        else:
            refused.append(named(NO_MASK if usable else found.reason, paths))
    return Looked("images", tuple(people), tuple(refused), paths)


def named(reason: str, files: Sequence[str]) -> str:
    """A reason with files by their names: this is said to a person at their own data."""
    return FILE.sub(lambda match: f"'{shown(files[int(match[1]) - 1])}'", reason)


def shown(name: str) -> str:
    """A name on one line."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _below(root: Path, paths: Iterable[Any]) -> tuple[str, ...]:
    return tuple(Path(path).relative_to(root.resolve()).as_posix() for path in paths)
