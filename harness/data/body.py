"""What of a scan is kept to learn and apply a crop: small, plain, labels apart from the rest.

`landmarks` reads a scan once. Its `slices` part is a function of the CT alone: per slice the box of
the body outline and a thumbnail of what lies inside it. Its `glands` part comes from the contours
and is read for training patients only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from harness.data.scan import Scan

BODY_HU = -300.0
"""Air and couch foam lie below, skin above."""

LEAST_BODY_CM2 = 20.0
"""A slice whose largest body part is smaller holds no head or neck."""

THUMBNAIL = 12
"""Edge of the thumbnail; enough to tell skull base from mandible from neck."""

THUMBNAIL_HU = (-324.0, 476.0)
"""Window of the thumbnail: soft tissue, and bone from it."""


def landmarks(scan: Scan) -> dict[str, Any]:
    """Plain data of one scan: spacing, body box and thumbnail per slice, glands."""
    _, rows_mm, columns_mm = scan.spacing_mm
    least = LEAST_BODY_CM2 * 100 / (rows_mm * columns_mm)
    slices = [_slice(np.asarray(image, np.float32), least) for image in scan.hu]
    return {
        "spacing_mm": list(scan.spacing_mm),
        "slices": slices,
        "glands": {name: _gland(mask) for name, mask in scan.masks.items() if mask.any()},
    }


def _slice(image: NDArray[np.float32], least: float) -> dict[str, Any] | None:
    """Box (first row, last row, first column, last column) and thumbnail, None without a body."""
    labels, count = ndimage.label(image > BODY_HU)
    if not count:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    if sizes.max() < least:
        return None
    inside = labels == sizes.argmax()
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    box = [int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])]
    low, high = THUMBNAIL_HU
    part = np.where(inside, image, low)[box[0] : box[1] + 1, box[2] : box[3] + 1]
    part = np.clip((part - low) / (high - low), 0, 1)
    return {"box": box, "thumbnail": np.round(_shrink(part), 3).ravel().tolist()}


def _shrink(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over the cells of a THUMBNAIL x THUMBNAIL grid laid over the image."""
    for axis in (0, 1):
        length = image.shape[axis]
        edges = np.linspace(0, length, THUMBNAIL + 1)
        running = np.concatenate(
            [np.zeros_like(image.take([0], axis)), np.cumsum(image, axis, dtype=np.float64)], axis
        )
        low = np.floor(edges).astype(int).clip(0, length)
        high = (low + 1).clip(0, length)
        share = edges - low
        shape = [-1 if a == axis else 1 for a in (0, 1)]
        at = running.take(low, axis) * (1 - share.reshape(shape)) + running.take(
            high, axis
        ) * share.reshape(shape)
        image = np.diff(at, axis=axis) / (length / THUMBNAIL)
    return image


def _gland(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Centroid (slice, row, column) and first and last slice, in voxels."""
    where = np.argwhere(mask)
    return {
        "centroid": [round(float(v), 3) for v in where.mean(0)],
        "slices": [int(where[:, 0].min()), int(where[:, 0].max())],
    }
