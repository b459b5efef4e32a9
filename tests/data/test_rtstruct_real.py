"""The DICOM reader on series and structure sets of real scanners and planning systems."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.pixels import apply_modality_lut

from harness.config.data import DicomConfig
from harness.data.dicom.geometry import Grid
from harness.data.dicom.pairing import BY_IMAGES, BY_POSITIONS, Claim, Images, Refused, judge
from harness.data.dicom.people import folder_files
from harness.data.dicom.raster import Drawn, draw
from harness.data.dicom.series import Series, all_series
from harness.data.dicom.structures import Roi, StructureSet, read_structures
from harness.data.dicom.walk import SETS, Header
from harness.data.scan import Excluded, Scan
from harness.data.sources.dicom import DicomFolder

FOLDER = Path(os.environ.get("HARNESS_TEST_DATA", "")) / "rtstruct"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(
        "HARNESS_TEST_DATA" not in os.environ or not FOLDER.is_dir(),
        reason="needs rtstruct/ in the folder that HARNESS_TEST_DATA names",
    ),
]


@cache
def case(name: str, private: Path) -> tuple[list[Series], list[Claim | Refused]]:
    """Usable series of a case, and what its structure sets are drawn on."""
    headers = folder_files(FOLDER / name, private / name, DicomConfig())
    stacks = list(all_series([header for header in headers if header.kind == "ct"]))
    sets = [header for header in headers if header.kind in SETS]
    judged = [judge(header, stacks, Images(headers)) for header in sets]
    return [series for _, series, _ in stacks if series], judged


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("private")


def paired(name: str, private: Path) -> tuple[StructureSet, Grid]:
    _, [claim] = case(name, private)
    assert isinstance(claim, Claim)
    return claim.structures, claim.series.grid


def roi_of(structures: StructureSet, name: str) -> Roi:
    [found] = [roi for roi in structures.rois if roi.name == name]
    return found


# Voxels of plastimatch 1.9.4 with --xor-contours, of 1,SUV_primair after dropping exact repeats; of
# Lung L without that option: its repeats are rounded, so that no rule of counting gets them right,
# and it has no holes.
PLASTIMATCH = [
    ("lung1-001", "Patient", 9642662),
    ("lung1-001", "GTV-1", 54449),
    ("lung1-001", "PTV-1", 206216),
    ("lung1-001", "CTV-1", 96117),
    ("lung1-001", "1,SUV_primair", 43494),
    ("lung1-001", "Spinal cord", 15567),
    ("lung1-001", "Lung L", 776519),
    ("lung1-001", "Lung R", 1033605),
    ("lung1-002", "Patient", 6990522),
    ("lung1-002", "GTV-1", 125204),
    ("lung1-002", "PTV-1", 347392),
    ("lung1-002", "CTV-1", 190304),
    ("lung1-002", "Spinal cord", 22216),
    ("lung1-002", "Esophagus", 19236),
    ("lung1-002", "Heart", 373247),
    ("lung1-002", "Lung L", 686334),
    ("lung1-002", "Lung R", 658479),
    ("lung1-002", "contrast", 84306),
    ("ibsi1-ct", "GTV-1", 125256),
    ("sts-ct-001", "GTV_Mass_CT", 117145),
    ("sts-ct-002", "GTV_Mass_CT", 17090),
    ("vhm-aria", "BODY", 163768),
    ("vhm-aria", "SpinalCord", 654),
    ("ge-mim-phantom", "ROI-1", 5460),
    ("ge-mim-phantom", "ROI-2", 5040),
    ("ge-mim-phantom", "ROI-3", 4813),
    ("ge-mim-phantom", "ROI-4", 9198),
]
DIFFERENCES = {
    ("lung1-001", "PTV-1"): -1,
    ("lung1-002", "PTV-1"): 1,
    ("lung1-002", "CTV-1"): 21,  # an edge along a column of voxel centres, 21 rows long
    ("lung1-002", "Heart"): 1,
    ("lung1-002", "Lung L"): -1,
    ("lung1-002", "Lung R"): -4,
    ("ibsi1-ct", "GTV-1"): -1,
    ("vhm-aria", "BODY"): 4,
}
"""Ours less plastimatch's: voxel centres on an edge, which it gives to the other side."""

TIE_VOXELS = 1e-4
"""Coordinates are rounded to this: nearer to an edge, the two rules may differ."""


def ties(roi: Roi, grid: Grid) -> int:
    """Voxel centres that an edge passes so closely that moving the contours decides."""
    step = TIE_VOXELS * 2
    moved = [
        draw([c + grid.affine[:3, 1:3] @ (rows, columns) for c in roi.contours], grid).mask
        for rows in (-step, step)
        for columns in (-step, step)
    ]
    return int(sum(moved[0] != other for other in moved[1:]).astype(bool).sum())


@pytest.mark.parametrize(("name", "region", "voxels"), PLASTIMATCH)
def test_voxel_counts_are_plastimatchs_but_for_ties(
    private: Path, name: str, region: str, voxels: int
) -> None:
    structures, grid = paired(name, private)
    roi = roi_of(structures, region)
    found = draw(roi.contours, grid)
    assert (found.off_image, found.off_plane, found.between) == (0, 0, 0)
    difference = int(found.mask.sum()) - voxels
    assert difference == DIFFERENCES.get((name, region), 0)
    assert abs(difference) <= (ties(roi, grid) if difference else 0)


