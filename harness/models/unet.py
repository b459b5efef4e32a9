"""The downstream U-Net: MONAI's, with repeatable initial weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets import UNet


def make_unet(
    channels: Sequence[int], residual_units: int, in_channels: int, out_channels: int, seed: int
) -> UNet:
    """A 2D U-Net, (N, in, H, W) -> (N, out, H, W) logits; H and W multiples of 2^(levels - 1).

    The weights depend on `seed` alone; the global generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet(
            spatial_dims=2,
            in_channels=in_channels,
            out_channels=out_channels,
            channels=tuple(channels),
            strides=(2,) * (len(channels) - 1),
            num_res_units=residual_units,
        )
