"""Where voxels lie: slice order, affine maps, refused series, canonical axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.dicom import (
    AXIAL,
    open_series,
    placed,
    save,
    save_series,
    series_datasets,
    to_mm,
    uid,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from harness.base.errors import DataError
from harness.data.dicom.geometry import canonical_axes, reorient, reorient_affine
from harness.data.dicom.series import Series, read_hu
from harness.data.dicom.walk import walk

SHAPE = (7, 6, 9)
VOLUME = np.arange(np.prod(SHAPE)).reshape(SHAPE) - 1000
TURN = np.deg2rad(20)
GEOMETRIES = {
    "head first": placed(SHAPE),
    "feet first, prone": placed(SHAPE, orientation=(-1, 0, 0, 0, 1, 0)),
    "rows to the left": placed(SHAPE, orientation=(0, 1, 0, 1, 0, 0)),
    "sagittal": placed(SHAPE, orientation=(0, 1, 0, 0, 0, -1)),
    "coronal": placed(SHAPE, orientation=(1, 0, 0, 0, 0, -1)),
    "pixels that are not square": placed(SHAPE, spacing=(2.5, 0.7, 1.3)),
    "oblique": placed(
        SHAPE, orientation=(np.cos(TURN), np.sin(TURN), 0, -np.sin(TURN), np.cos(TURN), 0)
    ),
    "tilted gantry": placed(
        SHAPE,
        orientation=(1, 0, 0, 0, np.cos(TURN), -np.sin(TURN)),
        shear=(0.0, np.sin(TURN) * 3, 0.2),
    ),
}


def opened(datasets: list[Dataset], folder: Path) -> Series:
    save_series(datasets, folder / "in")
    return open_series(walk(folder / "in", folder / "private"))


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("order", ["as made", "reversed"])
def test_order_and_affine_come_from_positions(tmp_path: Path, name: str, order: str) -> None:
    affine = GEOMETRIES[name]
    datasets = series_datasets(VOLUME, affine)
    for index, dataset in enumerate(datasets):
        dataset.InstanceNumber = (index * 3) % 7 + 1
        dataset.SliceLocation = -index
        dataset.SliceThickness = 9
    series = opened(datasets if order == "as made" else datasets[::-1], tmp_path)
    assert np.array_equal(read_hu(series), VOLUME)
    assert series.grid.affine == pytest.approx(affine, abs=1e-5)
    corners = np.array([[0, 0, 0], [6, 5, 8], [3, 0, 8], [1.5, 2.25, 0.5]])
    assert series.grid.indices(to_mm(affine, corners)) == pytest.approx(corners, abs=1e-4)


def test_a_feet_first_scan_worked_by_hand(tmp_path: Path) -> None:
    """Columns run to the right, rows to the back, so slices run down along the normal."""
    datasets = series_datasets(VOLUME[:2], placed(SHAPE, orientation=(-1, 0, 0, 0, 1, 0)))
    datasets[0].ImagePositionPatient = [10, 20, 30]
    datasets[1].ImagePositionPatient = [10, 20, 33]  # nearer to the head: comes first
    series = opened(datasets, tmp_path)
    assert to_mm(series.grid.affine, np.array([[1, 2, 3]]))[0] == pytest.approx([7, 22, 30])
    assert np.array_equal(read_hu(series), VOLUME[1::-1])


def test_one_slice_takes_its_thickness(tmp_path: Path) -> None:
    affine = placed((1, 6, 9), spacing=(4.5, 1, 1))
    series = opened(series_datasets(VOLUME[:1], affine), tmp_path)
    assert series.grid.affine == pytest.approx(affine)


@pytest.mark.parametrize("thickness", [None, "0", "-2", "soon"])
def test_one_slice_without_a_sound_thickness_is_a_millimetre_thick(
    tmp_path: Path, thickness: str | None
) -> None:
    [dataset] = series_datasets(VOLUME[:1], placed((1, 6, 9)))
    del dataset.SliceThickness
    if thickness is not None:
        dataset.add_new(0x00180050, "SH", thickness)
    series = opened([dataset], tmp_path)
    assert series.grid.affine[:3, 0].tolist() == [0, 0, 1]


def test_a_broken_thickness_matters_to_no_series_of_several_slices(tmp_path: Path) -> None:
    datasets = series_datasets(VOLUME, placed(SHAPE))
    for dataset in datasets:
        del dataset.SliceThickness
        dataset.add_new(0x00180050, "SH", "soon")
    assert opened(datasets, tmp_path).grid.affine == pytest.approx(placed(SHAPE))


def test_copies_of_a_slice_are_left_out_and_counted(tmp_path: Path) -> None:
    datasets = series_datasets(VOLUME, placed(SHAPE))
    save(datasets[2], tmp_path / "in" / "again" / "copy.dcm")
    save(datasets[4], tmp_path / "in" / "again" / "copy2.dcm")
    series = opened(datasets, tmp_path)
    assert series.repeats == 2
    assert np.array_equal(read_hu(series), VOLUME)


def test_slices_that_share_an_identifier_but_no_place_are_slices(tmp_path: Path) -> None:
    datasets = series_datasets(VOLUME, placed(SHAPE))
    for dataset in datasets[:3]:
        dataset.SOPInstanceUID = uid(7)
    for dataset in datasets[3:]:
        dataset.SOPInstanceUID = None
    series = opened(datasets, tmp_path)
    assert (series.repeats, series.grid.shape) == (0, SHAPE)
    assert np.array_equal(read_hu(series), VOLUME)


def moved(datasets: list[Dataset], index: int, **elements: Any) -> list[Dataset]:
    for keyword, value in elements.items():
        setattr(datasets[index], keyword, value)
    return datasets


def refusal(datasets: list[Dataset], folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        opened(datasets, folder)
    return str(caught.value)


def test_a_missing_block_is_refused_with_its_place(tmp_path: Path) -> None:
    volume = np.zeros((12, 4, 4))
    datasets = series_datasets(volume, placed(volume.shape, origin=(0, 0, 100)))
    del datasets[4:8]  # from 109 to 124 mm
    assert refusal(datasets, tmp_path).startswith(
        "no block of slices may be missing, but got a step of 15.00 mm instead of 3.00 mm after "
        "109.00 mm (file "
    )


def test_two_slices_at_one_place_are_refused(tmp_path: Path) -> None:
    datasets = series_datasets(VOLUME, placed(SHAPE, origin=(0, 0, 100)))
    again = series_datasets(VOLUME + 1, placed(SHAPE, origin=(0, 0, 100)))[2]
    again.SOPInstanceUID = uid(8)
    for index, dataset in enumerate([*datasets, again]):
        save(dataset, tmp_path / "in" / f"{index}.dcm")
    with pytest.raises(DataError) as caught:
        open_series(walk(tmp_path / "in", None))
    assert str(caught.value) == (
        "each slice of a series must have a position of its own, but got two at 106.00 mm (file 3, "
        "file 8) and nothing in their headers tells them apart; export the series again"
    )


@pytest.mark.parametrize("identifier", [None, uid(8)])
def test_equal_pixels_at_one_place_are_copies_whatever_they_are_called(
    tmp_path: Path, identifier: str | None
) -> None:
    datasets = series_datasets(VOLUME, placed(SHAPE))
    again = series_datasets(VOLUME, placed(SHAPE))[2]
    again.SOPInstanceUID = identifier
    series = opened([*datasets, again], tmp_path)
    assert series.repeats == 1
    assert np.array_equal(read_hu(series), VOLUME)


def test_one_identifier_at_one_place_with_other_pixels_is_no_copy(tmp_path: Path) -> None:
    datasets = series_datasets(VOLUME, placed(SHAPE, origin=(0, 0, 100)))
    again = series_datasets(VOLUME + 1, placed(SHAPE, origin=(0, 0, 100)))[2]
    assert "a position of its own, but got two at 106.00 mm" in refusal(
        [*datasets, again], tmp_path
    )


def test_many_odd_places_are_listed_up_to_five(tmp_path: Path) -> None:
    volume = np.zeros((20, 4, 4))
    datasets = series_datasets(volume, placed(volume.shape, origin=(0, 0, 0)))
    copies = series_datasets(volume + 1, placed(volume.shape, origin=(0, 0, 0)))[:7]
    for index, copy in enumerate(copies):
        copy.SOPInstanceUID = uid(8, index)
    found = refusal([*datasets, *copies], tmp_path)
    assert "at 0.00, 3.00, 6.00, 9.00, 12.00 and 2 more mm (file " in found
    assert " and 9 more) and nothing in their headers" in found


def test_a_slice_beside_the_others_is_refused(tmp_path: Path) -> None:
    datasets = series_datasets(VOLUME, placed(SHAPE, origin=(0, 0, 100)))
    moved(datasets, 3, ImagePositionPatient=[4, 0, 109])
    found = refusal(datasets, tmp_path)
    assert found.startswith("slices of a series must lie on a straight line, but got slices beside")
    assert "109.00 mm (file " in found


def test_steps_that_drift_keep_their_places(tmp_path: Path) -> None:
    """Each step is within tolerance of the median; together they leave the grid by a slice."""
    volume = np.zeros((81, 4, 4))
    datasets = series_datasets(volume, placed(volume.shape, origin=(0, 0, 0)))
    steps = np.where(np.arange(80) < 40, 3.0, 3.13)
    places = np.round([0, *np.cumsum(steps)], 3)
    for dataset, place in zip(datasets, places, strict=True):
        dataset.ImagePositionPatient = [0, 0, float(place)]
    series = opened(datasets, tmp_path)
    assert series.notes == ("slices 3 to 3.13 mm apart are brought to 3.06 mm",)
    points = np.stack([np.zeros(81), np.zeros(81), places], axis=1)
    assert series.planes.indices(points)[:, 0] == pytest.approx(np.arange(81))


def test_rounded_positions_are_even_enough(tmp_path: Path) -> None:
    """A third of a millimetre, written with two decimals."""
    volume = np.zeros((30, 4, 4))
    datasets = series_datasets(volume, placed(volume.shape, (1 / 3, 1, 1), origin=(0, 0, 0)))
    for index, dataset in enumerate(datasets):
        dataset.ImagePositionPatient = [0, 0, round(index / 3, 2)]
    assert opened(datasets, tmp_path).grid.affine[2, 0] == pytest.approx(1 / 3, abs=1e-3)


@pytest.mark.parametrize(
    "elements",
    [
        {"ImagePositionPatient": None},
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
        {"PixelSpacing": [0, 0]},
        {"PixelSpacing": None},
    ],
)
def test_slices_without_geometry_are_named(tmp_path: Path, elements: dict[str, Any]) -> None:
    datasets = series_datasets(VOLUME, placed(SHAPE))
    moved(moved(datasets, 3, **elements), 5, **elements)
    for index, dataset in enumerate(datasets):
        save(dataset, tmp_path / "in" / f"{index}.dcm")
    with pytest.raises(DataError) as caught:
        open_series(walk(tmp_path / "in", None))
    assert str(caught.value) == (
        "every slice must give its position, orientation, pixel spacing and size, but file 4, "
        "file 6 do not; export the series again"
    )


# Canonical axes.


def oriented(axes: tuple[int, ...], signs: tuple[int, ...], tilt: float) -> NDArray[np.float64]:
    """An affine whose axes are body axes in any order and direction, turned by a few degrees."""
    matrix = np.zeros((3, 3))
    for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        matrix[axis, column] = sign
    c, s = np.cos(tilt), np.sin(tilt)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ [[1, 0, 0], [0, c, -s], [0, s, c]]
    affine = np.eye(4)
    affine[:3, :3] = turn @ matrix @ np.diag([2.5, 0.8, 1.1])
    affine[:3, 3] = (12, -40, 300)
    return affine


@settings(max_examples=150, deadline=None)
@given(
    st.permutations([0, 1, 2]),
    st.tuples(*[st.sampled_from([-1, 1])] * 3),
    st.floats(-0.4, 0.4),
    st.tuples(*[st.integers(1, 5)] * 3),
    st.randoms(use_true_random=False),
)
def test_every_voxel_keeps_its_place(axes, signs, tilt, shape, random) -> None:
    """A volume that stores its own index: after reorienting, each voxel is where it was in mm."""
    affine = oriented(tuple(axes), signs, tilt)
    volume = np.arange(np.prod(shape)).reshape(shape)
    order, flips = canonical_axes(affine)
    turned = reorient(volume, order, flips)
    made = reorient_affine(affine, shape, order, flips)
    for _ in range(5):
        place = tuple(random.randrange(length) for length in turned.shape)
        source = np.unravel_index(turned[place], shape)
        assert to_mm(made, np.array([place])) == pytest.approx(to_mm(affine, np.array([source])))
    # Slices to the head, rows to the back, columns to the patient's left.
    assert (np.diag(made[[2, 1, 0], :3]) > 0).all()
    assert sorted(turned.ravel()) == list(range(volume.size))


def test_an_axis_half_way_between_two_is_refused() -> None:
    """Turned by 45 degrees about (0.6, 0.8, 0): slices and columns are both nearest to the head."""
    affine = np.eye(4)
    affine[:3, 0] = np.array([-0.8, 0.6, 1.0]) / np.sqrt(2)
    affine[:3, 1] = (0.6, 0.8, 0.0)
    affine[:3, 2] = np.array([0.8, -0.6, 1.0]) / np.sqrt(2)
    with pytest.raises(DataError, match="turned half-way between two"):
        canonical_axes(affine)


def test_canonical_volumes_stay_as_they_are() -> None:
    assert canonical_axes(placed((3, 3, 3), orientation=AXIAL)) == ((0, 1, 2), (False,) * 3)
