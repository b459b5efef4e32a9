"""Source `dicom`: a folder of patients, any layout, CT series with RTSTRUCT files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.files import digest_of
from harness.config.data import DataConfig, DicomConfig
from harness.data.dicom.geometry import canonical_axes, reorient, reorient_affine
from harness.data.dicom.pairing import (
    Claim,
    Images,
    Refused,
    choose,
    held_structures,
    judge,
)
from harness.data.dicom.pairing import labels as labels_of
from harness.data.dicom.people import folder_files
from harness.data.dicom.private import Pseudonyms, write_private_json
from harness.data.dicom.raster import EMPTY, NO_VOXEL, draw
from harness.data.dicom.series import Opened, Series, all_series, read_hu
from harness.data.dicom.walk import SETS, Header, held
from harness.data.scan import Excluded, Reference, Scan, contoured

READ = ("ct", *SETS)


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
        self._chosen = wanted
        self._headers = folder_files(root, private, wanted)
        self._images = Images(self._headers)

    def patients(self) -> list[Reference]:
        """Everyone with a CT slice or a structure set, by pseudonym.

        Raises:
            DataError: nobody is there.
        """
        known = {header.patient for header in self._headers if header.kind in READ}
        people: dict[str, list[Header]] = {}
        for header in self._headers:
            if header.patient in known:  # images of other kinds, too: a set may name them
                people.setdefault(self._pseudonyms.of(header.patient), []).append(header)
        if not people:
            raise DataError(
                "a DICOM folder must hold CT slices and RTSTRUCT files, but got "
                f"{held(self._headers)}; check data.root"
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
            if header.kind not in READ
        ]

    def read(self, reference: Reference) -> Scan | Excluded:
        """One patient, with the structure set that has most of the wanted structures."""
        labels: list[str] = []
        try:
            return self._read(reference.patient, reference.location, labels)
        except DataError as error:
            return Excluded(reference.patient, str(error), tuple(labels))

    def _read(self, patient: str, headers: Sequence[Header], labels: list[str]) -> Scan:
        stacks, judged = self._judged(headers)
        labels += labels_of(judged)
        chosen = choose(stacks, judged, self._structures, self._patterns)
        notes = list(chosen.notes)
        labels[:] = chosen.labels
        masks = {}
        for structure, (roi, _) in chosen.rois.items():
            drawn = draw(roi.contours, chosen.series.planes, self._chosen.overlap)
            words = [*drawn.notes, *roi.left_out]
            if drawn.mask.any():
                masks[structure] = chosen.series.to_grid(drawn.mask)
            else:
                words.append(EMPTY)
            notes += [f"{structure}: {line}" for line in words]
        if not masks:
            raise DataError(NO_VOXEL)
        return _canonical(patient, read_hu(chosen.series), masks, chosen.series, notes, labels)

    def _judged(self, headers: Sequence[Header]) -> tuple[list[Opened], list[Claim | Refused]]:
        """A patient's CT series, usable or not, and structure sets, drawn on one of them or not."""
        stacks = list(all_series([header for header in headers if header.kind == "ct"]))
        sets = [header for header in headers if header.kind in SETS]
        trust = self._chosen.trust_positions
        return stacks, [judge(header, stacks, self._images, trust) for header in sets]

    def read_bare(self, reference: Reference) -> Scan:
        """One patient's CT, of the one series there is; no structure set may hold the structures.

        Raises:
            DataError: one does, a set cannot be read, or there is not one series.
        """
        stacks, judged = self._judged(reference.location)
        for entry in judged:
            if isinstance(entry, Refused) and entry.structures is None:
                raise DataError(entry.reason)
        having = held_structures(judged, self._structures, self._patterns)
        if having:
            raise contoured(having)
        usable = [series for _, series, _ in stacks if series]
        if len(usable) != 1:
            reasons = "; ".join(dict.fromkeys(why for _, series, why in stacks if not series))
            raise DataError(
                f"a patient without structures must have one usable CT series, but got "
                f"{len(usable)}{' (' + reasons + ')' if reasons else ''}; name one by "
                "data.dicom.series"
            )
        (series,) = usable
        hu, notes = read_hu(series), series.notes
        return _canonical(reference.patient, hu, {}, series, notes, labels_of(judged))

    def _write_lists(self, people: Mapping[str, Sequence[Header]]) -> None:
        """Who and what the pseudonyms and file numbers stand for."""
        files = {str(header.number): header.path for header in self._headers}
        patients = {name: str(Path(series[0].path).parent) for name, series in people.items()}
        write_private_json(self._private / "files.json", {"files": files, "patients": patients})


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
