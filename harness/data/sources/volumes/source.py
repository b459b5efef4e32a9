"""Source `images`: CT images with masks or label maps, as NRRD, NIfTI and MetaImage files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.files import digest_of
from harness.config.data import DataConfig, ImagesConfig
from harness.data.dicom.names import is_named, listed
from harness.data.dicom.other_names import quoted
from harness.data.dicom.private import Pseudonyms, write_private_json
from harness.data.nrrd_files import read_segments
from harness.data.scan import Excluded, Reference, Scan, contoured
from harness.data.sources.volumes.cases import Case, File, Mask, list_files
from harness.data.sources.volumes.folders import LABEL_MAP
from harness.data.sources.volumes.grids import (
    UNSAID_MM,
    VolumeGrid,
    hounsfield,
    inside,
    open_image,
    open_mask,
)
from harness.data.sources.volumes.layouts import find_cases
from harness.data.volume_files import Form
from harness.data.voxel_files import composed

NO_IMAGE = (
    "a scan must have a CT image with its masks, but there is none{}; add it under the name that "
    "its layout gives it (docs/own-data.md)"
)


class ImageFolder:
    """Patients of a folder of NRRD, NIfTI and MetaImage files.

    Args:
        root: the folder.
        structures: names to read.
        patterns: regular expressions of mask names per structure.
        config: how the folder is laid out.
        private: folder for the pseudonym key and the list of files.

    Raises:
        DataError: there is no such folder.
    """

    def __init__(
        self,
        root: Path,
        structures: Sequence[str],
        patterns: Mapping[str, Sequence[str]],
        config: ImagesConfig,
        private: Path,
    ) -> None:
        self._root = root.resolve()
        self._structures = tuple(structures)
        self._patterns = {n: [composed(each) for each in those] for n, those in patterns.items()}
        self._config = config
        self._private = private
        self._pseudonyms = Pseudonyms(private)
        self._files, self._others = list_files(self._root)

    def patients(self) -> list[Reference]:
        """Everyone with an image or with masks, by pseudonym.

        Raises:
            DataError: nobody is there.
        """
        people: dict[str, list[Case]] = {}
        cases = find_cases(self._root, self._files, self._config, self._others.all())
        for case in cases:
            people.setdefault(self._pseudonyms.of(self._person(case)), []).append(case)
        self._write_lists(people)
        return [
            Reference(patient, tuple(cases), _signature(cases, self._config.nifti_form))
            for patient, cases in sorted(people.items())
        ]

    def read(self, reference: Reference) -> Scan | Excluded:
        """One patient; of several scans the one with most of the wanted structures."""
        best: Scan | None = None
        reasons: list[str] = []
        labels: list[str] = []
        for case in reference.location:
            names: list[str] = []
            try:
                scan = self._read(reference.patient, case, names)
            except DataError as error:
                reasons.append(str(error))
                labels += names
                continue
            if best is None or len(scan.masks) > len(best.masks):
                best = scan
        if best is None:
            return Excluded(reference.patient, "; ".join(dict.fromkeys(reasons)), tuple(labels))
        return _with_notes(best, len(reference.location), reasons)

    def read_bare(self, reference: Reference) -> Scan:
        """One patient's image, of the one case there is; no mask of the structures may have voxels.

        Raises:
            DataError: one has, there are several cases, or the image cannot be read.
        """
        if len(reference.location) > 1:
            raise DataError(
                "a patient without structures must have one image, but got "
                f"{len(reference.location)}; leave the others out"
            )
        (case,) = reference.location
        hu, grid = self._image(case)
        masks, drawn = self._with_segments(case.masks), _Masks(grid, self._config.nifti_form)
        named = self._by_structure(masks)
        having = [name for name, those in named.items() if drawn.one(name, those) is not None]
        if having:
            raise contoured(having)
        labels = tuple(dict.fromkeys(mask.name for mask in masks))
        return Scan(reference.patient, hu, {}, grid.affine, None, tuple(drawn.notes), labels)

    def _person(self, case: Case) -> str:
        """What the case's name says of its person; the whole name where it says nothing."""
        match = re.search(composed(self._config.patient_pattern or r"(?!)"), case.identity)
        return (match[1] if match else None) or case.identity

    def _read(self, patient: str, case: Case, labels: list[str]) -> Scan:
        masks = self._with_segments(case.masks)
        labels += dict.fromkeys(mask.name for mask in masks)
        self._whole(case)
        named = self._named(masks, self._others.beside(case))
        hu, grid = self._image(case)
        masks_of = _Masks(grid, self._config.nifti_form)
        volumes, notes = {}, masks_of.notes
        for structure, those in named.items():
            mask = masks_of.one(structure, those)
            if mask is None:
                notes.append(f"{structure} is not contoured")
            else:
                volumes[structure] = mask
        if not volumes:
            raise DataError("masks must have voxels, but those of all wanted structures are empty")
        return Scan(patient, hu, volumes, grid.affine, None, tuple(notes), tuple(labels))

    def _image(self, case: Case) -> tuple[NDArray[Any], VolumeGrid]:
        """The case's image, HU, and its grid.

        Raises:
            DataError: there is none, or it cannot be read.
        """
        file = self._whole(case)
        with _of(file):
            values, grid = open_image(file.path, self._config.nifti_form)
            return hounsfield(values), grid

    def _whole(self, case: Case) -> Any:
        """The file of a case's image; raises DataError where the case lacks one or is none."""
        if case.image is None or case.problem:
            raise DataError(case.problem or NO_IMAGE.format(self._others.beside(case)))
        return case.image

    def _with_segments(self, masks: Sequence[Mask]) -> list[Mask]:
        """Segments instead of the files that hold them; a file of one has its own name or the
        segment's."""
        split: list[Mask] = []
        for mask in masks:
            if not mask.file.is_segmentation:
                split.append(mask)
                continue
            with _of(mask.file):
                segments = read_segments(mask.file.path)
                if segments and mask.values:
                    raise DataError(
                        "a segmentation that names its segments must not have labels as well, for "
                        "both may differ; leave data.images.labels out"
                    )
                if len(segments) == 1 and self._is_named_by_file(mask.name, segments[0].name):
                    split.append(replace(mask, layer=segments[0].layer))
                    continue
            split += [
                Mask(s.name, mask.file, () if s.value is None else (s.value,), s.layer)
                for s in segments
            ] or [mask]
        return split

    def _is_named_by_file(self, file: str, segment: str) -> bool:
        """Whether a file of one segment says what it is, and not its segment alone.

        Raises:
            DataError: each says that it is another structure.
        """
        by_file, by_segment = map(self._structures_of, (file, segment))
        if by_file and by_segment and by_file.isdisjoint(by_segment):
            raise DataError(
                "a segmentation and its one segment must be named alike, but got "
                f"{quoted(file)} and {quoted(segment)}; rename one of them"
            )
        return bool(by_file) or not (by_segment or LABEL_MAP.fullmatch(file))

    def _structures_of(self, name: str) -> set[str]:
        """What is called so, as names of ROIs are looked up, and by its own name; not only what is
        wanted."""
        return {
            structure
            for structure in (*self._structures, *self._patterns)
            if name == composed(structure) or is_named(name, structure, self._patterns)
        }

    def _by_structure(self, masks: Sequence[Mask]) -> dict[str, list[Mask]]:
        return {
            name: [mask for mask in masks if name in self._structures_of(mask.name)]
            for name in self._structures
        }

    def _named(self, masks: Sequence[Mask], others: str) -> dict[str, list[Mask]]:
        """The masks of each structure, looked up as names of ROIs are, and by its own name.

        Raises:
            DataError: there is none of any; the names are listed, and what `others` says.
        """
        named = self._by_structure(masks)
        if any(named.values()):
            return named
        wanted = ", ".join(self._structures)
        names = listed({mask.name for mask in masks})
        raise DataError(
            f"{wanted} must have masks, but got {names or 'no mask beside the image'}{others}"
            f"{'; see data.patterns' if names else ''}"
        )

    def _write_lists(self, people: Mapping[str, Sequence[Case]]) -> None:
        """Who and what the pseudonyms and file numbers stand for."""
        files = {str(file.number): str(file.path) for file in self._files}
        patients = {name: ", ".join(c.identity for c in cases) for name, cases in people.items()}
        write_private_json(self._private / "files.json", {"files": files, "patients": patients})


