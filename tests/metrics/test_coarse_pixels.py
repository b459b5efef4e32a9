"""Coarse pixels on images whose blurred cells are known, and what they see and overlook."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.base.errors import DataError
from harness.metrics.extractors.coarse_pixels import GRID, coarse_pixels


def disc(size: int, row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.indices((size, size))
    return (rows - row) ** 2 + (columns - column) ** 2 < radius**2


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(coarse_pixels(one[None]) - coarse_pixels(other[None])))


@pytest.mark.parametrize("shape", [(16, 16), (32, 32), (128, 128), (64, 48), (33, 50)])
def test_a_constant_image_is_constant(shape: tuple[int, int]) -> None:
    found = coarse_pixels(np.stack([np.full(shape, 0.3), np.full(shape, 1.0)]))
    assert found.shape == (2, 256)
    assert found.dtype == np.float64
    assert found[0] == pytest.approx(np.full(256, 0.3), abs=1e-6)
    assert found[1] == pytest.approx(np.ones(256), abs=1e-6)
    assert (coarse_pixels(np.zeros((1, *shape), bool)) == 0).all()


@given(st.integers(0, GRID - 1), st.integers(0, GRID - 1), st.integers(1, 5), st.integers(1, 5))
def test_a_bright_cell_lands_in_its_feature(row: int, column: int, height: int, width: int) -> None:
    image = np.zeros((1, GRID * height, GRID * width), bool)
    image[0, row * height : (row + 1) * height, column * width : (column + 1) * width] = True
    found = coarse_pixels(image).reshape(GRID, GRID)
    assert np.unravel_index(found.argmax(), found.shape) == (row, column)
    rows, columns = np.indices(found.shape)
    # A blur of half a cell, cut off at 4 standard deviations, reaches 2 cells and a bit.
    far = np.maximum(abs(rows - row), abs(columns - column)) > 3
    assert (found[far] == 0).all()
    # Away from the border nothing is lost.
    if 3 <= row < GRID - 3 and 3 <= column < GRID - 3:
        assert found.sum() == pytest.approx(1, abs=1e-5)


def test_an_edge_is_the_integral_of_a_gaussian() -> None:
    # Cells of 8 pixels: blurred by 4, an edge between columns 63 and 64 is a normal distribution.
    image = np.zeros((1, 128, 128))
    image[0, :, 64:] = 1
    found = coarse_pixels(image).reshape(GRID, GRID)
    expected = stats.norm.cdf((np.arange(128) - 63.5) / 4).reshape(GRID, 8).mean(axis=1)
    assert found == pytest.approx(np.tile(expected, (GRID, 1)), abs=1e-3)
    turned = coarse_pixels(image.swapaxes(1, 2)).reshape(GRID, GRID)
    assert turned == pytest.approx(found.T, abs=1e-6)


def test_grain_and_specks_are_overlooked_and_shapes_are_seen() -> None:
    rng = np.random.default_rng(0)
    image = disc(128, 60, 70, 20).astype(float)
    grain = image + rng.normal(0, 0.1, image.shape)
    specks = disc(128, 60, 70, 20) ^ (rng.random(image.shape) < 0.005)
    moved, grown = disc(128, 60, 78, 20), disc(128, 60, 70, 24)
    # Pixel by pixel grain is as far as the moved disc, and specks are a good part of it.
    assert np.linalg.norm(grain - image) > 0.5 * np.linalg.norm(moved - image)
    for shape in (moved, grown):
        seen = distance(shape, image)
        assert seen > 5 * distance(grain, image)
        assert seen > 3 * distance(specks, image)
    # Shapes count the more, the more they differ.
    shifts = [distance(disc(128, 60, 70 + by, 20), image) for by in (2, 5, 10, 20)]
    assert shifts == sorted(shifts)


def test_a_checkerboard_of_single_pixels_is_grey() -> None:
    graph = (np.indices((128, 128)).sum(axis=0) % 2 == 0)[None]
    assert coarse_pixels(graph) == pytest.approx(np.full((1, 256), 0.5), abs=0.03)


def test_odd_edges_are_repeated_below_and_on_the_right() -> None:
    image = np.random.default_rng(1).random((2, 33, 47))
    rows, columns = np.minimum(np.arange(48), 32), np.minimum(np.arange(48), 46)
    repeated = image[:, rows][:, :, columns]
    assert (coarse_pixels(image) == coarse_pixels(repeated)).all()
    assert not (coarse_pixels(image) == coarse_pixels(repeated[:, ::-1])).all()


def test_an_image_does_not_depend_on_its_neighbours() -> None:
    images = np.random.default_rng(2).random((5, 32, 32)) < 0.5
    whole = coarse_pixels(images)
    assert (coarse_pixels(images[[3]]) == whole[[3]]).all()
    assert (coarse_pixels(images.astype(np.float32)) == whole).all()


@pytest.mark.parametrize("shape", [(32, 32), (2, 15, 32), (2, 32, 15), (2, 1, 32, 32)])
def test_what_is_no_set_of_images_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError) as caught:
        coarse_pixels(np.zeros(shape))
    assert str(caught.value) == (
        f"coarse pixels need images n x H x W of 16 px or more, but got shape {shape}; "
        "give one grey image a row"
    )
