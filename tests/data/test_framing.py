"""Frames and back: sampling against another library, mirroring, window, padding, slices."""

from __future__ import annotations

import numpy as np
import pytest
from factories.dicom import placed
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from harness.data.pairs.framing import (
    Framing,
    channel_of,
    channels_of,
    frames,
    in_plane_spacing,
    mask_frames,
    paste,
    structure_slices,
)
from harness.data.pairs.placement import Placement

WINDOW = (-324.0, 176.0)
WHOLE = (0, 10)


def affine_of(rows_mm: float, columns_mm: float) -> NDArray[np.float64]:
    return placed((1, 1, 1), (3.0, rows_mm, columns_mm))


def at(row: float, column: float, slices: tuple[int, int] = WHOLE) -> Placement:
    return Placement((row, column), slices)


def to_hu(scaled: NDArray[np.float32], window: tuple[float, float] = WINDOW) -> NDArray[np.float64]:
    low, high = window
    return (scaled.astype(np.float64) + 1) / 2 * (high - low) + low


def sampled(
    volume: NDArray[np.float64],
    affine: NDArray[np.float64],
    place: Placement,
    framing: Framing,
    outside: float,
) -> NDArray[np.float64]:
    """The same frames by SciPy: linear, blended with `outside` at the border."""
    steps = (np.arange(framing.frame_px) - (framing.frame_px - 1) / 2) * framing.spacing_mm
    rows, columns = (place.centre[axis] + steps / in_plane_spacing(affine)[axis] for axis in (0, 1))
    grid = np.meshgrid(rows, columns, indexing="ij")
    return np.stack(
        [
            ndimage.map_coordinates(image, grid, order=1, mode="grid-constant", cval=outside)
            for image in volume
        ]
    )


SIZES = st.tuples(st.integers(1, 3), st.integers(1, 30), st.integers(1, 30))
CENTRES = st.tuples(st.floats(-10, 40), st.floats(-10, 40))
SPACINGS = st.floats(0.4, 5.0)


@settings(max_examples=60, deadline=None)
@given(SIZES, CENTRES, SPACINGS, SPACINGS, SPACINGS, st.integers(1, 24))
def test_ct_frames_against_scipy(size, centre, rows_mm, columns_mm, spacing, frame_px) -> None:
    volume = np.random.default_rng(1).integers(-1024, 1500, size).astype(np.float64)
    framing = Framing(frame_px, spacing, (-2000.0, 2000.0))
    affine, place = affine_of(rows_mm, columns_mm), at(*centre)
    made = frames(volume, affine, place, framing, mirrored=False)
    assert (made.dtype, made.shape) == (np.float32, (size[0], frame_px, frame_px))
    expected = sampled(volume, affine, place, framing, -1024.0)
    assert to_hu(made, framing.window_hu) == pytest.approx(expected, abs=0.01)


@settings(max_examples=60, deadline=None)
@given(SIZES, CENTRES, SPACINGS, SPACINGS, SPACINGS, st.integers(1, 24))
def test_mask_frames_against_scipy(size, centre, rows_mm, columns_mm, spacing, frame_px) -> None:
    mask = np.random.default_rng(2).random(size) < 0.5
    framing = Framing(frame_px, spacing, WINDOW)
    affine, place = affine_of(rows_mm, columns_mm), at(*centre)
    made = mask_frames(mask, affine, place, framing, mirrored=False)
    soft = sampled(mask.astype(np.float64), affine, place, framing, 0.0)
    clear = np.abs(soft - 0.5) > 1e-9
    assert (made.dtype, set(np.unique(made)) <= {0, 1}) == (np.uint8, True)
    assert np.array_equal(made[clear], (soft > 0.5)[clear])


def test_a_ramp_in_millimetres() -> None:
    """Worked by hand: 1 HU a millimetre to the back and 2 to the left, from the frame's centre."""
    row, column = np.mgrid[:50, :60]
    rows_mm, columns_mm, centre = 1.5, 0.75, (24.0, 31.5)
    hu = (row - centre[0]) * rows_mm + 2 * (column - centre[1]) * columns_mm
    framing = Framing(16, 1.25, (-100.0, 100.0))
    made = frames(hu[None], affine_of(rows_mm, columns_mm), at(*centre), framing, False)
    offsets = (np.arange(16) - 7.5) * 1.25
    assert to_hu(made[0], (-100, 100)) == pytest.approx(offsets[:, None] + 2 * offsets, abs=1e-4)


