"""The downstream U-Net: MONAI's, with repeatable initial weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.networks.layers.simplelayers import SkipConnection
from monai.networks.nets import UNet
from torch import Tensor, nn


def make_unet(
    channels: Sequence[int], residual_units: int, in_channels: int, out_channels: int, seed: int
) -> UNet:
    """A 2D U-Net, (N, in, H, W) -> (N, out, H, W) logits.

    Args:
        channels: of each level, outermost first; H and W must be multiples of 2^(levels - 1).
        residual_units: per level; 0 takes plain convolutions.
        seed: the initial weights depend on it alone; the global generators are left as they were.
    """
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would seed the GPUs' generators too, which are not forked.
        torch.random.default_generator.manual_seed(seed)
        return UNet(
            spatial_dims=2,
            in_channels=in_channels,
            out_channels=out_channels,
            channels=tuple(channels),
            strides=(2,) * (len(channels) - 1),
            num_res_units=residual_units,
        )


def bottleneck(network: nn.Module, images: Tensor) -> Tensor:
    """The deepest feature map of a network of `make_unet`; its decoder is not run.

    (N, in, H, W) -> (N, channels[-1], h, w), where h is H / 2^(levels - 1), rounded up. Any size
    of two or more pixels at the deepest level will do, since nothing is joined to the way up.
    """
    block: Any = network.model
    while isinstance(block, nn.Sequential) and len(block) == 3:
        down, inner, _ = block
        if not isinstance(inner, SkipConnection):
            break
        images, block = down(images), inner.submodule
    deepest: Tensor = block(images)
    return deepest
