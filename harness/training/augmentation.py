"""Batched augmentation on tensors.

All randomness comes from an explicit CPU generator, and neither the number nor the order of the
draws depends on the settings: two magnitudes share their draws, and so do arms. Each image has
draws of its own. Frames are square.

Geometry is one sampling grid per image. CT is sampled bilinearly with air (-1) outside. Masks are
sampled bilinearly too and cut at a half: their edge then moves by less than a pixel with the
tissue beside it and its area is kept, where the nearest pixel would leave a staircase.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from harness.config.stages import MaskAugmentation, SegmentationAugmentation

# Control points of the elastic field on each axis: at 128 pixels, one every 32.
ELASTIC_KNOTS = 5
# Magnification never falls below this, however large the magnitude; nor resolution.
LEAST_ZOOM = LEAST_SHARE = 0.1


def augment_masks(
    images: Tensor, config: MaskAugmentation, source: torch.Generator, binary: bool = True
) -> Tensor:
    """Rotation, flip along rows and zoom; what comes from outside is -1.

    Args:
        images: (N, C, S, S) in [-1, 1].
        source: CPU generator.
        binary: cut the result at 0 to -1 and 1, as masks need; CT crops pass False.
    """
    count = len(images)
    reach = config.rotation_deg if config.legacy_rotation else math.radians(config.rotation_deg)
    angle = _uniform(count, source) * _chosen(count, config.probability, source) * reach
    flip = _chosen(count, config.probability, source) * float(config.flip)
    low, high = config.zoom
    zoom = low + (high - low) * (_uniform(count, source) + 1) / 2
    zoom = torch.where(_chosen(count, config.probability, source) > 0, zoom, 1.0)
    matrix = sampling_matrix(angle, zoom, torch.zeros(count), flip)
    moved = _sample(images + 1, _grid(matrix, torch.zeros(count, 2, 1, 1), images.shape[-1])) - 1
    return torch.where(moved > 0, 1.0, -1.0) if binary else moved


def augment_pairs(
    ct: Tensor, masks: Tensor, config: SegmentationAugmentation, source: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Geometry of CT and masks together, then what a scanner does to the CT alone: resolution,
    gamma, contrast, gain, shift, noise. The kinds are those of nnU-Net (Isensee et al. 2021).

    Args:
        ct: (N, K, S, S) in [-1, 1]; a slice with its neighbours is one image, changed as one.
        masks: (N, C, S, S), 0 or 1.
        source: CPU generator.

    Returns:
        CT in [-1, 1] and masks 0 or 1; magnitude 0 returns both as they are.
    """
    matrix, offset = _pair_geometry(len(ct), ct.shape[-1], config, source)
    tones = _pair_tones(ct[:, :1].shape, config, source)
    if config.magnitude == 0:
        return ct, masks
    grid = _grid(matrix, offset, ct.shape[-1])
    moved = _sample(torch.cat([ct + 1, masks], 1), grid)
    slices, moved_masks = moved.split([ct.shape[1], masks.shape[1]], 1)
    return tones.applied(slices - 1), (moved_masks > 0.5).to(masks.dtype)


def sampling_matrix(angle: Tensor, zoom: Tensor, shear: Tensor, flip: Tensor) -> Tensor:
    """Matrices (N, 2, 2) from a place in the result to the place in the image that it shows.

    Places are (column, row) from the image's centre, rows downwards.

    Args:
        angle: radians (N,); a positive angle turns the picture anticlockwise as seen.
        zoom: magnification (N,); above 1 things grow.
        shear: radians (N,); columns move with rows.
        flip: (N,), 1 turns the picture top to bottom, else 0.
    """
    cosine, sine, slant = torch.cos(angle), torch.sin(angle), torch.tan(shear)
    rows = 1 - 2 * flip
    across = torch.stack([cosine, (slant * cosine - sine) * rows], 1)
    down = torch.stack([sine, (slant * sine + cosine) * rows], 1)
    return torch.stack([across, down], 1) / zoom[:, None, None]


