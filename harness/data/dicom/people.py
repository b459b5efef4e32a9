"""Whose files these are: people by patient ID; a file without one joins through what it names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.base.errors import DataError
from harness.config.data import DicomConfig
from harness.data.dicom.segmentation import read_set
from harness.data.dicom.walk import IMAGES, SETS, Header, digest, walk


def folder_files(root: Path, private: Path | None, wanted: DicomConfig) -> list[Header]:
    """Headers of all files below a folder, each with its patient; those that the config does not
    ask for are ignored with the reason.

    Args:
        private: as of `walk`.

    Raises:
        DataError: as of `walk`.
    """
    return [_asked(header, wanted) for header in with_patients(walk(root, private))]


def _asked(header: Header, wanted: DicomConfig) -> Header:
    is_set = header.kind in SETS
    pattern = wanted.structure_sets if is_set else wanted.series
    if not header.kind or not pattern or re.search(pattern, header.described):
        return header
    name = "structure_sets" if is_set else "series"
    return replace(header, kind="", reason=f"data.dicom.{name} asks for others")


def with_patients(headers: Sequence[Header]) -> list[Header]:
    """Give a file without a patient ID the one of the images that it names, of the series that it
    names, of its own series or of its study, or of the structure sets that name its series: the
    first of these that all belong to one patient.
    Files that find none belong together where a study, a series or what they name ties them."""
    owners: dict[str, set[str]] = {}
    for header in headers:
        if header.patient:
            for uid in (header.sop, header.series, header.study):
                owners.setdefault(uid, set()).add(header.patient)
    series_of = {header.sop: header.series for header in headers}
    claimed = _claimed(headers, series_of)
    alone, found = _Tied(), dict[int, str]()
    for header in headers:
        if header.kind and not header.patient:
            images, series = _names(header)
            places = [(owners, of) for of in (images, series, {header.series}, {header.study})]
            for known, uids in (*places, (claimed, {header.series})):
                owner = set[str]().union(*(known.get(uid, ()) for uid in uids if uid))
                if len(owner) == 1:
                    found[header.number] = owner.pop()
                    break
            else:
                named = series | {series_of[uid] for uid in images if uid in series_of}
                ties = [f"series {uid}" for uid in {header.series, *named}]
                alone.tie(header.number, [*ties, f"study {header.study}"])
    found |= {number: digest(name) for number, name in alone.groups()}
    return [replace(h, patient=found.get(h.number, h.patient)) for h in headers]


def _claimed(headers: Sequence[Header], series_of: Mapping[str, str]) -> dict[str, set[str]]:
    """The patients of the structure sets that name each series, or images of it, where images have
    no patient ID."""
    claimed: dict[str, set[str]] = {}
    if any(header.kind in IMAGES.values() and not header.patient for header in headers):
        for header in headers:
            if header.kind in SETS and header.patient:
                images, series = _names(header)
                for uid in series | {series_of.get(uid, "") for uid in images}:
                    claimed.setdefault(uid, set()).add(header.patient)
    return claimed


def _names(header: Header) -> tuple[frozenset[str], frozenset[str]]:
    """UIDs of the images and series that a structure set names; none for other files."""
    if header.kind in SETS:
        try:
            structures = read_set(header)
        except DataError:  # it is said where the set is drawn
            return frozenset(), frozenset()
        return structures.images, structures.series
    return frozenset(), frozenset()


class _Tied:
    """Files that belong together since they share a name, or share one with a third."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self._names: dict[int, str] = {}

    def tie(self, file: int, names: Sequence[str]) -> None:
        """Tie a file to everything that has one of the names."""
        roots = [self._root(name) for name in names]
        for root in roots:
            self._parents[root] = max(roots)
        self._names[file] = roots[0]

    def groups(self) -> Iterator[tuple[int, str]]:
        """Each file with the last, in order, of the names that tie its group."""
        return ((file, self._root(name)) for file, name in self._names.items())

    def _root(self, name: str) -> str:
        while self._parents.setdefault(name, name) != name:
            name = self._parents[name]
        return name
