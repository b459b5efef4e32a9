"""Phantoms: the same for the same seed, read back as made, plausible, each unlike the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from harness.base.errors import EnvironmentFault
from harness.config.data import DataConfig
from harness.data.phantom import Anatomy, Order, make_anatomy, write_patient
from harness.data.scan import Scan
from harness.data.sources.dicom import DicomFolder
from harness.data.sources.phantom import make, write_phantoms

SLICES, SPACING = 20, (3.0, 2.0, 2.0)
SMALL = {"patients": 3, "slices": 6, "spacing_mm": [8.0, 3.0, 3.0]}
SIDES = ("parotid_left", "parotid_right")


def config(**changes: object) -> DataConfig:
    return DataConfig.model_validate({"source": "phantom", "phantom": SMALL | changes})


def scans(source: DicomFolder) -> list[Scan]:
    made = [source.read(reference) for reference in source.patients()]
    assert all(isinstance(scan, Scan) for scan in made)
    return made  # type: ignore[return-value]


def by_content(source: DicomFolder) -> dict[str, str]:
    return {scan.content_digest(): scan.patient for scan in scans(source)}


@pytest.fixture(scope="module")
def people() -> list[Anatomy]:
    return [make_anatomy(3, index, SLICES, SPACING) for index in range(6)]


@pytest.fixture(scope="module")
def read_back(tmp_path_factory: pytest.TempPathFactory) -> list[Scan]:
    asked = config(patients=6, seed=3, slices=SLICES, spacing_mm=SPACING)
    return scans(make(asked, tmp_path_factory.mktemp("phantoms")))


def paired(people: list[Anatomy], read_back: list[Scan]) -> list[tuple[Anatomy, Scan]]:
    """Anatomies with the scans of equal voxels."""
    pairs = [(a, s) for a in people for s in read_back if np.array_equal(a.hu, s.hu)]
    assert len(pairs) == len(people) == len(read_back)
    return pairs


def test_the_same_seed_gives_the_same_voxels_and_another_seed_does_not():
    first, again, other, next_ = (
        make_anatomy(seed, index, 6, (8.0, 3.0, 3.0))
        for seed, index in ((5, 2), (5, 2), (6, 2), (5, 3))
    )
    assert first.hu.tobytes() == again.hu.tobytes()
    assert first.masks()["parotid_left"].tobytes() == again.masks()["parotid_left"].tobytes()
    assert not np.array_equal(first.hu, other.hu)
    assert not np.array_equal(first.hu, next_.hu)


def test_more_phantoms_begin_with_the_same_ones(tmp_path: Path):
    few = by_content(make(config(patients=2), tmp_path / "few"))
    more = by_content(make(config(patients=4), tmp_path / "more"))
    assert len(few) == 2
    assert len(more) == 4
    assert few.items() <= more.items()


def test_voxels_and_geometry_come_back_as_made(people: list[Anatomy], read_back: list[Scan]):
    for _, scan in paired(people, read_back):
        assert scan.spacing_mm == pytest.approx(SPACING)
        assert scan.role is None
        assert scan.notes == ()


def test_glands_come_back_where_the_anatomy_has_them(people: list[Anatomy], read_back: list[Scan]):
    for anatomy, scan in paired(people, read_back):
        for structure, mask in anatomy.masks().items():
            seen = scan.masks[structure]
            assert 2 * (mask & seen).sum() / (mask.sum() + seen.sum()) > 0.98


def test_the_left_gland_lies_on_the_left(read_back: list[Scan]):
    for scan in read_back:
        middle = scan.hu.shape[2] / 2
        columns = {name: np.argwhere(scan.masks[name])[:, 2].mean() for name in SIDES}
        assert columns["parotid_right"] < middle < columns["parotid_left"]


def test_glands_have_real_sizes_and_leave_free_slices(read_back: list[Scan]):
    for scan in read_back:
        for mask in scan.masks.values():
            levels = np.flatnonzero(mask.any((1, 2)))
            areas = mask[levels].sum((1, 2)) * SPACING[1] * SPACING[2]
            assert 8 <= len(levels) <= 16
            assert levels[0] > 0
            assert levels[-1] < SLICES - 1
            assert 10 < mask.sum() * np.prod(SPACING) / 1000 < 50
            assert areas[0] < areas.max() / 2


def test_glands_differ_between_patients_and_sides(read_back: list[Scan]):
    volumes = np.array([[s.masks[name].sum() for name in SIDES] for s in read_back], float)
    centres = np.array([[np.argwhere(s.masks[n]).mean(0) for n in SIDES] for s in read_back])
    assert volumes.std(0).min() / volumes.mean() > 0.1
    assert (np.abs(volumes[:, 0] / volumes[:, 1] - 1) > 0.01).sum() >= 4
    assert (centres.std(0) * SPACING).min() > 0.7
    outlines = [scan.masks["parotid_left"].max(0) for scan in read_back]
    assert all((outlines[0] != other).any() for other in outlines[1:])


def test_glands_lie_where_they_do_in_people(read_back: list[Scan]):
    """Centre as a share of the body's box: OpenKBP has 50 % front to back, 11 % and 88 % across."""
    for scan in read_back:
        for name, low, high in (("parotid_left", 0.8, 0.95), ("parotid_right", 0.05, 0.2)):
            level, row, column = np.argwhere(scan.masks[name]).mean(0)
            body = scan.hu[round(level)] > -300
            rows, columns = np.flatnonzero(body.any(1)), np.flatnonzero(body.any(0))
            assert 0.42 < (row - rows[0]) / np.ptp(rows) < 0.66
            assert low < (column - columns[0]) / np.ptp(columns) < high


