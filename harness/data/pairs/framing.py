"""From a scan to frames: one spacing, HU clipped to the window and scaled; and back again.

A frame is `frame_px` pixels of `spacing_mm` about a placement's centre, sampled linearly in the
plane; slices are the scan's own. Outside the scan is air (CT) or nothing (masks). Masks are sampled
linearly and thresholded at a half; a pixel at exactly a half is what lies just below and to the
right of it in the frame. Left structures are mirrored along columns where the store mirrors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.data.pairs.placement import Placement

AIR_HU = -1024.0

TIE = 1e-9
"""A mask's linear value within this of a half is a tie."""
NUDGE_PX = 1e-3
"""How far, in source pixels, a tie is looked at from: far enough to leave it, and no further."""


@dataclass(frozen=True)
class Framing:
    """How frames are cut: edge in pixels, pixel size, window, and the thesis's switches.

    Attributes:
        legacy_scaling: each slice is scaled by its own minimum and maximum.
        whole: a frame is the whole slice, resized.
    """

    frame_px: int
    spacing_mm: float
    window_hu: tuple[float, float]
    legacy_scaling: bool = False
    whole: bool = False

    @classmethod
    def of(cls, meta: Mapping[str, Any]) -> Framing:
        """From a store's meta data or a prepare job's config."""
        frame = meta.get("frame_px") or meta["crop"]["frame_px"]
        low, high = meta["window_hu"]
        whole = meta.get("legacy", {}).get("resize_before_crop", False)
        spacing = float(meta["spacing_mm"])
        return cls(int(frame), spacing, (low, high), meta["legacy_scaling"], whole)


Mirror = bool | Literal["mixed"]
"""Whether left structures are mirrored into the channel of right ones; "mixed": they share it as
they are (`legacy.last_structure_wins`)."""


def channel_of(structure: str, mirror: Mirror) -> tuple[str, bool]:
    """Channel of a structure and whether its frames are mirrored."""
    stem, joined, side = structure.rpartition("_")
    if mirror and joined and side in ("left", "right"):
        return stem, side == "left" and mirror != "mixed"
    return structure, False


def mirror_of(config: Mapping[str, Any]) -> Mirror:
    """Of a prepare job's config."""
    mixed = config.get("legacy", {}).get("last_structure_wins", False)
    return "mixed" if mixed else bool(config["mirror"])


def channels_of(structures: tuple[str, ...] | list[str], mirror: Mirror) -> list[str]:
    """Channels of a store, in the order of the structures."""
    return list(dict.fromkeys(channel_of(name, mirror)[0] for name in structures))


