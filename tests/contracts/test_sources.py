"""What every source keeps; a third party's joins by one more entry of SOURCES."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from factories import image as volumes
from factories.openkbp import write_openkbp

from harness.config.data import DataConfig
from harness.data.phantom import Order, make_anatomy, write_patient
from harness.data.scan import Excluded, Reference, Scan, Source
from harness.work.prepare.sources import make_source

SMALL = (12, (4.0, 3.0, 3.0))


def phantom(root: Path) -> DataConfig:
    slices, spacing = SMALL
    small = {"patients": 3, "slices": slices, "spacing_mm": spacing}
    return DataConfig(source="phantom", phantom=small)  # type: ignore[arg-type]


def openkbp(root: Path) -> DataConfig:
    write_openkbp(root, {"train": 2, "validation": 1, "test": 0})
    return DataConfig(source="openkbp", root=str(root))


def dicom(root: Path) -> DataConfig:
    for index in range(3):
        order = Order(5, index, *SMALL)
        write_patient(root / str(index), order, make_anatomy(5, index, *SMALL))
    return DataConfig(source="dicom", root=str(root))


def images(root: Path) -> DataConfig:
    for number in range(3):
        volumes.pddca(root, number, volumes.draw(number))
    return DataConfig(source="images", root=str(root))


SOURCES: dict[str, Callable[[Path], DataConfig]] = {
    "phantom": phantom,
    "openkbp": openkbp,
    "dicom": dicom,
    "images": images,
}
"""Name -> writes three usable patients below an empty folder and says how to read them."""


@dataclass
class Case:
    config: DataConfig
    root: Path
    work: Path
    source: Source
    references: list[Reference]
    scans: list[Scan]


@pytest.fixture(scope="module", params=SOURCES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp(request.param)
    config = SOURCES[request.param](folder / "in")
    source = make_source(config, folder / "work")
    references = list(source.patients())
    scans = [source.read(reference) for reference in references]
    usable = [scan for scan in scans if isinstance(scan, Scan)]
    assert len(usable) == len(scans) == 3, scans
    return Case(config, folder / "in", folder / "work", source, references, usable)


def test_a_scan_has_the_pseudonym_and_role_of_its_reference(case: Case) -> None:
    assert len({reference.patient for reference in case.references}) == 3
    for reference, scan in zip(case.references, case.scans, strict=True):
        assert scan.patient == reference.patient
        assert scan.role == reference.role
        assert reference.signature
        assert repr(reference.location) not in repr(reference)


def test_masks_lie_on_the_volume(case: Case) -> None:
    for scan in case.scans:
        assert set(scan.masks) <= set(case.config.structures)
        assert scan.masks
        assert scan.hu.dtype in (np.int16, np.float32)
        assert scan.hu.ndim == 3
        for mask in scan.masks.values():
            assert mask.dtype == np.bool_
            assert mask.shape == scan.hu.shape
            assert 0 < mask.sum() < mask.size


def test_axes_run_to_the_head_the_back_and_the_left(case: Case) -> None:
    for scan in case.scans:
        assert scan.affine.shape == (4, 4)
        assert (np.diag(scan.affine[:3, :3][::-1]) > 0).all()
        left, right = (
            scan.affine @ [*np.argwhere(scan.masks[f"parotid_{side}"]).mean(0), 1]
            for side in ("left", "right")
        )
        assert left[0] > right[0]


def test_hu_look_like_hu(case: Case) -> None:
    for scan in case.scans:
        assert -1024 <= scan.hu.min() < -900, "there is air"
        for mask in scan.masks.values():
            assert -120 < scan.hu[mask].mean() < 120, "structures are soft tissue"


def test_reading_again_gives_the_same(case: Case) -> None:
    """From a new source in another work folder too: only pseudonyms may differ."""
    digests = {scan.content_digest() for scan in case.scans}
    assert len(digests) == 3
    for work in (case.work, case.work.with_name("other")):
        source = make_source(case.config, work)
        references = list(source.patients())
        if work == case.work:
            assert [r.signature for r in references] == [r.signature for r in case.references]
            assert [r.patient for r in references] == [r.patient for r in case.references]
        found = [source.read(reference) for reference in references]
        assert {scan.content_digest() for scan in found if isinstance(scan, Scan)} == digests


def test_what_a_scan_says_has_no_path(case: Case) -> None:
    for scan in case.scans:
        said = " ".join((scan.patient, *scan.notes, *scan.labels))
        assert str(case.root) not in said
        assert not re.search(r"/|\\", said)


def test_a_structure_that_nobody_has_is_no_exception(case: Case) -> None:
    """Either a source knows that it has no such structure, or it excludes each patient."""
    asked = case.config.model_copy(update={"structures": ("esophagus",)})
    source = make_source(asked, case.work)
    for reference in source.patients():
        excluded = source.read(reference)
        assert isinstance(excluded, Excluded)
        assert excluded.patient == reference.patient
        assert excluded.reason