def test_tissues_have_plausible_numbers(read_back: list[Scan]):
    for scan in read_back:
        corner = scan.hu[:, :8, :8]
        assert corner.mean() == pytest.approx(-1000, abs=3)
        assert 5 < corner.std() < 20
        assert np.percentile(scan.hu, 99.8) > 700
        for mask in scan.masks.values():
            assert -30 < np.median(scan.hu[mask]) < 40
            assert 15 < scan.hu[mask].std() < 60
        body = scan.hu[(scan.hu > -300) & (scan.hu < 200)]
        assert (body < -70).mean() > 0.05
        assert ((body > 30) & (body < 80)).mean() > 0.2


def test_the_body_narrows_to_the_neck(read_back: list[Scan]):
    for scan in read_back:
        area = (scan.hu > -300).sum((1, 2))
        assert area[0] < 0.85 * area[-4:].mean()


def test_short_and_coarse_scans_still_hold_whole_glands():
    for slices, spacing in ((4, (3.0, 3.0, 3.0)), (8, (5.0, 2.0, 4.0))):
        for mask in make_anatomy(0, 0, slices, spacing).masks().values():
            levels = np.flatnonzero(mask.any((1, 2)))
            assert len(levels) >= 2
            assert levels[0] > 0
            assert levels[-1] < slices - 1


def test_a_long_scan_shows_shoulders():
    scan = make_anatomy(0, 0, 40, (5.0, 4.0, 4.0))
    width = (scan.hu > -300).any(1).sum(1) * 4.0
    assert width[0] > 1.3 * width.min()


def test_other_organs_are_found_by_name(tmp_path: Path):
    names = ["mandible", "spinal_cord", "external"]
    asked = config().model_copy(update={"structures": tuple(names)})
    for scan in scans(make(asked, tmp_path)):
        assert sorted(scan.masks) == sorted(names)
        assert np.median(scan.hu[scan.masks["mandible"]]) > 250
        assert -20 < np.median(scan.hu[scan.masks["spinal_cord"]]) < 90
        inside = scan.masks["external"]
        assert (scan.hu[~inside] < -300).mean() > 0.98