def _weights(positions: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Linear interpolation as a matrix (places, length); rows outside sum to less than 1."""
    low = np.floor(positions).astype(int)
    share = positions - low
    matrix = np.zeros((len(positions), length))
    rows = np.arange(len(positions))
    for index, weight in ((low, 1 - share), (low + 1, share)):
        inside = (index >= 0) & (index < length)
        matrix[rows[inside], index[inside]] += weight[inside]
    return matrix


def _samplers(
    shape: tuple[int, ...],
    spacing: tuple[float, float],
    placement: Placement,
    framing: Framing,
    nudge: tuple[float, float] = (0.0, 0.0),
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrices that take a slice's rows and columns to the frame's; nudged by source pixels."""
    steps = np.arange(framing.frame_px, dtype=np.float64) - (framing.frame_px - 1) / 2
    offsets = steps * framing.spacing_mm
    matrices = []
    for axis, length in enumerate(shape[1:]):
        positions = placement.centre[axis] + offsets / spacing[axis]
        if framing.whole:
            positions = (length - 1) / 2 + steps * (length / framing.frame_px)
        matrices.append(_weights(positions + nudge[axis], length))
    return matrices[0], matrices[1]


def in_plane_spacing(affine: NDArray[np.float64]) -> tuple[float, float]:
    """Row and column size in mm of a canonical affine."""
    size = np.linalg.norm(affine[:3, 1:3], axis=0)
    return float(size[0]), float(size[1])


def frames(
    hu: NDArray[Any],
    affine: NDArray[np.float64],
    placement: Placement,
    framing: Framing,
    mirrored: bool,
) -> NDArray[np.float32]:
    """CT frames of every slice, (slices, F, F) in [-1, 1]."""
    rows, columns = _samplers(hu.shape, in_plane_spacing(affine), placement, framing)
    volume = np.asarray(hu, np.float64)
    low, high = framing.window_hu
    if framing.legacy_scaling:
        volume = np.clip(volume, low, high)
        darkest = volume.min((1, 2), keepdims=True)
        reach = np.maximum(volume.max((1, 2), keepdims=True) - darkest, 1e-9)
        volume, low, high, outside = (volume - darkest) / reach, 0.0, 1.0, 0.0
    else:
        outside = AIR_HU
    sampled = rows @ (volume - outside) @ columns.T + outside
    scaled = np.clip((sampled - low) / (high - low) * 2 - 1, -1, 1).astype(np.float32)
    return scaled[..., ::-1].copy() if mirrored else scaled


def mask_frames(
    mask: NDArray[np.bool_],
    affine: NDArray[np.float64],
    placement: Placement,
    framing: Framing,
    mirrored: bool,
) -> NDArray[np.uint8]:
    """Mask frames of every slice, (slices, F, F), 0 or 1.

    On a grid shifted by half a pixel every edge is a tie: all in would grow a mask by half a pixel
    on each side, all out would shrink it. One direction for all, the same in every frame as a
    person sees it, keeps its size, and a mirrored patient's frames those of the other side.
    """
    spacing, volume = in_plane_spacing(affine), mask.astype(np.float64)
    rows, columns = _samplers(mask.shape, spacing, placement, framing)
    value = rows @ volume @ columns.T
    ties = np.abs(value - 0.5) <= TIE
    if ties.any():
        nudge = (NUDGE_PX, -NUDGE_PX if mirrored else NUDGE_PX)
        rows, columns = _samplers(mask.shape, spacing, placement, framing, nudge)
        value = np.where(ties, rows @ volume @ columns.T, value)
    frame = (value > 0.5).astype(np.uint8)
    return frame[..., ::-1].copy() if mirrored else frame


def paste(
    probabilities: NDArray[np.floating],
    shape: tuple[int, ...],
    affine: NDArray[np.float64],
    placement: Placement,
    framing: Framing,
    mirrored: bool,
) -> NDArray[np.float32]:
    """Frames (slices, F, F) of probabilities back on the source grid, 0 outside the frame."""
    if mirrored:
        probabilities = probabilities[..., ::-1]
    matrices = []
    for axis, size in enumerate(in_plane_spacing(affine)):
        offsets = (np.arange(shape[axis + 1], dtype=np.float64) - placement.centre[axis]) * size
        positions = offsets / framing.spacing_mm + (framing.frame_px - 1) / 2
        if framing.whole:
            length = shape[axis + 1]
            steps = np.arange(length, dtype=np.float64) + 0.5
            positions = steps * (framing.frame_px / length) - 0.5
        matrices.append(_weights(positions, framing.frame_px))
    return (matrices[0] @ np.asarray(probabilities, np.float64) @ matrices[1].T).astype(np.float32)


def structure_slices(
    mask: NDArray[np.bool_], slices: tuple[int, int], free_share: float
) -> NDArray[np.intp]:
    """Slices that GAN stages learn from: all with the structure, and the range's nearest
    structure-free ones.

    Args:
        mask: the structure's volume.
        slices: the placed range; structure-free slices come from it.
        free_share: structure-free slices, as a share of those with the structure; all of the range
            where there is none.
    """
    with_structure = np.flatnonzero(mask.any((1, 2)))
    first, last = slices
    if not len(with_structure):
        return np.arange(first, last + 1)
    free = np.setdiff1d(np.arange(first, last + 1), with_structure)
    distance = np.abs(free[:, None] - with_structure[None]).min(1) if len(free) else np.zeros(0)
    wanted = round(free_share * len(with_structure))
    nearest = free[np.argsort(distance, kind="stable")[:wanted]]
    return np.sort(np.concatenate([with_structure, nearest]))
