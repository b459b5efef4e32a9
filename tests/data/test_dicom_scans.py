"""From DICOM files to a scan: voxels, axes, contours, and notes of what was left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_folder import (
    AFFINE,
    BOTH,
    LEFT,
    RIGHT,
    SHAPE,
    STRUCTURES,
    only,
    reason,
    volume,
)
from factories.dicom import (
    contour_item,
    placed,
    rectangle,
    save,
    save_series,
    series_datasets,
    structure_dataset,
    to_mm,
    uid,
)


def test_a_scan_in_canonical_order(root: Path) -> None:
    save_series(series_datasets(volume(), AFFINE), root)
    save(structure_dataset(BOTH), root / "rs.dcm")
    scan = only(root)
    assert (scan.hu.dtype, scan.hu.shape, scan.role, scan.notes) == (np.int16, SHAPE, None, ())
    assert np.array_equal(scan.hu, volume())
    assert scan.affine == pytest.approx(AFFINE)
    assert scan.spacing_mm == pytest.approx((3.0, 1.0, 1.0))
    assert scan.patient.startswith("p-")
    left, right = (np.argwhere(scan.masks[name]) for name in STRUCTURES)
    assert (left.min(0).tolist(), left.max(0).tolist()) == ([2, 11, 26], [2, 20, 35])
    assert (right.min(0).tolist(), right.max(0).tolist()) == ([3, 11, 6], [3, 20, 12])


@pytest.mark.parametrize(
    "orientation",
    [(1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, -1, 0), (0, 1, 0, 0, 0, -1)],
    ids=["supine, head first", "feet first", "prone", "sagittal"],
)
def test_the_left_gland_lies_left_however_it_was_scanned(
    root: Path, orientation: tuple[int, ...]
) -> None:
    """A cube 4 mm to the left, the back and the head of the volume's middle."""
    affine = placed((20, 30, 40), (1.0, 1.0, 1.0), orientation, origin=(0, 0, 0))
    middle = to_mm(affine, np.array([[9.5, 14.5, 19.5]]))[0]
    cube = middle + 4
    grid = np.stack(np.mgrid[:20, :30, :40], -1).reshape(-1, 3)
    inside = (np.abs(to_mm(affine, grid) - cube) < 3.1).all(1).reshape(20, 30, 40)
    contours = [
        rectangle(
            affine, k, *((np.flatnonzero(plane.any(1 - a))[[0, -1]] + (-0.5, 0.5)) for a in (0, 1))
        )
        for k, plane in enumerate(inside)
        if plane.any()
    ]
    marked = np.where(inside, 500, 0)
    save_series(series_datasets(marked, affine), root)
    save(structure_dataset({"Parotid_L": contours}), root / "rs.dcm")
    scan = only(root)
    mask = scan.masks["parotid_left"]
    assert np.array_equal(mask, scan.hu == 500)
    assert mask.sum() == inside.sum()
    assert to_mm(scan.affine, np.argwhere(mask)).mean(0) == pytest.approx(cube, abs=0.51)
    beyond = np.argwhere(mask).mean(0) - (np.array(mask.shape) - 1) / 2
    assert (beyond > 3).all(), "towards the head, the back and the left"


def test_what_was_left_out_is_noted(root: Path) -> None:
    datasets = series_datasets(volume(), AFFINE)
    save_series(datasets, root)
    save(datasets[0], root / "again.dcm")
    tilted = LEFT + np.array([[0, 0, 2.5], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    left = [
        LEFT, LEFT[::-1], rectangle(AFFINE, 9, (1, 5), (1, 5)), tilted,
        rectangle(AFFINE, 2.4, (1, 5), (1, 5)), contour_item([1, 2, 3], "POINT"),
    ]  # fmt: skip
    images = [uid(1, 1, 1, index + 1) for index in range(6)]
    named = structure_dataset({"Parotid_L": left}, images=images, series=uid(1, 1, 1))
    save(named, root / "rs.dcm")
    assert only(root).notes == (
        "1 repeated slice of the CT series left out",
        "parotid_right is not contoured",
        "parotid_left: 1 repeated contour dropped",
        "parotid_left: 1 contour on planes without an image left out",
        "parotid_left: 1 contour outside image planes left out",
        "parotid_left: 1 contour between slices left out",
        "parotid_left: 1 POINT contour left out",
    )


def test_contours_that_enclose_no_voxel_are_not_contoured(root: Path) -> None:
    save_series(series_datasets(volume(), AFFINE), root)
    tiny = rectangle(AFFINE, 2, (10.2, 10.4), (10.2, 10.4))
    save(structure_dataset({"Parotid_L": [tiny], "Parotid_R": [RIGHT]}), root / "rs.dcm")
    scan = only(root)
    assert list(scan.masks) == ["parotid_right"]
    assert scan.notes == ("parotid_left: its contours enclose no voxel of the CT series",)
    save(structure_dataset({"Parotid_L": [tiny]}), root / "rs.dcm")
    assert reason(root) == "contours must enclose voxels of the CT series, but none does"
