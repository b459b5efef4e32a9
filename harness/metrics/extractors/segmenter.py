"""A segmenter as a feature extractor: how a network of the own domain sees an image.

ImageNet networks know cats; a segmenter that was trained on training patients knows structures. It
is built from a training of the work folder, so it is no extractor that a config can name for scores
during training.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from harness.metrics.extractors.networks import Network


class SegmenterFeatures(Network):
    """The features that a segmenter tells of an image.

    Args:
        features: of CT (N, 1, H, W) in [-1, 1] on the device, (N, d).
        weights_digest: SHA-256 of its weights file.
        device: torch device that computes.
    """

    name = "segmenter"
    preprocessing = "2 x - 1, the segmenter's [-1, 1]; its own features"

    def __init__(
        self,
        features: Callable[[torch.Tensor], torch.Tensor],
        weights_digest: str,
        device: str = "cpu",
    ) -> None:
        self._device, self._features, self.weights_digest = device, features, weights_digest

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        return self._features(batch * 2 - 1)
