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

EDGE_PX = 176  # the longer edge of a picture
PICTURE_BYTES = 9_000
MARGIN_MM = 25.0  # around the structures
TOLERANCE_PX = 0.3  # of an outline, in pixels of the picture


def slice_picture(
    scan: LoadedScan, predicted: Mapping[str, NDArray[np.bool_]], framing: Framing
) -> dict[str, Any]:
    """The slice where the structures' contours have their largest area together.

    Args:
        predicted: what the segmenter found of each structure, on the scan's own grid.
    """
    truth = np.any(list(scan.masks.values()), axis=0)
    level = int(truth.sum(axis=(1, 2)).argmax())
    found = np.any([predicted[name][level] for name in scan.masks], axis=0)
    spacing, sides = in_plane_spacing(scan.affine), []
    for axis, mm in enumerate(spacing):
        here, margin = np.flatnonzero(truth[level].any(axis=1 - axis)), round(MARGIN_MM / mm)
        first, last = (int(here[0]), int(here[-1])) if here.size else (0, truth.shape[axis + 1])
        sides.append(slice(max(0, first - margin), last + 1 + margin))
    box = sides[0], sides[1]
    hu = scan.hu[level][box].astype(np.float64)
    extent = np.array(hu.shape) * spacing
    height, width = (max(1, round(mm / extent.max() * EDGE_PX)) for mm in extent)
    low, high = framing.window_hu
    grey = Image.fromarray(np.round(np.clip((hu - low) / (high - low), 0, 1) * 255).astype("u1"))
    picture = grey.resize((width, height), Image.Resampling.BICUBIC)
    return {
        "slice": level,
        "size": [width, height],
        "ct": image_uri(np.asarray(picture), PICTURE_BYTES),
        "truth": _outline(truth[level][box], (height, width)),
        "predicted": _outline(found[box], (height, width)),
    }


def _outline(mask: NDArray[np.bool_], size: tuple[int, int]) -> str:
    """An SVG path over a picture of that height and width; "" of an empty mask."""
    scale, parts = np.array(size) / mask.shape, []
    for line in find_contours(np.pad(mask, 1).astype(np.float64), 0.5):
        points = approximate_polygon((line - 0.5) * scale, TOLERANCE_PX)
        parts.append("M" + "L".join(f"{x:.1f} {y:.1f}" for y, x in points[:-1]) + "Z")
    return "".join(parts)