def test_the_window_is_a_fixed_linear_map() -> None:
    """The same value becomes the same grey whatever else the slice holds."""
    values = [-1024, -325, -324, -74, 0, 176, 177, 3000]
    expected = [-1, -1, -1, 0, 74 / 250, 1, 1, 1]
    framing = Framing(2, 1.0, WINDOW)
    for other in (-1000, 0, 2000):
        for value, grey in zip(values, expected, strict=True):
            hu = np.full((1, 6, 6), other)
            hu[0, 2:4, 2:4] = value
            made = frames(hu, affine_of(1, 1), at(2.5, 2.5), framing, False)
            assert made[0] == pytest.approx(np.full((2, 2), grey), abs=1e-6)


def test_a_frame_past_the_scan_is_filled_with_air_not_stretched() -> None:
    hu = np.full((1, 10, 10), 176)
    made = frames(hu, affine_of(1, 1), at(4.5, 4.5), Framing(30, 1.0, WINDOW), False)
    assert (made[0, 10:20, 10:20] == 1).all()
    assert (made == 1).sum() == 100
    assert (made == -1).sum() == 30 * 30 - 100


def test_slices_stay_those_of_the_scan() -> None:
    hu = np.arange(7)[:, None, None] * np.ones((7, 5, 5))
    made = frames(hu, affine_of(2, 2), at(2, 2, (3, 4)), Framing(1, 1.0, (0.0, 10.0)), False)
    assert to_hu(made, (0, 10)).ravel() == pytest.approx(np.arange(7), abs=1e-5)


def test_legacy_scaling_stretches_each_slice_before_the_crop() -> None:
    """The whole slice's least and greatest clipped value become -1 and 1."""
    hu = np.zeros((3, 8, 8))
    hu[0, 0, 0], hu[0, 7, 7] = -300, 100  # both outside the frame
    hu[1, 0, 0], hu[1, 7, 7] = -2000, 2000  # clipped to the window first
    made = frames(hu, affine_of(1, 1), at(3.5, 3.5), Framing(2, 1.0, WINDOW, True), False)
    assert made[0] == pytest.approx(np.full((2, 2), (0 + 300) / 400 * 2 - 1), abs=1e-6)
    assert made[1] == pytest.approx(np.full((2, 2), (0 + 324) / 500 * 2 - 1), abs=1e-6)
    assert (made[2] == -1).all(), "a slice of one value"
    past = frames(hu, affine_of(1, 1), at(-50, 3.5), Framing(4, 1.0, WINDOW, True), False)
    assert (past == -1).all()


def test_framing_of_a_store_and_of_a_config() -> None:
    rest = {"spacing_mm": 1.5, "window_hu": [-10, 10], "legacy_scaling": False}
    expected = Framing(64, 1.5, (-10, 10))
    assert Framing.of({**rest, "frame_px": 64}) == expected
    assert Framing.of({**rest, "crop": {"frame_px": 64, "mask_px": 32}}) == expected


# Mirroring.


def test_channels_and_sides() -> None:
    assert channel_of("parotid_left", True) == ("parotid", True)
    assert channel_of("parotid_right", True) == ("parotid", False)
    assert channel_of("parotid_left", False) == ("parotid_left", False)
    assert channel_of("mandible", True) == ("mandible", False)
    names = ("parotid_left", "mandible", "parotid_right")
    assert channels_of(names, True) == ["parotid", "mandible"]
    assert channels_of(names, False) == list(names)


@settings(max_examples=40, deadline=None)
@given(CENTRES, st.floats(0.5, 3), st.integers(1, 25))
@example((12.0, 15.0), 1.1, 24)
def test_a_mirrored_patient_gives_the_frames_of_the_other_side(centre, spacing, frame_px) -> None:
    """A left structure's frame, mirrored, is the right structure's frame of the patient's mirror
    image."""
    hu = np.random.default_rng(4).integers(-1000, 1000, (2, 25, 31))
    framing, affine = Framing(frame_px, spacing, WINDOW), affine_of(1.1, 0.9)
    left = frames(hu, affine, at(*centre), framing, mirrored=True)
    right = frames(hu[..., ::-1], affine, at(centre[0], 30 - centre[1]), framing, mirrored=False)
    assert left == pytest.approx(right, abs=1e-5)
    mask = hu > 0
    left = mask_frames(mask, affine, at(*centre), framing, mirrored=True)
    other = at(centre[0], 30 - centre[1])
    assert np.array_equal(left, mask_frames(mask[..., ::-1], affine, other, framing, False))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("source_mm", [0.5, 1.0, 2.0])