def test_a_second_call_writes_nothing(tmp_path: Path):
    make(config(), tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.dcm")}
    signatures = [r.signature for r in make(config(), tmp_path).patients()]
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.dcm")} == before
    assert signatures == [r.signature for r in make(config(), tmp_path).patients()]


def test_what_is_missing_is_made_again(tmp_path: Path):
    folder = write_phantoms(tmp_path, config().phantom)
    whole = sorted(folder.iterdir())
    kept = {p: p.stat().st_mtime_ns for p in whole[0].rglob("*.dcm")}
    lost = {p: p.read_bytes() for p in whole[1].rglob("*.dcm")}
    for path in lost:
        path.unlink()
    for path in sorted(whole[1].rglob("*"), reverse=True):
        path.rmdir()
    whole[1].rmdir()
    assert write_phantoms(tmp_path, config().phantom) == folder
    assert {p: p.read_bytes() for p in lost} == lost
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert not list(tmp_path.glob("unfinished-*"))


def test_other_configs_have_folders_of_their_own(tmp_path: Path):
    folders = {
        write_phantoms(tmp_path, config(**changes).phantom)
        for changes in ({"patients": 1}, {"patients": 1, "seed": 1}, {"patients": 1, "slices": 5})
    }
    assert len(folders) == 3
    assert all(len(list(folder.iterdir())) == 1 for folder in folders)


def test_files_are_laid_out_and_filled_as_real_ones_are(tmp_path: Path):
    order = Order(0, 7, 6, (8.0, 3.0, 3.0))
    write_patient(tmp_path, order, make_anatomy(0, 7, 6, (8.0, 3.0, 3.0)))
    slices = sorted(tmp_path.glob("*/2.*CT*/1-*.dcm"))
    assert [path.name for path in slices] == [f"1-{n:02d}.dcm" for n in range(1, 7)]
    (contours,) = tmp_path.glob("*/*RTSTRUCT*/1-1.dcm")
    images = [pydicom.dcmread(path) for path in slices]
    structures = pydicom.dcmread(contours)
    assert {image.PatientID for image in images} == {structures.PatientID} == {"PHANTOM-0-0007"}
    assert str(structures.PatientName).startswith("Phantom^")
    assert len({image.SOPInstanceUID for image in images}) == 6
    assert {image.FrameOfReferenceUID for image in images} == {structures.FrameOfReferenceUID}
    drawn = structures.ROIContourSequence
    kinds = {c.ContourGeometricType for roi in drawn for c in roi.get("ContourSequence", [])}
    assert kinds == {"CLOSED_PLANAR", "POINT"}
    assert sum("ContourSequence" not in roi for roi in drawn) == 1
    named = {
        item.ReferencedSOPInstanceUID
        for roi in drawn
        for contour in roi.get("ContourSequence", [])
        for item in contour.get("ContourImageSequence", [])
    }
    assert named <= {image.SOPInstanceUID for image in images}


def test_uids_follow_from_the_order(tmp_path: Path):
    order, other = Order(0, 0, 6, (8.0, 3.0, 3.0)), Order(0, 1, 6, (8.0, 3.0, 3.0))
    assert order.uid("image", 1) == Order(0, 0, 6, (8.0, 3.0, 3.0)).uid("image", 1)
    assert order.uid("image", 1).is_valid
    parts = [order.uid("image", 1), order.uid("image", 2), order.uid("series"), other.uid("series")]
    assert len(set(parts)) == 4


def test_a_folder_that_cannot_be_written_is_named_as_such(tmp_path: Path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(EnvironmentFault) as caught:
        make(config(), tmp_path / "taken")
    assert str(caught.value) == (
        "phantoms must be written to the work folder, but got 'File exists'; free space or choose "
        "another work folder"
    )
    assert str(tmp_path) not in str(caught.value)
