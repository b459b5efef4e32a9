"""DCGAN for 64 x 64 images (Radford et al. 2015): noise to an image, and an image to a logit.

At width 64, latent 100 and one channel the generator has 3,574,656 parameters and the
discriminator 2,763,520.

Against checkerboards the generator may enlarge by nearest neighbours before a convolution (Odena et
al. 2016, *Deconvolution and checkerboard artifacts*), and the discriminator may have spectral norm
in the place of BatchNorm (Miyato et al. 2018).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from harness.base.errors import ConfigError

SIZE = 64


class Generator(nn.Module):
    """(N, latent, 1, 1) -> (N, channels, 64, 64) in [-1, 1]; five transposed convolutions, or one
    where it enlarges by `resize`."""

    def __init__(
        self, width: int = 64, latent: int = 100, channels: int = 1, resize: bool = False
    ) -> None:
        super().__init__()
        sizes = [width * 8, width * 4, width * 2, width]
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(latent, sizes[0], 4, 1, 0, bias=False),
            nn.BatchNorm2d(sizes[0]),
            nn.ReLU(inplace=True),
        ]
        for before, after in itertools.pairwise(sizes):
            layers += [
                *_enlarged(before, after, resize),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
        layers += [*_enlarged(width, channels, resize), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, noise: Tensor) -> Tensor:
        return self.layers(noise)


def _enlarged(before: int, after: int, resize: bool) -> list[nn.Module]:
    """Layers that double the edge."""
    if not resize:
        return [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
    return [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, 1, 1, bias=False)]


class Discriminator(nn.Module):
    """(N, channels, 64, 64) -> (N, 1, 1, 1) logits; the sigmoid belongs to the loss.

    Images of another size raise ConfigError: they would be judged patch by patch, unnoticed.
    """

    def __init__(self, width: int = 64, channels: int = 1, spectral: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(channels, width, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        layers += doublings(width, (2, 2, 2))
        layers.append(nn.Conv2d(width * 8, 1, 4, 1, 0, bias=False))
        if spectral:
            layers = [part for part in layers if not isinstance(part, nn.BatchNorm2d)]
            with torch.random.fork_rng(devices=[]):  # where the power iteration begins
                torch.manual_seed(0)
                for part in layers:
                    if isinstance(part, nn.Conv2d):
                        part.reset_parameters()
                        spectral_norm(part)
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        rows, columns = images.shape[-2:]
        if (rows, columns) != (SIZE, SIZE):
            raise ConfigError(
                f"images of the DCGAN must be {SIZE} x {SIZE}, but got {rows} x {columns}; "
                f"set data.crop.mask_px to {SIZE}"
            )
        return self.layers(images)


def doublings(width: int, strides: Sequence[int]) -> list[nn.Module]:
    """Convolution, BatchNorm and LeakyReLU of each stride; each doubles the feature maps."""
    layers: list[nn.Module] = []
    for stride in strides:
        layers += [
            nn.Conv2d(width, 2 * width, 4, stride, 1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        width *= 2
    return layers


@torch.no_grad()
def init_weights(module: nn.Module, generator: torch.Generator) -> None:
    """Convolutions N(0, 0.02), BatchNorm N(1, 0.02), every bias 0 (DCGAN and pix2pix alike).

    Args:
        module: on the CPU, as `generator` is; parts are drawn in the order in which they were made.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            _own_weight(part).normal_(0.0, 0.02, generator=generator)
            if part.bias is not None:
                part.bias.zero_()
        elif isinstance(part, nn.BatchNorm2d):
            part.weight.normal_(1.0, 0.02, generator=generator)
            part.bias.zero_()


def _own_weight(part: nn.Conv2d | nn.ConvTranspose2d) -> Tensor:
    """The parameter itself, where `weight` is what spectral norm makes of it."""
    named = dict(part.named_parameters())
    return named.get("parametrizations.weight.original", part.weight)
