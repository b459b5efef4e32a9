"""What a test-score job keeps to be looked at: each patient's slice with most of the structure.

slices.json: by patient, the CT as a small grey picture in the experiment's window (a data URI), its
size in pixels, the slice, and outlines of truth and prediction as SVG paths over the picture. The
slice depends on the contours alone, so that every segmenter is seen on the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import approximate_polygon, find_contours

from harness.data.pairs.framing import Framing, in_plane_spacing
from harness.data.pairs.store import LoadedScan
from harness.figures.encode import image_uri

EDGE_PX = 176
"""The longer edge of a picture."""
PICTURE_BYTES = 9_000
MARGIN_MM = 25.0
"""Around the structures."""
TOLERANCE_PX = 0.3
"""Of an outline, in pixels of the picture."""

Masks = Mapping[str, NDArray[np.bool_]]


def slice_picture(scan: LoadedScan, predicted: Masks, framing: Framing) -> dict[str, Any] | None:
    """The slice where the structures' contours have their largest area together.

    Args:
        predicted: what the segmenter found of each structure, on the scan's own grid.

    Returns:
        None where nothing is contoured.
    """
    truth = np.any(list(scan.masks.values()), axis=0)
    level = int(truth.sum(axis=(1, 2)).argmax())
    if not truth[level].any():
        return None
    found = np.any([predicted[name][level] for name in scan.masks], axis=0)
    spacing = in_plane_spacing(scan.affine)
    box = _box(truth[level], spacing)
    sizes = [(side.stop - side.start) * mm for side, mm in zip(box, spacing, strict=True)]
    height, width = (max(1, round(mm / max(sizes) * EDGE_PX)) for mm in sizes)
    low, high = framing.window_hu
    grey = np.clip((scan.hu[level][box].astype(np.float64) - low) / (high - low), 0, 1)
    drawn = Image.fromarray(np.round(grey * 255).astype(np.uint8))
    picture = np.asarray(drawn.resize((width, height), Image.Resampling.BICUBIC))
    return {
        "slice": level,
        "size": [width, height],
        "ct": image_uri(picture, PICTURE_BYTES),
        "truth": outline(truth[level][box], (height, width)),
        "predicted": outline(found[box], (height, width)),
    }


def _box(mask: NDArray[np.bool_], spacing: tuple[float, float]) -> tuple[slice, slice]:
    """Rows and columns of the structures with the margin, inside the slice."""
    sides = []
    for axis, mm in enumerate(spacing):
        here, margin = np.flatnonzero(mask.any(axis=1 - axis)), round(MARGIN_MM / mm)
        last = min(mask.shape[axis], int(here[-1]) + 1 + margin)
        sides.append(slice(max(0, int(here[0]) - margin), last))
    return sides[0], sides[1]


def outline(mask: NDArray[np.bool_], size: tuple[int, int]) -> str:
    """A mask's outline as an SVG path over a picture of its grid; "" of an empty one.

    Args:
        size: height and width of the picture, in pixels.
    """
    scale = np.array(size) / mask.shape
    parts = []
    for line in find_contours(np.pad(mask, 1).astype(np.float64), 0.5):
        points = approximate_polygon((line - 0.5) * scale, TOLERANCE_PX)
        parts.append("M" + "L".join(f"{x:.1f} {y:.1f}" for y, x in points[:-1]) + "Z")
    return "".join(parts)
