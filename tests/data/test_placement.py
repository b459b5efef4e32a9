"""The crop is found by the CT alone, on patients that it was not learnt on."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from harness.base.errors import DataError
from harness.config.data import CropConfig
from harness.data.pairs.landmarks import CELL_MM, Landmarks, landmarks
from harness.data.pairs.placement import fit_crop
from harness.data.scan import Scan

NAMES = ("parotid_left", "parotid_right")


def made_scan(seed: int, spacing: tuple[float, float, float] = (3.0, 3.0, 3.0)) -> Scan:
    """A body of fat with a ball of bone and, 30 mm to either side of it, two structures."""
    random = np.random.default_rng(seed)
    size_mm = np.array([150.0, 200.0, 240.0])
    shape = tuple(int(length / step) for length, step in zip(size_mm, spacing, strict=True))
    places = np.stack(
        np.meshgrid(
            *((np.arange(n) + 0.5) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij"
        )
    )
    middle = size_mm / 2 + random.uniform(-15, 15, 3)

    def ball(centre: np.ndarray, radius: float) -> np.ndarray:
        return ((places - centre[:, None, None, None]) ** 2).sum(0) < radius**2

    hu = np.full(shape, -1000.0)
    hu[((places[1:] - size_mm[1:, None, None, None] / 2) ** 2).sum(0) < 85**2] = -90
    hu[ball(middle, 18)] = 900
    masks = {}
    for name, side in (("parotid_left", 1), ("parotid_right", -1)):
        masks[name] = ball(middle + np.array([0, 0, 36 * side]), 12)
        hu[masks[name]] = 20
    hu += random.normal(0, 10, shape)
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *spacing, 1
    return Scan(f"made-{seed}", hu.astype(np.float32), masks, affine)


def test_coarse_volume_keeps_places_and_means() -> None:
    scan = made_scan(0, (2.5, 1.3, 0.9))
    found = landmarks(scan)
    assert found.coarse.shape == tuple(
        int(np.ceil(n * s / CELL_MM - 1e-6))
        for n, s in zip(scan.hu.shape, scan.spacing_mm, strict=True)
    )
    voxel = np.array([10.0, 40.5, 80.25])
    np.testing.assert_allclose(found.to_voxels(found.to_cells(voxel)), voxel)
    # The brightest cells are the bone's, and their centre is the bone's centre.
    cells = np.argwhere(found.coarse > 220).mean(0)
    bone = np.argwhere(scan.hu > 600).mean(0)
    miss = (found.to_voxels(cells) - bone) * scan.spacing_mm
    assert np.abs(miss).max() < CELL_MM / 2


def test_new_patient_is_found_without_its_contours() -> None:
    training = [landmarks(made_scan(seed)) for seed in range(4)]
    rule = fit_crop(training, NAMES, CropConfig())
    for seed, spacing in ((11, (3.0, 3.0, 3.0)), (12, (2.0, 1.5, 1.5)), (13, (5.0, 4.0, 4.0))):
        whole = landmarks(made_scan(seed, spacing))
        blind = dataclasses.replace(whole, structures={})
        for name in NAMES:
            placed = rule.place(blind, name)
            assert placed == rule.place(whole, name)
            structure = whole.structures[name]
            miss = (np.array(placed.centre) - structure["centroid"][1:]) * spacing[1:]
            assert np.abs(miss).max() < CELL_MM
            assert placed.slices[0] <= structure["slices"][0]
            assert placed.slices[1] >= structure["slices"][1]
            assert 0 <= placed.slices[0] <= placed.slices[1] < whole.shape[0]


def test_scan_shorter_than_the_surroundings_is_found() -> None:
    rule = fit_crop([landmarks(made_scan(seed)) for seed in range(4)], NAMES, CropConfig())
    scan = made_scan(21)
    middle = int(np.argwhere(scan.masks["parotid_left"]).mean(0)[0])
    kept = slice(middle - 8, middle + 9)  # 51 mm of the 78 mm that the template spans
    masks = {name: mask[kept] for name, mask in scan.masks.items()}
    short = landmarks(dataclasses.replace(scan, hu=scan.hu[kept], masks=masks))
    structure = short.structures["parotid_left"]
    placed = rule.place(short, "parotid_left")
    miss = (np.array(placed.centre) - structure["centroid"][1:]) * short.spacing_mm[1:]
    assert np.abs(miss).max() < CELL_MM
    assert placed.slices[0] <= structure["slices"][0] < structure["slices"][1] <= placed.slices[1]


def test_left_out_patients_give_the_error() -> None:
    rule = fit_crop([landmarks(made_scan(seed)) for seed in range(4)], NAMES, CropConfig())
    for structure in rule.structures.values():
        assert 0 < structure.place_error_mm < CELL_MM
        assert structure.level_error_mm < CELL_MM
        # Radius 12 mm and a cell on both ends, give or take what the level misses by.
        assert structure.range_mm == pytest.approx((-18, 18), abs=6)


def test_fixed_placement_keeps_the_given_centre() -> None:
    config = CropConfig(placement="fixed", fixed_row=31, fixed_column=17)
    rule = fit_crop([landmarks(made_scan(0))], NAMES, config)
    assert rule.place(landmarks(made_scan(1)), "parotid_left").centre == (31.0, 17.0)


def test_structure_nobody_has_is_refused() -> None:
    training = [landmarks(made_scan(0))]
    with pytest.raises(DataError, match="crop for 'mandible' must be learnt on training patients"):
        fit_crop(training, ("mandible",), CropConfig())


def test_landmarks_survive_the_disk(tmp_path: Path) -> None:
    before = landmarks(made_scan(0))
    after = Landmarks.read(before.write(tmp_path / "coarse.npy"), tmp_path / "coarse.npy")
    np.testing.assert_array_equal(after.coarse, before.coarse)
    assert (after.shape, after.spacing_mm, after.structures) == (
        before.shape,
        before.spacing_mm,
        before.structures,
    )


@pytest.mark.realdata
def test_real_glands_are_found_from_eight_patients() -> None:
    folder = os.environ.get("HARNESS_TEST_DATA")
    if not folder:
        pytest.skip("HARNESS_TEST_DATA names no folder of real patients")
    from harness.data.sources.openkbp import OpenKbp

    source = OpenKbp(Path(folder) / "open-kbp", NAMES)
    by_role: dict[str, list[Landmarks]] = {"train": [], "validation": [], "test": []}
    for reference in source.patients():
        if len(by_role[reference.role or ""]) < 10:
            scan = source.read(reference)
            assert isinstance(scan, Scan)
            by_role[reference.role or ""].append(landmarks(scan))
    rule = fit_crop(by_role["train"][:8], NAMES, CropConfig())
    misses = []
    for found in (*by_role["validation"], *by_role["test"]):
        for name, structure in found.structures.items():
            placed = rule.place(found, name)
            in_plane = (np.array(placed.centre) - structure["centroid"][1:]) * found.spacing_mm[1:]
            misses.append(float(np.hypot(*in_plane)))
    assert len(misses) >= 38
    assert np.median(misses) < 8
    assert max(misses) < 25  # a 64 mm mask crop about a structure of 30 mm forgives 17
