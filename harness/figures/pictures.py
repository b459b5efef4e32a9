"""Small pictures of pairs: CT with the outline of its mask, sheets, parts of sample grids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from harness.figures.style import ORANGE
from harness.training.pictures import to_grey

GROUND = 96
GAP = 2
_OUTLINE = tuple(int(ORANGE[i : i + 2], 16) for i in (1, 3, 5))


def outlined(
    ct: NDArray[np.floating], mask: NDArray[np.generic], edge: int = 160
) -> NDArray[np.uint8]:
    """CT (H, W) in [-1, 1] with the mask's outline, as (edge, edge, 3)."""
    wide = Image.fromarray(to_grey(ct)).resize((edge, edge), Image.Resampling.BICUBIC)
    colour = np.stack([np.asarray(wide)] * 3, axis=-1)
    inside = Image.fromarray((np.asarray(mask) > 0).astype(np.uint8) * 255)
    region = np.asarray(inside.resize((edge, edge), Image.Resampling.BILINEAR)) > 127
    colour[edge_of(region)] = _OUTLINE
    return colour


def edge_of(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of the region that touch its outside by a side."""
    return np.asarray(region & ~ndimage.binary_erosion(region))


def sheet(images: Sequence[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    """Equal pictures (H, W, 3) row by row on a white ground."""
    height, width = images[0].shape[:2]
    rows = -(-len(images) // columns)
    made = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = (index // columns) * (height + GAP), (index % columns) * (width + GAP)
        made[top : top + height, left : left + width] = image
    return made


def corner(grid: NDArray[np.uint8], tile_px: int, columns: int, rows: int) -> NDArray[np.uint8]:
    """The first tiles of a sample grid (`training.pictures.grid`: gap of 2 px on all sides)."""
    pitch = tile_px + GAP
    return grid[: rows * pitch + GAP, : columns * pitch + GAP]


def tiles_of(grid: NDArray[np.uint8], tile_px: int) -> NDArray[np.uint8]:
    """All tiles (N, tile_px, tile_px) of a grey sample grid, row by row, without empty places."""
    pitch = tile_px + GAP
    rows, columns = (grid.shape[0] - GAP) // pitch, (grid.shape[1] - GAP) // pitch
    inner = grid[GAP : GAP + rows * pitch, GAP : GAP + columns * pitch]
    tiles = inner.reshape(rows, pitch, columns, pitch).swapaxes(1, 2).reshape(-1, pitch, pitch)
    found = tiles[:, :tile_px, :tile_px]
    return found[~(found == GROUND).all(axis=(1, 2))]


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A PNG file as a grey (H, W) or colour (H, W, 3) array."""
    with Image.open(path) as picture:
        return np.asarray(picture if picture.mode == "L" else picture.convert("RGB"))
