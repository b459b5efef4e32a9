"""The downstream U-Net: MONAI's, with repeatable initial weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from monai.networks.layers.factories import Act
from monai.networks.layers.simplelayers import SkipConnection
from monai.networks.nets import UNet
from torch import Tensor, nn
from torch.nn.functional import leaky_relu


class _Slope(torch.autograd.Function):
    """max(x, 0) + a min(x, 0) with one a; the gradient of a is summed as it is made."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return leaky_relu(x, slope.item())

    @staticmethod
    def backward(ctx: Any, *upper: Tensor) -> tuple[Tensor, Tensor]:
        (x, slope), (gradient,) = ctx.saved_tensors, upper
        below = torch.ops.aten.leaky_relu_backward(gradient, x, slope.item(), False)
        total = x.clamp(max=0).mul_(gradient).sum(dtype=torch.float32)
        return below, total.to(slope.dtype).reshape(slope.shape)


class OneSlope(nn.PReLU):
    """PReLU whose backward pass on a CPU takes a quarter of torch's time, which makes the slope's
    gradient of every pixel before it adds them up."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        outcome: Tensor = _Slope.apply(x, self.weight)  # type: ignore[no-untyped-call]
        return outcome


Act.add_factory_callable("one_slope", lambda: OneSlope)


class SegmentationUNet(nn.Module):
    """MONAI's U-Net up to `channels[0]` feature maps, then one 1 x 1 convolution to logits.

    MONAI's own last layers have as many channels as structures. With one structure they normalise a
    single map by its own slice, so every slice, with the structure or without, has its brightest
    part at the same level; and the few weights behind it need thousands of updates to leave 0.5.
    """

    def __init__(
        self, channels: Sequence[int], residual_units: int, in_channels: int, out_channels: int
    ) -> None:
        super().__init__()
        self.strides = (2,) * (len(channels) - 1)
        self.unet = UNet(
            spatial_dims=2,
            in_channels=in_channels,
            out_channels=channels[0],
            channels=tuple(channels),
            strides=self.strides,
            num_res_units=residual_units,
            act="one_slope",
        )
        self.head = nn.Conv2d(channels[0], out_channels, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.unet(images))
        return logits


@contextmanager
def drawn_by(seed: int) -> Iterator[None]:
    """What the block draws depends on `seed` alone; the global generators are left as they were."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would seed the GPUs' generators too, which are not forked.
        torch.random.default_generator.manual_seed(seed)
        yield


def make_unet(
    channels: Sequence[int], residual_units: int, in_channels: int, out_channels: int, seed: int
) -> SegmentationUNet:
    """A 2D U-Net, (N, in, H, W) -> (N, out, H, W) logits.

    Args:
        channels: of each level, outermost first; H and W must be multiples of 2^(levels - 1).
        residual_units: per level; 0 takes plain convolutions.
        seed: the initial weights depend on it alone; the global generators are left as they were.
    """
    with drawn_by(seed):
        return SegmentationUNet(channels, residual_units, in_channels, out_channels)


def bottleneck(network: nn.Module, images: Tensor) -> Tensor:
    """The deepest feature map of a network of `make_unet`; its decoder is not run.

    (N, in, H, W) -> (N, channels[-1], h, w), where h is H / 2^(levels - 1), rounded up. Any size
    of two or more pixels at the deepest level will do, since nothing is joined to the way up.
    """
    block: Any = network.get_submodule("unet").model
    while isinstance(block, nn.Sequential) and len(block) == 3:
        down, inner, _ = block
        if not isinstance(inner, SkipConnection):
            break
        images, block = down(images), inner.submodule
    deepest: Tensor = block(images)
    return deepest
