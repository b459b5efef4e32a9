"""Three slices of a scan with its contours, small enough for a sheet of all patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.base.files import atomic
from harness.data.scan import Scan
from harness.figures.pictures import edge_of

Picture = NDArray[np.uint8]

TILE_PX = 144
BODY_HU = -300.0
MARGIN_MM = 10.0
COLOURS = (
    (255, 140, 0),
    (0, 158, 255),
    (60, 200, 90),
    (230, 90, 200),
    (240, 220, 60),
    (0, 210, 200),
)
"""Outlines of the structures, in the order of their names in the experiment."""


def colours_of(structures: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """Each structure's colour; there are only so many different ones."""
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(structures)}


def draw_scan(scan: Scan, structures: tuple[str, ...], window_hu: tuple[float, float]) -> Picture:
    """Three tiles side by side, (TILE_PX, 3 * TILE_PX, 3): two axial slices through the structures,
    at a quarter and three quarters of their extent (of the scan's, where all are empty), and the
    coronal one through their middle; black and white are the ends of the window, HU."""
    masks = {name: scan.masks[name] for name in structures if name in scan.masks}
    union = np.any(np.stack(list(masks.values())), axis=0)
    union = union if union.any() else np.ones_like(union)
    levels = np.flatnonzero(union.any(axis=(1, 2)))
    rows = np.flatnonzero(union.any(axis=(0, 2)))
    low, high = levels[len(levels) // 4], levels[(3 * len(levels)) // 4]
    colours = colours_of(structures)
    size = scan.spacing_mm
    tiles = [
        _tile(scan.hu[level], {n: m[level] for n, m in masks.items()}, size[1:], colours, window_hu)
        for level in (low, high)
    ]
    middle = rows[len(rows) // 2]
    upright = {n: m[::-1, middle] for n, m in masks.items()}
    tiles.append(_tile(scan.hu[::-1, middle], upright, (size[0], size[2]), colours, window_hu))
    return np.concatenate(tiles, axis=1)


def write_scan_picture(path: Path, picture: Picture) -> None:
    """As a PNG file, atomically."""
    with atomic(path) as file:
        Image.fromarray(picture).save(file, format="PNG", optimize=True)


def _tile(
    hu: NDArray[Any],
    masks: Mapping[str, NDArray[np.bool_]],
    spacing: tuple[float, float],
    colours: Mapping[str, tuple[int, int, int]],
    window_hu: tuple[float, float],
) -> Picture:
    """The body of one slice in true proportions on a black square, structures outlined."""
    box = _body(hu, masks, spacing)
    edge = max((side.stop - side.start) * mm for side, mm in zip(box, spacing, strict=True))
    height, width = (
        max(1, round((side.stop - side.start) * mm / edge * TILE_PX))
        for side, mm in zip(box, spacing, strict=True)
    )
    low, high = window_hu
    grey = np.clip((hu[box].astype(np.float32) - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    drawn = np.stack([_resized(grey, height, width, Image.Resampling.BICUBIC)] * 3, axis=-1)
    for name, mask in masks.items():
        shown = _resized(mask[box].astype(np.uint8) * 255, height, width, Image.Resampling.BILINEAR)
        drawn[edge_of(shown > 127)] = colours[name]
    made = np.zeros((TILE_PX, TILE_PX, 3), np.uint8)
    top, left = (TILE_PX - height) // 2, (TILE_PX - width) // 2
    made[top : top + height, left : left + width] = drawn
    return made


def _body(
    hu: NDArray[Any], masks: Mapping[str, NDArray[np.bool_]], spacing: tuple[float, float]
) -> tuple[slice, slice]:
    """Rows and columns of the body and the structures, with a margin; all of it without a body."""
    shown = np.any([hu > BODY_HU, *masks.values()], axis=0)
    sides = []
    for axis, mm in enumerate(spacing):
        # A couch is thin: a line counts as body where a twentieth of it is.
        share = shown.mean(axis=1 - axis)
        here = np.flatnonzero(share > 0.05)
        margin = round(MARGIN_MM / mm)
        length = hu.shape[axis]
        first, last = (int(here[0]), int(here[-1])) if here.size else (0, length - 1)
        sides.append(slice(max(0, first - margin), min(length, last + 1 + margin)))
    return sides[0], sides[1]


def _resized(
    image: NDArray[np.uint8], height: int, width: int, how: Image.Resampling
) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).resize((width, height), how))
