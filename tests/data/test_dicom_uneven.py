"""Slices at uneven steps: values, masks and places against formulas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_folder import only
from factories.dicom import (
    open_series,
    placed,
    save,
    save_series,
    series_datasets,
    structure_dataset,
)
from numpy.typing import NDArray

from harness.data.dicom.raster import draw
from harness.data.dicom.series import Series, read_hu
from harness.data.dicom.walk import walk

RADIUS = 15.0
BALL_ML = 4 / 3 * np.pi * RADIUS**3 / 1000
SIDE, PIXEL = 44, 1.5
TILT = np.radians(15)


def series_at(folder: Path, places: NDArray[np.float64], tilt: float = 0.0) -> Series:
    """Slices whose value is their place along the body, less 1000; the gantry may be tilted."""
    shape = (len(places), SIDE, SIDE)
    turn = (1, 0, 0, 0, np.cos(tilt), -np.sin(tilt))
    affine = placed(shape, (1.0, PIXEL, PIXEL), turn, origin=(0, 0, 0))
    datasets = series_datasets(np.zeros(shape), affine)
    for dataset, place in zip(datasets, places, strict=True):
        dataset.ImagePositionPatient = [0, 0, f"{place:.4f}"]
        values = np.full((SIDE, SIDE), round(1024 - 1000 + 10 * place))
        dataset.PixelData = values.astype("<u2").tobytes()
    save_series(datasets, folder)
    return open_series(walk(folder, None))


def places_of(*steps: float) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(steps)])


@pytest.mark.parametrize("tilt", [0.0, TILT])
def test_values_between_slices_lie_on_the_line(tmp_path: Path, tilt: float) -> None:
    places = places_of(*[6.0] * 4, *[3.0] * 5)
    series = series_at(tmp_path, places, tilt)
    hu = read_hu(series)
    assert hu.shape == (14, SIDE, SIDE)
    at = np.arange(14) * 3.0
    assert np.array_equal(hu[:, 5, 7], np.rint(10 * at - 1000))
    assert series.grid.affine[:3, 0] == pytest.approx([0, 0, 3])
    ends = np.array([[0, 0, places[0]], [0, 0, places[-1]]])
    assert series.grid.indices(ends)[:, 0] == pytest.approx([0, 13])


def test_steps_without_a_common_measure_end_where_the_slices_do(tmp_path: Path) -> None:
    """2 mm and 5 mm: 17 mm are nine steps of 1.89 mm, no wider than the finest."""
    series = series_at(tmp_path, places_of(5, 5, 5, 2))
    assert series.grid.shape[0] == 10
    assert np.linalg.norm(series.grid.affine[:3, 0]) == pytest.approx(17 / 9)
    wanted = 10 * np.arange(10) * 17 / 9 - 1000
    assert np.abs(read_hu(series)[:, 0, 0] - wanted).max() <= 0.5001
    assert series.notes == ("slices 2 to 5 mm apart are brought to 1.89 mm",)


def test_fractional_places_lie_between_true_slices(tmp_path: Path) -> None:
    series = series_at(tmp_path, places_of(6, 6, 3, 3))
    points = np.array([[0, 0, z] for z in (-3.0, 0.0, 3.0, 10.5, 13.5, 18.0, 19.5)])
    wanted = [-0.5, 0, 0.5, 1.75, 2.5, 4, 4.5]
    assert series.planes.indices(points)[:, 0] == pytest.approx(wanted)
    turned = series.planes.turned((0, 1, 2), (True, False, False))
    assert turned.indices(points)[:, 0] == pytest.approx(4 - np.array(wanted))


def test_jitter_within_tolerance_stays_even(tmp_path: Path) -> None:
    series = series_at(tmp_path, places_of(3.0, 3.02, 2.98, 3.01, 2.99))
    assert series.planes is series.grid
    assert (series.notes, series.planes.levels) == ((), None)


def outlines(places: NDArray[np.float64], centre: float) -> list[NDArray[np.float64]]:
    """A ball about the middle of the slices, on the planes that meet it."""
    around = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    middle = PIXEL * (SIDE - 1) / 2
    return [
        np.stack(
            [
                middle + np.sqrt(RADIUS**2 - (z - centre) ** 2) * np.cos(around),
                middle + np.sqrt(RADIUS**2 - (z - centre) ** 2) * np.sin(around),
                np.full(160, z),
            ],
            axis=1,
        )
        for z in places
        if abs(z - centre) < RADIUS
    ]


STEPS = {
    "the fine part": ((*[6.0] * 4, *[3.0] * 16), 48.0, 0.015),
    "across the change": ((*[6.0] * 7, *[3.0] * 12), 42.0, 0.03),
    "the coarse part": ((*[6.0] * 10, *[3.0] * 8), 30.0, 0.03),
    "a missing slice": ((*[3.0] * 9, 6.0, *[3.0] * 9), 33.0, 0.03),
    "a fine part of quarters": ((*[5.0] * 8, *[1.25] * 24), 40.0, 0.02),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_ball_has_its_volume_and_its_middle(tmp_path: Path, name: str) -> None:
    steps, centre, tolerance = STEPS[name]
    places = places_of(*steps)
    series = series_at(tmp_path, places)
    drawn = draw(outlines(places, centre), series.planes)
    assert drawn.notes == []
    mask = series.to_grid(drawn.mask)
    assert mask.shape == series.grid.shape
    ml = mask.sum() * abs(np.linalg.det(series.grid.affine[:3, :3])) / 1000
    assert ml == pytest.approx(BALL_ML, rel=tolerance)
    areas = drawn.mask.sum((1, 2)) * PIXEL**2
    assert ml == pytest.approx(np.trapezoid(areas, places) / 1000, rel=0.005)
    height = series.grid.affine[2, 0] * np.argwhere(mask)[:, 0].mean()
    assert height == pytest.approx(centre, abs=1.0)


def test_true_slices_keep_their_mask_and_those_between_lie_between(tmp_path: Path) -> None:
    """Discs of 6 and 18 mm, 6 mm apart: the one half-way has the mean of their areas."""
    series = series_at(tmp_path, places_of(3, 3, 6, 3, 3))
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    distance = PIXEL * np.hypot(rows, columns)
    mask = np.stack([distance < radius for radius in (6, 6, 6, 18, 18, 18)])
    made = series.to_grid(mask)
    assert np.array_equal(np.delete(made, 3, axis=0), mask)
    assert made[3].sum() == pytest.approx(mask[2:4].sum() / 2, abs=4)  # equals come by fours
    assert distance[made[3]].max() <= distance[~made[3]].min()


def test_a_hole_stays_a_hole_and_an_empty_mask_empty(tmp_path: Path) -> None:
    series = series_at(tmp_path, places_of(3, 3, 6, 3, 3))
    mask = np.zeros((6, SIDE, SIDE), bool)
    assert not series.to_grid(mask).any()
    mask[:, 10:30, 10:30] = True
    mask[:, 15:25, 15:25] = False
    assert np.array_equal(series.to_grid(mask), np.repeat(mask[:1], 7, axis=0))


def test_a_scan_of_uneven_steps_has_its_mask_where_its_values_are(root: Path) -> None:
    """A ball by its formula, at the places that the scan says."""
    places = places_of(*[6.0] * 7, *[3.0] * 12)
    middle, centre = PIXEL * (SIDE - 1) / 2, 48.0
    affine = placed((len(places), SIDE, SIDE), (1.0, PIXEL, PIXEL), origin=(0, 0, 0))
    rows, columns = np.mgrid[:SIDE, :SIDE] * PIXEL - middle
    inside = [rows**2 + columns**2 + (z - centre) ** 2 < RADIUS**2 for z in places]
    datasets = series_datasets(np.where(inside, 500, -1000), affine)
    for dataset, place in zip(datasets, places, strict=True):
        dataset.ImagePositionPatient = [0, 0, place]
    save_series(datasets, root)
    save(structure_dataset({"Parotid_L": outlines(places, centre)}), root / "rs.dcm")
    scan = only(root)
    assert "slices 3 to 6 mm apart are brought to 3 mm" in scan.notes
    mask = scan.masks["parotid_left"]
    assert scan.hu.shape == mask.shape == (27, SIDE, SIDE)
    at = np.moveaxis(np.indices(mask.shape), 0, -1) @ scan.affine[:3, :3].T + scan.affine[:3, 3]
    ball = ((at - (middle, middle, centre)) ** 2).sum(-1) < RADIUS**2
    assert 2 * (mask & ball).sum() / (mask.sum() + ball.sum()) > 0.97
    assert (scan.hu[mask & ball] > -1000).all()