@pytest.mark.parametrize(
    ("name", "region", "repeats", "near"),
    [("lung1-001", "1,SUV_primair", 85, 0), ("lung1-002", "Lung L", 23, 39)],
)
def test_repeats_are_dropped(
    private: Path, name: str, region: str, repeats: int, near: int
) -> None:
    structures, grid = paired(name, private)
    roi = roi_of(structures, region)
    found = draw(roi.contours, grid)
    assert (found.repeats, found.near_repeats) == (repeats, near)
    assert found.drawn == len(roi.contours) - repeats - near
    others = [draw(r.contours, grid) for r in structures.rois if r.name != region]
    assert sum(other.repeats + other.near_repeats for other in others) == 0


def test_a_lung_whose_outline_is_listed_many_times_has_no_empty_slice(private: Path) -> None:
    """From other points, up to 0.07 mm off: counted, an even number is nothing."""
    structures, grid = paired("lung1-002", private)
    areas = draw(roi_of(structures, "Lung L").contours, grid).mask.sum((1, 2))
    there = areas[areas > 0]
    assert len(there) == np.ptp(np.flatnonzero(areas)) + 1
    assert np.abs(np.diff(there)).max() < 0.25 * there.max()


def test_of_all_real_regions_one_overlaps_itself(private: Path) -> None:
    for name in sorted({case for case, _, _ in PLASTIMATCH}):
        structures, grid = paired(name, private)
        for roi in structures.rois:
            found = draw(roi.contours, grid)
            assert bool(found.crossing) == ((name, roi.name) == ("lung1-002", "contrast")), roi.name
            assert not found.overrun
            assert found.off_slice == 0


def test_regions_and_what_is_skipped(private: Path) -> None:
    first, _ = paired("lung1-001", private)
    assert len(first.rois) == 17
    assert sum(len(roi.contours) for roi in first.rois) == 680
    assert sum(roi.skipped == {"POINT contours": 1} for roi in first.rois) == 9
    second, _ = paired("lung1-002", private)
    assert (len(second.rois), sum(len(roi.contours) for roi in second.rois)) == (16, 778)
    breast, _ = paired("breast-1of98", private)
    assert [roi.name for roi in breast.rois if not roi.contours] == ["Areola"]
    assert sum(len(roi.contours) for roi in breast.rois) == 441


def test_dead_references_do_not_hide_contours(private: Path) -> None:
    """Each contour of lung1 names an image by the identifier that it had before anonymising."""
    for name in ("lung1-001", "lung1-002"):
        [series], [claim] = case(name, private)
        assert isinstance(claim, Claim)
        assert claim.structures.images - series.images
        assert (claim.series, claim.level) == (series, BY_IMAGES)


def test_an_incomplete_export_is_drawn_where_images_are(private: Path) -> None:
    structures, grid = paired("breast-1of98", private)
    assert grid.shape == (1, 512, 512)
    body: Drawn = draw(roi_of(structures, "BODY").contours, grid)
    assert (body.drawn, body.off_image) == (4, 137)
    assert body.mask.sum() == 40396


FOREIGN = [
    ("mim-noreferences.dcm", "ge-mim-phantom", {"ROI-1": 5460, "ROI-4": 9198}),
    ("lung1-001-aria-otherseries.dcm", "lung1-001", {"GTV-1": 54449, "Spinal-Cord": 15567}),
]


@pytest.mark.parametrize(("file", "name", "regions"), FOREIGN)
def test_a_foreign_set_is_drawn_by_its_contours_images_or_if_trusted(
    private: Path, file: str, name: str, regions: dict[str, int]
) -> None:
    """Re-exports of the same contours: one whose contours alone name images, one to a series and a
    frame of reference that are not here."""
    [series], _ = case(name, private)
    header = Header(1, str(FOLDER / "odd-rs" / file), 0, 0, "rtstruct")
    stacks = [(list(series.headers), series, "")]
    found = judge(header, stacks, Images(series.headers))
    if name == "lung1-001":
        assert isinstance(found, Refused)
        assert "must lie in the frame of reference of its CT series" in found.reason
        found = judge(header, stacks, Images(series.headers), trust=True)
    assert isinstance(found, Claim)
    assert found.level == (BY_POSITIONS if name == "lung1-001" else BY_IMAGES)
    for region, voxels in regions.items():
        count = draw(roi_of(found.structures, region).contours, found.series.grid).mask.sum()
        assert count == pytest.approx(voxels, rel=0.01)


# Geometry and pixels, against pydicom alone.


