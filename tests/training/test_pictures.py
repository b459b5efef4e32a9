"""Sample grids: where each tile lies and which grey it has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.training.pictures import grid, to_grey, write_png


def test_the_window_maps_to_eight_bits_and_what_lies_outside_is_cut() -> None:
    grey = to_grey(np.array([-5.0, -1.0, 0.0, 1.0, 5.0]))
    assert grey.dtype == np.uint8
    assert grey.tolist() == [0, 0, 128, 255, 255]
    assert to_grey(np.array([np.nan, np.inf, -np.inf])).tolist() == [0, 255, 0]


@pytest.mark.parametrize(("count", "rows"), [(6, 2), (5, 2), (3, 1), (1, 1)])
def test_tiles_lie_row_by_row_with_a_gap_around_each(count: int, rows: int) -> None:
    tiles = np.stack([np.full((5, 7), 10 + n, np.uint8) for n in range(count)])
    sheet = grid(tiles, columns=3, gap=2)
    assert sheet.shape == (rows * 7 + 2, 3 * 9 + 2)
    for n in range(count):
        top, left = 2 + (n // 3) * 7, 2 + (n % 3) * 9
        assert (sheet[top : top + 5, left : left + 7] == 10 + n).all()
    assert (sheet == 96).sum() == sheet.size - count * 35


@pytest.mark.parametrize("shape", [(4, 9), (4, 9, 3)])
def test_a_png_reads_back_pixel_by_pixel(shape: tuple[int, ...], tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    write_png(tmp_path / "a" / "b.png", image)
    with Image.open(tmp_path / "a" / "b.png") as read:
        np.testing.assert_array_equal(np.asarray(read), image)
