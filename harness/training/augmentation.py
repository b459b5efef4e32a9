"""Batched augmentation on tensors.

All randomness comes from an explicit CPU generator, and the number of draws does not depend on the
settings, so two strengths share their draws and any device gives the same images.
Geometry is one sampling grid per image: CT is sampled bilinearly with air (-1) outside, masks are
sampled bilinearly and thresholded at a half, so that edges stay sharp and labels stay binary.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from harness.config.stages import MaskAugmentation, SegmentationAugmentation

ELASTIC_KNOTS = 5


def _uniform(count: int, source: torch.Generator) -> Tensor:
    """`count` numbers uniform on [-1, 1]."""
    return torch.rand(count, generator=source) * 2 - 1


def _chosen(count: int, probability: float, source: torch.Generator) -> Tensor:
    """1 where a transform is applied, else 0."""
    return (torch.rand(count, generator=source) < probability).float()


def _affine(angle: Tensor, zoom: Tensor, shear: Tensor, shift: Tensor, flip: Tensor) -> Tensor:
    """Sampling matrices (N, 2, 3) in (column, row) coordinates from -1 to 1.

    Args:
        angle, shear: radians (N,).
        zoom: magnification (N,); above 1 the gland grows.
        shift: (N, 2), columns and rows, as a share of half the edge.
        flip: 1 flips top to bottom, else 0.
    """
    cosine, sine, slant = torch.cos(angle), torch.sin(angle), torch.tan(shear)
    rows = 1 - 2 * flip
    return torch.stack(
        [
            torch.stack([cosine / zoom, (slant * cosine - sine) / zoom * rows, shift[:, 0]], 1),
            torch.stack([sine / zoom, (slant * sine + cosine) / zoom * rows, shift[:, 1]], 1),
        ],
        1,
    )


def augment_masks(
    images: Tensor, config: MaskAugmentation, source: torch.Generator, binary: bool = True
) -> Tensor:
    """Rotation, flip along rows and zoom of (N, C, H, W) images in [-1, 1]; outside is -1.

    `binary` thresholds the result at 0, as masks need; CT crops pass False.
    """
    count = len(images)
    reach = config.rotation_deg if config.legacy_rotation else math.radians(config.rotation_deg)
    angle = _uniform(count, source) * reach * _chosen(count, config.probability, source)
    flip = _chosen(count, config.probability * config.flip, source)
    low, high = config.zoom
    zoom = low + (high - low) * (_uniform(count, source) + 1) / 2
    apply_zoom = _chosen(count, config.probability, source)
    zoom = 1 + (zoom - 1) * apply_zoom
    none = torch.zeros(count)
    grid = affine_grid(
        _affine(angle, zoom, none, torch.zeros(count, 2), flip),
        list(images.shape),
        align_corners=False,
    )
    moved = _sample(images + 1, grid) - 1
    return torch.where(moved > 0, 1.0, -1.0) if binary else moved


def augment_pairs(
    ct: Tensor, masks: Tensor, config: SegmentationAugmentation, source: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Geometry of CT and masks together, then noise, gain and shift of the CT.

    Args:
        ct: (N, 1, H, W) in [-1, 1].
        masks: (N, C, H, W), 0 or 1.

    Returns:
        CT in [-1, 1] and masks 0 or 1; strength 0 returns both unchanged.
    """
    count, height = len(ct), ct.shape[-2]
    p, strength = config.probability, config.strength
    draw = [_uniform(count, source) * _chosen(count, p, source) * strength for _ in range(5)]
    flip = _chosen(count, p * config.flip, source)
    bends = torch.randn(count, 2, ELASTIC_KNOTS, ELASTIC_KNOTS, generator=source)
    bends = bends * (_chosen(count, p, source) * strength)[:, None, None, None]
    grain = torch.randn(ct.shape, generator=source)
    grain = grain * (_chosen(count, p, source) * strength * config.noise)[:, None, None, None]
    tone = [_uniform(count, source) * _chosen(count, p, source) * strength for _ in range(2)]
    if strength == 0:
        return ct, masks
    pixel = 2 / height
    shift = torch.stack([draw[3], draw[4]], 1) * config.shift_px * pixel
    theta = _affine(
        draw[0] * math.radians(config.rotation_deg),
        (1 + draw[1] * config.scale).clamp(min=0.1),
        draw[2] * math.radians(config.shear_deg),
        shift,
        flip,
    )
    grid = affine_grid(theta, list(ct.shape), align_corners=False)
    bend = interpolate(bends, size=ct.shape[-2:], mode="bicubic", align_corners=True)
    # Half the peak as standard deviation: displacements beyond `elastic_px` are rare.
    grid = grid + (bend * config.elastic_px / 2 * pixel).permute(0, 2, 3, 1)
    moved = _sample(ct + 1, grid) - 1
    gain = (1 + tone[0] * config.intensity)[:, None, None, None]
    moved = moved * gain + (tone[1] * config.intensity)[:, None, None, None] + grain
    return moved.clamp(-1, 1), (_sample(masks, grid) > 0.5).to(masks.dtype)


def _sample(images: Tensor, grid: Tensor) -> Tensor:
    """Bilinear samples, zero outside."""
    return grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