def test_no_grid_makes_a_mask_grow_or_shrink(source_mm, shift, mirrored) -> None:
    """Discs on grids that meet the frame's at, between and half-way between pixels."""
    y, x = np.mgrid[:160, :160]
    framing, affine = Framing(128, 1.0, WINDOW), affine_of(source_mm, source_mm)
    before, after = 0.0, 0.0
    for radius_mm in np.linspace(11, 19.3, 30):
        radius = radius_mm / source_mm
        mask = ((y - 80) ** 2 + (x - 79.5) ** 2 <= radius**2)[None]
        # A frame of an even number of pixels has its centre between two of them.
        place = at(80.5 + shift, 79.5 + shift)
        before += mask.sum() * source_mm**2
        after += mask_frames(mask, affine, place, framing, mirrored).sum()
    assert after == pytest.approx(before, rel=0.01)


def test_a_tie_is_what_lies_below_and_to_the_right_of_it() -> None:
    """Worked by hand: three by three voxels half a pixel off the frame stay three by three, and
    lie alike in a mirrored frame."""
    mask = np.zeros((1, 9, 9), bool)
    mask[0, 3:6, 3:6] = True
    framing, affine = Framing(4, 1.0, WINDOW), affine_of(1, 1)
    expected = np.zeros((4, 4), np.uint8)
    expected[0:3, 0:3] = 1
    expected[0, 0] = 0  # a corner is a quarter inside: no tie
    for mirrored in (False, True):
        frame = mask_frames(mask, affine, at(4, 4), framing, mirrored)[0]
        assert np.array_equal(frame, expected), frame


@settings(max_examples=40, deadline=None)
@given(CENTRES, st.floats(0.5, 3), st.integers(1, 25))
def test_pasting_undoes_the_mirror_exactly(centre, spacing, frame_px) -> None:
    made = np.random.default_rng(5).random((2, frame_px, frame_px)).astype(np.float32)
    framing, affine, shape = Framing(frame_px, spacing, WINDOW), affine_of(1.1, 0.9), (2, 25, 31)
    plain = paste(made, shape, affine, at(*centre), framing, mirrored=False)
    turned = paste(made[..., ::-1], shape, affine, at(*centre), framing, mirrored=True)
    assert np.array_equal(plain, turned)


# Back to the source grid.


@pytest.mark.parametrize("mirrored", [False, True])
def test_pixels_on_voxels_come_back_as_they_were(mirrored: bool) -> None:
    random = np.random.default_rng(6)
    hu = random.integers(-324, 176, (3, 40, 50)).astype(np.float64)
    mask = random.random((3, 40, 50)) < 0.5
    framing, place, affine = Framing(16, 1.0, WINDOW), at(20.5, 25.5), affine_of(1, 1)
    inside = np.s_[:, 13:29, 18:34]
    ct = paste(
        frames(hu, affine, place, framing, mirrored), hu.shape, affine, place, framing, mirrored
    )
    assert to_hu(ct)[inside] == pytest.approx(hu[inside], abs=1e-3)
    made = mask_frames(mask, affine, place, framing, mirrored).astype(np.float32)
    back = paste(made, mask.shape, affine, place, framing, mirrored)
    assert np.array_equal(back[inside] > 0.5, mask[inside])
    outside = np.ones(mask.shape, bool)
    outside[inside] = False
    assert not back[outside].any()


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def ellipse(rows_mm: float, columns_mm: float, height: float, width: float) -> NDArray[np.bool_]:
    y, x = np.mgrid[:120, :120]
    dy, dx = (y - 60.3) * rows_mm, (x - 58.6) * columns_mm
    return ((dy / height) ** 2 + (dx / width) ** 2 <= 1)[None]