@pytest.mark.parametrize("name", ["lung1-001", "ge-mim-phantom", "sts-ct-001", "vhm-aria"])
def test_a_scan_against_pydicom(tmp_path: Path, name: str) -> None:
    """Every voxel of a few slices, found by position."""
    source = DicomFolder(
        FOLDER / name,
        ("region",),
        {"region": ("^(GTV-1|ROI-1|GTV_Mass_CT|SpinalCord)$",)},
        tmp_path,
    )
    [reference] = source.patients()
    scan = source.read(reference)
    assert isinstance(scan, Scan)
    assert (np.diag(scan.affine[[2, 1, 0]]) > 0).all()
    files = [pydicom.dcmread(path) for path in sorted((FOLDER / name).iterdir())]
    slices = [file for file in files if file.Modality == "CT"]
    assert len(slices) == len(scan.hu)
    for file in slices[:: max(1, len(slices) // 4)]:
        level, row, column = voxel_of(scan, np.array(file.ImagePositionPatient, float))
        assert (row, column) == pytest.approx((0, 0), abs=1e-3)
        assert level == pytest.approx(round(level), abs=1e-2)
        hu = apply_modality_lut(file.pixel_array, file)
        assert np.array_equal(scan.hu[round(level)], np.clip(hu, -1024, None))


def voxel_of(scan: Scan, point: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.linalg.solve(scan.affine, [*point, 1.0])[:3]


def test_oblique_series_keep_each_voxels_place(private: Path) -> None:
    series, sets = case("oblique-ct-synthetic", private)
    assert sets == []
    assert [entry.grid.shape for entry in series] == [(3, 50, 100)] * 2
    for entry in series:
        for index, header in enumerate(entry.headers):
            file = pydicom.dcmread(header.path)
            # The standard's equation C.7.6.2.1-1 for row 20, column 30.
            across, down = np.array(file.ImageOrientationPatient, float).reshape(2, 3)
            point = np.array(file.ImagePositionPatient, float)
            point += across * file.PixelSpacing[1] * 30 + down * file.PixelSpacing[0] * 20
            found = entry.grid.indices(point[None])[0]
            assert found == pytest.approx([index, 20, 30], abs=1e-3)


# Odd structure sets.

SENTENCE = re.compile(r"[a-z_]+[^\n]* (must|needs) [^\n]+")
ODD = [
    "dicomrttool-template-emptycontour.dcm",
    "eclipse-prostate-emptyrois.dcm",
    "lung1-001-aria-otherseries.dcm",
    "mim-noreferences.dcm",
    "monaco-no-filemeta.dcm",
    "pydicom-rtstruct.dcm",
    "raystation-template.dcm",
    "rtutils-made-2ct.dcm",
]


def test_all_odd_sets_are_listed() -> None:
    assert sorted(path.name for path in (FOLDER / "odd-rs").iterdir()) == ODD


@pytest.mark.parametrize("file", ODD)
def test_odd_sets_end_in_structures(file: str) -> None:
    structures = read_structures(FOLDER / "odd-rs" / file)
    assert structures.rois
    for roi in structures.rois:
        assert roi.name == roi.name.strip()
        assert all(np.isfinite(c).all() and c.shape[1] == 3 and len(c) > 2 for c in roi.contours)


def test_odd_sets_by_what_is_odd() -> None:
    def rois(file: str) -> dict[str, Roi]:
        structures = read_structures(FOLDER / "odd-rs" / file)
        return {roi.name: roi for roi in structures.rois}

    template = rois("dicomrttool-template-emptycontour.dcm")["Template"]
    assert template.skipped == {"contours whose coordinates cannot be read": 1}
    eclipse = rois("eclipse-prostate-emptyrois.dcm")
    assert (len(eclipse), sum(not roi.contours for roi in eclipse.values())) == (16, 10)
    assert len(rois("monaco-no-filemeta.dcm")["ANT Box"].contours) == 70
    assert read_structures(FOLDER / "odd-rs" / "mim-noreferences.dcm").series == set()


@pytest.mark.parametrize("wanted", ["^GTV-1$", "^ROI-1$", "^Bladder$", "nothing"])
def test_odd_sets_as_a_folder_are_excluded_with_a_sentence(tmp_path: Path, wanted: str) -> None:
    """None has its images here."""
    source = DicomFolder(FOLDER / "odd-rs", ("region",), {"region": (wanted,)}, tmp_path)
    references = source.patients()
    assert len(references) > 4
    for reference in references:
        found = source.read(reference)
        assert isinstance(found, Excluded)
        assert SENTENCE.fullmatch(found.reason), found.reason


CASES = ["ibsi1-ct", "sts-ct-002", "vhm-aria", "ge-mim-phantom", "breast-1of98"]


@pytest.mark.parametrize("name", [*CASES, "oblique-ct-synthetic"])
def test_a_name_that_no_region_has_lists_those_there_are(tmp_path: Path, name: str) -> None:
    source = DicomFolder(FOLDER / name, ("tongue",), {}, tmp_path)
    for reference in source.patients():
        found = source.read(reference)
        assert isinstance(found, Excluded)
        assert SENTENCE.fullmatch(found.reason), found.reason
        if name == "oblique-ct-synthetic":
            assert found.reason.endswith("but got no structure set")
        else:
            assert found.reason.startswith("tongue must be contoured, but its structure set has '")
            assert found.reason.endswith("; see data.patterns")
            assert "Areola" not in found.reason, "has no contours"
