"""The built-in feature networks, and how any network is applied: in chunks of one size."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.metrics.extractors import weights
from harness.metrics.extractors.registry import Identity, Recipe

if TYPE_CHECKING:
    import torch

CHUNK = 16
"""Images per pass through a network; part of no score, since it never changes a feature."""

LITE0_SMALLEST_PX = 128
"""Lite0 divides the edge by 32; smaller images would leave a map of 2 x 2 or less to average."""


class Network:
    """A torch module applied in chunks of one size, in float32 and evaluation mode.

    Args:
        module: the network; it is put into evaluation mode on `device`.
        device: torch device that computes, e.g. "cpu" or "cuda".
    """

    name: str

    def __init__(self, module: torch.nn.Module, device: str) -> None:
        self._device = device
        self._module = module.eval().to(device)

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        """Features CHUNK x d of one chunk CHUNK x 1 x H x W in [0, 1]."""
        raise NotImplementedError

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features float32 N x d of images N x 1 x H x W in [0, 1].

        Raises:
            DataError: images of another shape or range, or features that are not finite.
        """
        import torch

        _check_images(images)
        rows = []
        with torch.inference_mode():
            for start in range(0, len(images), CHUNK):
                part = np.asarray(images[start : start + CHUNK], np.float32)
                filled = np.zeros((CHUNK, *part.shape[1:]), np.float32)
                filled[: len(part)] = part
                batch = torch.from_numpy(filled).to(self._device)
                rows.append(self.features(batch)[: len(part)].float().cpu().numpy())
        features = np.concatenate(rows)
        finite = np.isfinite(features).all(axis=1)
        if not finite.all():
            raise DataError(
                "an extractor must give finite features, but got NaN or infinity from "
                f"'{self.name}' for {np.sum(~finite)} of {len(images)} images; use another one"
            )
        return features


def _folded(network: torch.nn.Module) -> torch.nn.Module:
    """The network with every batch norm in the convolution before it and channels last: the same
    features to float32's rounding, some 1.6 times as fast on a CPU."""
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for part in list(network.eval().modules()):
        for (before, layer), (after, norm) in itertools.pairwise(list(part.named_children())):
            if isinstance(layer, torch.nn.Conv2d) and isinstance(norm, torch.nn.BatchNorm2d):
                setattr(part, before, fuse_conv_bn_eval(layer, norm))
                setattr(part, after, torch.nn.Identity())
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _check_images(images: NDArray[Any]) -> None:
    if images.ndim != 4 or images.shape[1] != 1 or len(images) == 0:
        raise DataError(
            f"features need images of shape N x 1 x H x W with N >= 1, but got {images.shape}; "
            "add the channel axis, or more images"
        )
    low, high = float(images.min()), float(images.max())
    if not (low >= -1e-6 and high <= 1 + 1e-6):
        raise DataError(
            f"features need images in [0, 1], but got values from {low:g} to {high:g}; "
            "map the window to [0, 1] first"
        )


class EfficientNetLite0(Network):
    """1280 globally averaged features of EfficientNet-Lite0 (ImageNet)."""

    name = "efficientnet-lite0"
    preprocessing = (
        f"grey x 3; edges below {LITE0_SMALLEST_PX} px enlarged bilinearly to it; "
        "(x - 0.498) / 0.502"
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(_folded(weights.load_lite0()), device)
        self.weights_digest = weights.lite0_digest()

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional

        size = tuple(max(LITE0_SMALLEST_PX, edge) for edge in batch.shape[2:])
        if size != tuple(batch.shape[2:]):
            batch = functional.interpolate(batch, size, mode="bilinear", align_corners=False)
        grey = ((batch - 0.498) / 0.502).expand(-1, 3, -1, -1)
        network: Any = self._module
        return network.extract_features(grey).mean(dim=(2, 3))


class InceptionV3(Network):
    """2048 features of torch-fidelity's Inception v3, as in canonical FID and KID."""

    name = "inception-v3"
    preprocessing = "grey x 3; rounded to uint8; resized to 299 px as TensorFlow 1 does"

    def __init__(
        self, path: Path | None = None, device: str = "cpu", sha256: str = weights.INCEPTION_SHA256
    ) -> None:
        super().__init__(_folded(weights.load_inception(path, sha256)), device)
        self.weights_digest = sha256

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        import torch

        whole = (batch.clamp(0, 1) * 255).round().to(torch.uint8).expand(-1, 3, -1, -1)
        return self._module(whole)[0]


INCEPTION = Recipe(
    lambda files: Identity("inception-v3", weights.check_inception(files.inception)),
    lambda files, device: InceptionV3(files.inception, device),
)
LITE0 = Recipe(
    lambda files: Identity("efficientnet-lite0", weights.lite0_digest()),
    lambda files, device: EfficientNetLite0(device),
)
