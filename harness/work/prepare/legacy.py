"""Masks as the thesis's code made them, for its replay (`legacy` in the experiment)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage.measure import find_contours

Masks = Mapping[str, NDArray[np.bool_]]


def masks_of(masks: Masks, legacy: Mapping[str, bool]) -> Masks:
    """A patient's masks by structure, as the switches that are on have them."""
    if legacy.get("last_structure_wins"):
        masks = dict([*masks.items()][-1:])
    if legacy.get("outline_filled"):
        masks = {name: outlined(mask) for name, mask in masks.items()}
    return masks


def outlined(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask (slices, H, W) drawn again slice by slice: the first contour alone, its vertices
    rounded to pixels, filled together with its outline. It grows by half a pixel on average."""
    drawn = np.zeros_like(mask)
    for index in np.flatnonzero(mask.any((1, 2))):
        contour = find_contours(np.pad(mask[index], 1).astype(float), 0.5)[0] - 1
        vertices = np.floor(contour + 0.5).astype(int)[:, ::-1]  # columns first
        picture = Image.new("1", mask.shape[:0:-1])
        ImageDraw.Draw(picture).polygon([*map(tuple, vertices.tolist())], fill=1, outline=1)
        drawn[index] = np.asarray(picture)
    return drawn
