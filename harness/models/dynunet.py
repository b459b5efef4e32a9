"""MONAI's DynUNet, nnU-Net's network (Isensee et al. 2021), in 2D and with repeatable weights."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Any

from monai.networks.nets import DynUNet
from monai.networks.nets.dynunet import DynUNetSkipLayer
from torch import Tensor, nn

from harness.models.unet import drawn_by

MOST_GROUPS = 8


def make_dynunet(
    channels: Sequence[int],
    norm: str,
    residual: bool,
    deep_supervision: bool,
    in_channels: int,
    out_channels: int,
    seed: int,
) -> DynUNet:
    """(N, in, H, W) -> (N, out, H, W) logits; under deep supervision, while training,
    (N, outputs, out, H, W): the finest first, those of coarser levels enlarged by nearest pixels.

    Args:
        channels: of each level, outermost first, three or more; H and W must be multiples of
            2^(levels - 1).
        norm: "instance", "batch" or "group" (of 8 groups, or as many as all levels can have).
        residual: blocks with a way around.
        deep_supervision: outputs of all levels of the decoder but the coarsest, as in nnU-Net.
        seed: the initial weights depend on it alone; the global generators are left as they were.
    """
    groups, levels = gcd(MOST_GROUPS, *channels), len(channels)
    norms: dict[str, tuple[str, dict[str, object]]] = {
        "instance": ("instance", {"affine": True}),
        "batch": ("batch", {}),
        "group": ("group", {"num_groups": groups}),
    }
    with drawn_by(seed):
        network = DynUNet(
            spatial_dims=2,
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=[3] * levels,
            strides=[1] + [2] * (levels - 1),
            upsample_kernel_size=[2] * (levels - 1),
            filters=list(channels),
            norm_name=norms[norm],
            deep_supervision=deep_supervision,
            deep_supr_num=max(1, levels - 3),
            res_block=residual,
        )
    # All layers lie in `skip_layers` too; under a second name a checkpoint would hold them twice.
    for name in [name for name, _ in network.named_children()]:
        if name not in ("skip_layers", "output_block"):
            delattr(network, name)
    return network


def deepest(network: nn.Module, images: Tensor) -> Tensor:
    """The deepest feature map; the decoder is not run, so any size of two or more pixels there will
    do. (N, in, H, W) -> (N, channels[-1], h, w), where h is H / 2^(levels - 1), rounded up."""
    layer: Any = network.skip_layers
    while isinstance(layer, DynUNetSkipLayer):
        images, layer = layer.downsample(images), layer.next_layer
    found: Tensor = layer(images)
    return found
