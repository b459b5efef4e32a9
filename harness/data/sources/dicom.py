"""Source `dicom`: a folder of patients, any layout, CT series with RTSTRUCT files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.files import digest_of
from harness.config.data import DataConfig, DicomConfig
from harness.data.dicom.geometry import canonical_axes, reorient, reorient_affine
from harness.data.dicom.names import match
from harness.data.dicom.pairing import most_complete
from harness.data.dicom.private import Pseudonyms, write_private_json
from harness.data.dicom.raster import draw
from harness.data.dicom.series import Series, all_series, read_hu
from harness.data.dicom.walk import Header, walk
from harness.data.scan import Excluded, Reference, Scan

_READ = ("ct", "rtstruct")


class DicomFolder:
    """Patients of a DICOM folder.

    Args:
        root: the folder; every file below it is looked at.
        structures: names to read.
        patterns: regular expressions of ROI names per structure.
        private: folder for the pseudonym key, the headers and the list of files.
        key: a fixed pseudonym key, for patients who are nobody.
        chosen: which series and structure sets to look at.

    Raises:
        DataError: there is no such folder.
    """

    def __init__(
        self,
        root: Path,
        structures: Sequence[str],
        patterns: Mapping[str, Sequence[str]],
        private: Path,
        key: bytes | None = None,
        chosen: DicomConfig | None = None,
    ) -> None:
        self._structures = tuple(structures)
        self._patterns = patterns
        self._private = private
        self._pseudonyms = Pseudonyms(private, key)
        wanted = chosen or DicomConfig()
        self._overlap = wanted.overlap
        self._headers = [_chosen(header, wanted) for header in walk(root, private)]

    def patients(self) -> list[Reference]:
        """Everyone with a CT slice or a structure set, by pseudonym.

        Raises:
            DataError: nobody is there.
        """
        people: dict[str, list[Header]] = {}
        for header in self._headers:
            if header.kind in _READ:
                people.setdefault(self._pseudonyms.of(header.patient), []).append(header)
        if not people:
            count = len(self._headers)
            raise DataError(
                "a DICOM folder must hold CT slices and RTSTRUCT files, but got "
                f"{f'{count} files without either' if count else 'no files'}; check data.root"
            )
        self._write_lists(people)
        return [
            Reference(patient, tuple(headers), _signature(headers))
            for patient, headers in sorted(people.items())
        ]

    def ignored(self) -> list[tuple[int, str]]:
        """Files that are not used: number in the private list, reason."""
        return [
            (header.number, header.reason or "it is an MR slice, not CT")
            for header in self._headers
            if header.kind not in _READ
        ]

    def read(self, reference: Reference) -> Scan | Excluded:
        """One patient, with the structure set that has most of the wanted structures."""
        labels: list[str] = []
        try:
            return self._read(reference.patient, reference.location, labels)
        except DataError as error:
            return Excluded(reference.patient, str(error), tuple(labels))

    def _read(self, patient: str, headers: Sequence[Header], labels: list[str]) -> Scan:
        slices = [header for header in headers if header.kind == "ct"]
        sets = [header for header in headers if header.kind == "rtstruct"]
        if not slices or not sets:
            lacking = "structure set" if slices else "CT slices"
            raise DataError(
                f"a patient must have CT slices and a structure set, but got no {lacking}"
            )
        series, notes = _all_series(slices)
        wanted = partial(match, structures=self._structures, patterns=self._patterns)
        chosen = most_complete(sets, series, wanted, notes, labels)
        hu = read_hu(chosen.series)
        masks = {}
        for structure, roi in chosen.rois.items():
            drawn = draw(roi.contours, chosen.series.grid, self._overlap)
            notes += [f"{structure}: {words}" for words in (*drawn.notes, *roi.left_out)]
            if drawn.mask.any():
                masks[structure] = drawn.mask
        if not masks:
            raise DataError("contours must enclose voxels of the CT series, but none does")
        missing = [name for name in self._structures if name not in masks]
        notes += [f"{name} is not contoured" for name in missing]
        return _canonical(patient, hu, masks, chosen.series, notes, labels)

    def _write_lists(self, people: Mapping[str, Sequence[Header]]) -> None:
        """Who and what the pseudonyms and file numbers stand for."""
        files = {str(header.number): header.path for header in self._headers}
        patients = {name: str(Path(series[0].path).parent) for name, series in people.items()}
        write_private_json(self._private / "files.json", {"files": files, "patients": patients})


def _chosen(header: Header, wanted: DicomConfig) -> Header:
    """The header, ignored with the reason if the config asks for others."""
    for kind, pattern, name in (
        ("ct", wanted.series, "data.dicom.series"),
        ("rtstruct", wanted.structure_sets, "data.dicom.structure_sets"),
    ):
        if header.kind == kind and pattern and not re.search(pattern, header.described):
            return replace(header, kind="", reason=f"{name} asks for others")
    return header


def _all_series(slices: Sequence[Header]) -> tuple[list[tuple[Series, str]], list[str]]:
    """Series of a patient with their frames of reference; unusable ones become notes.

    Raises:
        DataError: none is usable.
    """
    found = list(all_series(slices))
    usable = [(series, of[0].frame) for of, series, _ in found if series]
    reasons = [reason for _, series, reason in found if not series]
    if not usable:
        raise DataError("; ".join(reasons))
    return usable, [f"a CT series of {len(found)} is not used: {reason}" for reason in reasons]


def _canonical(
    patient: str,
    hu: NDArray[np.int16],
    masks: Mapping[str, NDArray[np.bool_]],
    series: Series,
    notes: Sequence[str],
    labels: Sequence[str],
) -> Scan:
    axes, flips = canonical_axes(series.grid.affine)
    affine = reorient_affine(series.grid.affine, series.grid.shape, axes, flips)
    turned = {name: reorient(mask, axes, flips) for name, mask in masks.items()}
    hu = reorient(hu, axes, flips)
    return Scan(patient, hu, turned, affine, None, tuple(notes), tuple(labels))


def _signature(headers: Sequence[Header]) -> str:
    return digest_of(sorted([header.sop, header.size, header.mtime_ns] for header in headers))


def make(config: DataConfig, folder: Path) -> DicomFolder:
    """The source of `data.source: dicom`; `folder` keeps what must stay private."""
    if config.folder is None:
        raise DataError("data.root must name a folder of DICOM files, but got nothing")
    return DicomFolder(
        config.folder, config.structures, config.patterns, folder, chosen=config.dicom
    )