@settings(max_examples=40, deadline=None)
@example(0.6015625, 1.03125, 0.0, 0.0, False, 10.0, 8.0)
@given(
    st.floats(0.6, 1.6),
    st.floats(0.6, 1.6),
    st.floats(0, 1),
    st.floats(0, 1),
    st.booleans(),
    st.floats(10, 18),
    st.floats(8, 14),
)
def test_a_smooth_mask_comes_back_to_its_place(
    rows_mm, columns_mm, row, column, mirrored, height, width
) -> None:
    """Ellipses the size of a structure, at any place between voxels, frames of 1 mm."""
    mask = ellipse(rows_mm, columns_mm, height, width)
    place, affine = at(60 + row, 58 + column), affine_of(rows_mm, columns_mm)
    framing = Framing(64, 1.0, WINDOW)
    made = mask_frames(mask, affine, place, framing, mirrored).astype(np.float32)
    # One smooth edge may lie badly between pixels; the mean over many is the next test's.
    assert made.sum() == pytest.approx(np.pi * height * width, rel=0.08)
    back = paste(made, mask.shape, affine, place, framing, mirrored) > 0.5
    assert dice(back, mask) > 0.95


def test_masks_neither_grow_nor_shrink() -> None:
    """The mean area over ellipses at many places is theirs within half a per cent."""
    random, ratios = np.random.default_rng(4), []
    for _ in range(200):
        spacing, place = random.uniform(0.6, 1.6, 2), np.add(random.uniform(0, 1, 2), (60, 58))
        height, width = random.uniform((10, 8), (18, 14))
        mask = ellipse(*spacing, height, width)
        made = mask_frames(mask, affine_of(*spacing), at(*place), Framing(64, 1.0, WINDOW), False)
        ratios.append(made.sum() / (np.pi * height * width))
    assert np.mean(ratios) == pytest.approx(1, abs=0.005)


def test_pasted_frames_lie_where_they_were_cut() -> None:
    """One bright pixel, worked by hand: 10 px right of and 4 px above the frame's middle."""
    framing, affine = Framing(33, 2.0, WINDOW), affine_of(1, 1)
    made = np.zeros((1, 33, 33), np.float32)
    made[0, 16 - 4, 16 + 10] = 1
    back = paste(made, (1, 100, 100), affine, at(50, 50), framing, False)
    assert np.unravel_index(back.argmax(), back.shape) == (0, 50 - 8, 50 + 20)
    mirrored = paste(made, (1, 100, 100), affine, at(50, 50), framing, True)
    assert np.unravel_index(mirrored.argmax(), back.shape) == (0, 50 - 8, 50 - 20)


# Slices that train.


def with_structure(count: int, *slices: int) -> NDArray[np.bool_]:
    mask = np.zeros((count, 4, 4), bool)
    mask[list(slices), 1, 1] = True
    return mask


@pytest.mark.parametrize(
    ("structure", "range_", "share", "expected"),
    [
        (range(5, 15), (2, 17), 0.0, [*range(5, 15)]),
        (range(5, 15), (2, 17), 0.1, [*range(4, 15)]),
        (range(5, 15), (2, 17), 0.2, [*range(4, 16)]),
        (range(5, 15), (2, 17), 0.4, [*range(3, 17)]),
        (range(5, 15), (2, 17), 1.0, [*range(2, 18)]),
        (range(5, 15), (7, 12), 0.5, [*range(5, 15)]),
        (range(5, 15), (10, 17), 0.1, [*range(5, 16)]),
        ([5, 6, 9, 10], (5, 10), 0.25, [5, 6, 7, 9, 10]),
        ([3], (0, 9), 0.4, [3]),
        ([3], (0, 9), 0.6, [2, 3]),
        ([], (0, 9), 0.1, [*range(10)]),
    ],
)
def test_gland_free_slices_are_the_nearest_of_the_range(structure, range_, share, expected) -> None:
    assert structure_slices(with_structure(20, *structure), range_, share).tolist() == expected


@settings(deadline=None)
@given(
    st.sets(st.integers(0, 29), min_size=1), st.integers(0, 29), st.integers(0, 29), st.floats(0, 1)
)
def test_the_gland_free_share(structure, one, other, share) -> None:
    first, last = sorted((one, other))
    chosen = structure_slices(with_structure(30, *structure), (first, last), share)
    free = [index for index in chosen if index not in structure]
    there = [index for index in range(first, last + 1) if index not in structure]
    assert set(structure) <= set(chosen.tolist())
    assert len(free) == min(round(share * len(structure)), len(there))
    assert set(free) <= set(there)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    far = {index: min(abs(index - g) for g in structure) for index in there}
    left_out = [far[index] for index in there if index not in free]
    assert not free or not left_out or max(far[i] for i in free) <= min(left_out)
