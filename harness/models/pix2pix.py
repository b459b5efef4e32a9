"""pix2pix (Isola et al. 2017): U-Net generator and 3-layer PatchGAN, with BatchNorm.

At width 64 and one channel in and out the generator has 41,822,849 parameters, as the official
`unet_128`; the discriminator on two channels has 2,764,609 and gives 14 x 14 logits at 128 x 128.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.base.errors import ConfigError
from harness.models.dcgan import doublings

LEVELS = 7
"""Halvings of the edge: 128 pixels end as one."""


class _Level(nn.Module):
    """One level of the U-Net: down, what lies below, up; the input is passed beside it.

    (N, width, H, W) -> (N, 2 width, H, W).
    """

    def __init__(self, width: int, inner: int, below: _Level | None, dropout: bool) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(width, inner, 4, 2, 1, bias=False))
        self.norm = nn.BatchNorm2d(inner) if below is not None else nn.Identity()
        self.below = below
        from_below = inner if below is None else 2 * inner
        up: list[nn.Module] = [
            nn.ReLU(),
            nn.ConvTranspose2d(from_below, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
        ]
        if dropout:
            up.append(nn.Dropout(0.5))
        self.up = nn.Sequential(*up)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm(self.down(x))
        if self.below is not None:
            inner = self.below(inner)
        return torch.cat([x, self.up(inner)], 1)


class UnetGenerator(nn.Module):
    """(N, in_channels, H, W) -> (N, out_channels, H, W) in [-1, 1].

    Dropout of a half follows the levels between the innermost and the three outermost, as in the
    official `unet_128`. H and W must be multiples of 2^levels, else ConfigError.

    Args:
        levels: halvings of the edge, five at least; 7 is `unet_128`.
    """

    def __init__(
        self,
        width: int = 64,
        in_channels: int = 1,
        out_channels: int = 1,
        dropout: bool = True,
        levels: int = LEVELS,
    ) -> None:
        super().__init__()
        wide = width * 8
        self.step = 2**levels
        level = _Level(wide, wide, None, dropout=False)
        for _ in range(levels - 5):
            level = _Level(wide, wide, level, dropout)
        for outer in (width * 4, width * 2, width):
            level = _Level(outer, outer * 2, level, dropout=False)
        self.first = nn.Conv2d(in_channels, width, 4, 2, 1, bias=False)
        self.levels = level
        self.last = nn.Sequential(
            nn.ReLU(), nn.ConvTranspose2d(2 * width, out_channels, 4, 2, 1), nn.Tanh()
        )

    def forward(self, masks: Tensor) -> Tensor:
        rows, columns = masks.shape[-2:]
        if rows % self.step or columns % self.step:
            raise ConfigError(
                f"frames of pix2pix must be multiples of {self.step} pixels, but got "
                f"{rows} x {columns}; set data.crop.frame_px to {self.step}"
            )
        return self.last(self.levels(self.first(masks)))


class PatchDiscriminator(nn.Module):
    """(N, in_channels, 128, 128) -> (N, 1, 14, 14) logits."""

    def __init__(self, width: int = 64, in_channels: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, width, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        layers += doublings(width, (2, 2, 1))
        layers.append(nn.Conv2d(width * 8, 1, 4, 1, 1))
        self.layers = nn.Sequential(*layers)

    def forward(self, pairs: Tensor) -> Tensor:
        return self.layers(pairs)
