"""Masks of real structure sets beside plastimatch's, and of drawn masks beside themselves."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories.dicom import placed, save, save_series, series_datasets, structure_dataset, to_mm
from factories.parity import (
    CASES,
    FOLDER,
    REPEATED,
    Ours,
    dice,
    distance_to_edge,
    once,
    our_masks,
    plastimatch_masks,
    prepared,
)
from numpy.typing import NDArray
from skimage.measure import find_contours

from harness.data.dicom.raster import draw

PLANS = Path(os.environ.get("HARNESS_TEST_DATA", "")) / "deepmind-parotids" / "nrrds"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(
        "HARNESS_TEST_DATA" not in os.environ or not FOLDER.is_dir(),
        reason="needs rtstruct/ in the folder that HARNESS_TEST_DATA names",
    ),
]
needs_plastimatch = pytest.mark.skipif(
    shutil.which("plastimatch") is None,
    reason="needs plastimatch; test_rtstruct_real.py compares with its voxel counts",
)

QUICK = 4
"""Scans of drawn masks that the default run takes."""

LEAST_DICE = 0.999
TIE_VOXELS = 7.1e-5
"""Farthest that rounding coordinates to 1e-4 voxel moves an edge: half of it, times root 2."""

DIFFERING = {
    ("lung1-001", "PTV-1"): 1,
    ("lung1-002", "PTV-1"): 1,
    ("lung1-002", "CTV-1"): 21,
    ("lung1-002", "Esophagus"): 4,
    ("lung1-002", "Heart"): 1,
    ("lung1-002", "Lung L"): 1,
    ("lung1-002", "Lung R"): 8,
    ("ibsi1-ct", "GTV-1"): 1,
    ("vhm-aria", "BODY"): 8,
}
"""Voxels that differ. Each is a tie: an edge goes through its centre, which lies on both sides,
and the two rules choose differently. Those of ibsi1-ct and of Lung L are ties after rounding: the
edge passes at 3e-6 and 3e-5 pixel. The 21 of CTV-1 are one edge along a column of centres; the last
4 of Lung R are one edge that four slices share."""


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parity")


@needs_plastimatch
@pytest.mark.parametrize("case", CASES)
def test_every_closed_region_is_plastimatchs_but_for_ties(scratch: Path, case: str) -> None:
    folder = prepared(case, scratch)
    ours, theirs = our_masks(folder), plastimatch_masks(folder, scratch, xor=True)
    drawn = {name for name, mask in theirs.items() if mask.any()}
    assert set(ours) == drawn | {name for of, name in REPEATED if of == case}
    print()
    for name, found in ours.items():
        if (case, name) not in REPEATED:
            compare(case, name, found, theirs[name])


def compare(case: str, name: str, found: Ours, theirs: NDArray[np.bool_]) -> None:
    differing = np.argwhere(found.mask != theirs)
    print(f"{case:16}{name:16}{len(differing):4} differ, Dice {dice(found.mask, theirs):.6f}")
    assert dice(found.mask, theirs) >= LEAST_DICE
    assert len(differing) == DIFFERING.get((case, name), 0), name
    for voxel in differing:
        assert distance_to_edge(found.roi, found.grid, voxel) < TIE_VOXELS, (name, voxel)


def test_repeated_contours_are_reported_and_count_once(scratch: Path) -> None:
    """Beside plastimatch's XOR of the same contours listed once each."""
    found = our_masks(FOLDER / "lung1-001")["1,SUV_primair"]
    assert found.warnings == ("85 repeated contours dropped",)
    assert found.mask.sum() == 43494
    if shutil.which("plastimatch"):
        folder, dropped = once("lung1-001", "1,SUV_primair", scratch)
        assert dropped == 85
        theirs = plastimatch_masks(folder, scratch, xor=True)["1,SUV_primair"]
        compare("lung1-001", "1,SUV_primair", found, theirs)


def test_rounded_repeats_are_reported_and_count_once(scratch: Path) -> None:
    """Beside plastimatch's OR, for a region without holes; XOR leaves slices of it empty."""
    found = our_masks(FOLDER / "lung1-002")["Lung L"]
    assert found.warnings == (
        "23 repeated contours dropped",
        "39 nearly repeated contours dropped",
    )
    if shutil.which("plastimatch"):
        theirs = plastimatch_masks(FOLDER / "lung1-002", scratch, xor=False)["Lung L"]
        compare("lung1-002", "Lung L", found, theirs)


@needs_plastimatch
@pytest.mark.parametrize("case", ["lung1-001", "lung1-002", "ge-mim-phantom"])
def test_a_union_is_plastimatchs_but_for_ties(scratch: Path, case: str) -> None:
    theirs = plastimatch_masks(FOLDER / case, scratch, xor=False)
    print()
    for name, found in our_masks(FOLDER / case).items():
        union = replace(found, mask=draw(found.roi.contours, found.grid, "union").mask)
        compare(case, name, union, theirs[name])


# Masks drawn voxel by voxel: outlined half-way between centres, written, read.


def scans() -> list[object]:
    """Every scan with parotids; those after the first few are slow."""
    names = sorted({path.parents[1].name for path in PLANS.glob("*/*/*/segmentations/Parotid-*")})
    slow = pytest.mark.slow
    return [pytest.param(n, marks=slow if i >= QUICK else ()) for i, n in enumerate(names)]


def test_all_scans_are_listed() -> None:
    if not PLANS.is_dir():
        pytest.skip("needs deepmind-parotids/ in the folder that HARNESS_TEST_DATA names")
    assert len(scans()) == 31


@pytest.mark.parametrize("scan", scans())
def test_a_drawn_mask_comes_back(tmp_path: Path, scan: str) -> None:
    structures = {
        f"{path.parents[2].name} {path.stem}": path
        for path in PLANS.glob(f"*/*/{scan}/*/Parotid-*")
    }
    assert len(structures) == 4, "two observers, two sides"
    for number, (name, path) in enumerate(sorted(structures.items())):
        mask, affine = cropped(path)
        folder = tmp_path / str(number)
        save_series(series_datasets(np.zeros(mask.shape, np.int16), affine), folder)
        save(structure_dataset({name: outlines(mask, affine)}), folder / "rs.dcm")
        [back] = our_masks(folder).values()
        print(f"\n{scan} {name}: {mask.sum()} voxels, Dice {dice(mask, back.mask):.6f}")
        assert np.abs(back.grid.affine - affine).max() < 1e-3
        assert dice(mask, back.mask) >= 0.99


def cropped(path: Path, margin: int = 3) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """The mask about its voxels, and where it lies."""
    import SimpleITK

    image = SimpleITK.ReadImage(str(path))
    mask = SimpleITK.GetArrayFromImage(image) > 0
    place = np.argwhere(mask)
    low = np.maximum(place.min(0) - margin, 0)
    high = place.max(0) + margin + 1
    turn = np.array(image.GetDirection()).reshape(3, 3)
    columns, rows, _ = image.GetSpacing()
    spacing = image.GetSpacing()[2], rows, columns
    origin = image.TransformIndexToPhysicalPoint([int(value) for value in low[::-1]])
    affine = placed(mask.shape, spacing, [*turn[:, 0], *turn[:, 1]], origin)
    return mask[tuple(map(slice, low, high))], affine


def outlines(mask: NDArray[np.bool_], affine: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    made = []
    for level, image in enumerate(mask):
        for outline in find_contours(np.pad(image, 1).astype(float), 0.5):
            ring = np.column_stack([np.full(len(outline), level), outline - 1])
            made.append(to_mm(affine, ring))
    return made