def _pair_geometry(
    count: int, size: int, config: SegmentationAugmentation, source: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Sampling matrices (N, 2, 2) and, in pixels, offsets (N, 2, S, S): columns, then rows."""
    p, magnitude = config.probability, config.magnitude
    turn, grow, slant, across, down = (
        _uniform(count, source) * _chosen(count, p, source) * magnitude for _ in range(5)
    )
    flip = _chosen(count, p, source) * float(config.flip)
    knots = torch.randn(count, 2, ELASTIC_KNOTS, ELASTIC_KNOTS, generator=source)
    bent = _chosen(count, p, source) * magnitude * config.elastic_px
    matrix = sampling_matrix(
        turn * math.radians(config.rotation_deg),
        (1 + grow * config.scale).clamp(min=LEAST_ZOOM),
        slant * math.radians(config.shear_deg),
        flip,
    )
    shift = torch.stack([across, down], 1) * config.shift_px
    return matrix, smooth_field(knots, size).mul_(_each(bent)).add_(_each(shift))


@dataclass(frozen=True)
class _Tones:
    """What is done to the CT's values: numbers (N,), and noise (N, 1, S, S)."""

    gain: Tensor
    brightness: Tensor
    grain: Tensor
    contrast: Tensor
    gamma: Tensor
    blur: Tensor
    share: Tensor

    def applied(self, ct: Tensor) -> Tensor:
        """CT (N, K, S, S) in [-1, 1], which may be overwritten."""
        coarse = ((self.blur > 0) | (self.share < 1)).nonzero()[:, 0]
        seen = seen_through(self.blur[coarse], self.share[coarse], ct.shape[-1])
        seen = seen[:, None].to(ct.device)
        ct[coarse] = seen @ ct[coarse] @ seen.mT
        gain, brightness, contrast, gamma = (
            _each(values).to(ct.device)
            for values in (self.gain, self.brightness, self.contrast, self.gamma)
        )
        bent = (self.gamma != 1).nonzero()[:, 0]
        # x to the g as exp(g log x), at a quarter of the time of `pow`.
        log = (ct[bent] + 1).div_(2).clamp_(min=0).log_()
        ct[bent] = log.mul_(gamma[bent]).exp_().mul_(2).sub_(1)
        # Contrast about the mean, gain and shift are one line a x + b.
        slope = contrast * gain
        level = ct.mean((1, 2, 3), keepdim=True) * (gain - slope) + brightness
        return ct.mul_(slope).add_(level).add_(self.grain.to(ct.device)).clamp_(-1, 1)


def _pair_tones(
    shape: torch.Size, config: SegmentationAugmentation, source: torch.Generator
) -> _Tones:
    count, p, magnitude = shape[0], config.probability, config.magnitude
    gain, brightness = (
        _uniform(count, source) * _chosen(count, p, source) * magnitude * config.intensity
        for _ in range(2)
    )
    level = _chosen(count, p, source) * magnitude * config.noise
    grain = torch.randn(shape, generator=source).mul_(_each(level))
    contrast, gamma, blur, coarse = (
        _uniform(count, source) * _chosen(count, p / 2, source) * magnitude for _ in range(4)
    )
    return _Tones(
        1 + gain,
        brightness,
        grain,
        1 + contrast * config.contrast,
        (gamma * config.gamma).exp(),
        blur.abs() * config.blur_px,
        (1 - coarse.abs() * config.low_resolution).clamp(min=LEAST_SHARE),
    )


def seen_through(blur: Tensor, share: Tensor, size: int) -> Tensor:
    """Matrices A (N, size, size): A x A^T is x blurred, sampled at a share of the pixels of each
    edge, and drawn out again linearly.

    Args:
        blur: standard deviations in pixels (N,).
        share: (N,), in (0, 1].
    """
    pixel = torch.arange(size)
    apart = (pixel[:, None] - pixel[None]).square() / 2
    # exp(-40) is nothing beside 1; less would be subnormal, with which products take ten times.
    exponent = -apart / blur.clamp(min=0.05).square()[:, None, None]
    smooth = torch.softmax(exponent.clamp_(min=-40), 2)
    # Samples lie a step apart, the first half a step in; each pixel is between two of them.
    step = 1 / share[:, None]
    last = ((size - 0.5) / step - 0.5).floor()
    place = ((pixel + 0.5) / step - 0.5).clamp(min=0).minimum(last)
    before = place.floor()
    rows = torch.arange(len(blur))[:, None]
    drawn = torch.zeros_like(smooth)
    for sample, weight in ((before, 1 - (place - before)), (before + 1, place - before)):
        nearest = ((sample + 0.5) * step - 0.5).round().clamp(0, size - 1).long()
        drawn += weight[:, :, None] * smooth[rows, nearest]
    return drawn


def smooth_field(knots: Tensor, size: int) -> Tensor:
    """A displacement field (N, 2, size, size) whose longest arrow has length 1 in each image.

    Args:
        knots: (N, 2, K, K) control points, spread bicubically from corner to corner.
    """
    spread = _bicubic(knots.shape[-1], size)
    field = spread @ knots @ spread.T
    longest = (field[:, 0].square() + field[:, 1].square()).amax((1, 2)).sqrt()
    return field.div_(_each(longest.clamp(min=1e-12)))


@lru_cache(maxsize=8)
def _bicubic(knots: int, size: int) -> Tensor:
    """Weights (size, knots) of bicubic enlargement along one axis.

    Two small products with them cost a twentieth of `interpolate` on the whole batch.
    """
    one = torch.eye(knots)[None, None]
    return interpolate(one, size=(size, knots), mode="bicubic", align_corners=True)[0, 0]


def _grid(matrix: Tensor, offset: Tensor, size: int) -> Tensor:
    """A grid for `grid_sample`, (N, S, S, 2): `affine_grid` plus offsets, several times as fast."""
    centres = (torch.arange(size) * 2 + 1) / size - 1
    columns = matrix[:, :, :1] * centres
    rows = matrix[:, :, 1:] * centres
    grid = columns[:, :, None] + rows[..., None]
    return grid.add_(offset, alpha=2 / size).permute(0, 2, 3, 1)


def _sample(images: Tensor, grid: Tensor) -> Tensor:
    """Bilinear samples, zero outside."""
    return grid_sample(
        images, grid.to(images.device), mode="bilinear", padding_mode="zeros", align_corners=False
    )


def _uniform(count: int, source: torch.Generator) -> Tensor:
    """`count` numbers uniform on [-1, 1]."""
    return torch.rand(count, generator=source) * 2 - 1


def _chosen(count: int, probability: float, source: torch.Generator) -> Tensor:
    """1 where a transform is applied, else 0."""
    return (torch.rand(count, generator=source) < probability).float()


def _each(values: Tensor) -> Tensor:
    """(N,) or (N, C) as (N, 1, 1, 1) or (N, C, 1, 1): one number for each image or channel."""
    return values.reshape(len(values), -1, 1, 1)