class _Masks:
    """Masks on the grid of one image; the file that was read last is kept, for label maps."""

    def __init__(self, grid: VolumeGrid, form: Form | None) -> None:
        self.notes: list[str] = []
        self._grid, self._form = grid, form
        self._read: tuple[tuple[int, int | None], NDArray[Any]] | None = None

    def one(self, structure: str, masks: Sequence[Mask]) -> NDArray[np.bool_] | None:
        """The mask of a structure; None where it is empty or not there.

        Raises:
            DataError: two have voxels, or one cannot be used.
        """
        drawn = [(mask, self._draw(mask)) for mask in masks]
        there = [(mask, voxels) for mask, voxels in drawn if voxels.any()]
        if len(there) > 1:
            both = ", ".join(f"{quoted(mask.name)} (file {mask.file.number})" for mask, _ in there)
            raise DataError(
                f"one mask must match {structure}, but got {both}; narrow "
                f"data.patterns.{structure}, or leave one"
            )
        return there[0][1] if there else None

    def _draw(self, mask: Mask) -> NDArray[np.bool_]:
        file, key = mask.file, (mask.file.number, mask.layer)
        with _of(file):
            if self._read is None or self._read[0] != key:
                self._read = None  # makes room first
                values, gap = open_mask(
                    file.path, mask.layer, self._grid, file.is_segmentation, self._form
                )
                self._read = key, values
                self._note(gap, file)
            return inside(self._read[1], mask.values)

    def _note(self, gap_mm: float, file: File) -> None:
        note = f"file {file.number}: a mask's header lies up to {gap_mm:.3g} mm beside its image's"
        if gap_mm > UNSAID_MM and note not in self.notes:
            self.notes.append(note)


@contextmanager
def _of(file: File) -> Iterator[None]:
    """Say in an error which file it is about."""
    try:
        yield
    except DataError as error:
        raise DataError(f"file {file.number}: {error}") from error


def _with_notes(scan: Scan, scans: int, reasons: Sequence[str]) -> Scan:
    notes = [f"a scan is not used: {reason}" for reason in reasons]
    if scans > len(reasons) + 1:
        notes.append(f"{scans} scans of this patient; the one with most structures is used")
    return replace(scan, notes=(*scan.notes, *notes))


def _signature(cases: Sequence[Case], form: Form | None) -> str:
    """Changes when a file does, or what is read of it; not when other patients come."""

    def seen(file: File | None) -> list[int]:
        return list(file.seen) if file else []

    read = [
        [seen(c.image), [[m.name, list(m.values), *seen(m.file)] for m in c.masks], c.problem]
        for c in cases
    ]
    return digest_of([read, form])


def make(config: DataConfig, folder: Path) -> ImageFolder:
    """The source of `data.source: images`; `folder` keeps what must stay private."""
    if config.folder is None:
        raise DataError("data.root must name a folder of volume files, but got nothing")
    return ImageFolder(config.folder, config.structures, config.patterns, config.images, folder)
