"""The segmenter as a feature extractor: how a network of the own domain sees an image.

ImageNet networks know cats; a U-Net that was trained on training patients knows structures. Its
deepest feature map, averaged, is what is compared. It is built from a training of the work folder,
so it is no extractor that a config can name for scores during training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from harness.base.errors import DataError
from harness.base.files import sha256_file
from harness.jobs.checkpoint import load_weights
from harness.metrics.extractors.networks import Network
from harness.models.unet import bottleneck, make_unet


class SegmenterBottleneck(Network):
    """`channels[-1]` globally averaged features at the bottleneck of a network of `make_unet`.

    Args:
        network: takes images in [-1, 1] with one channel.
        weights_digest: SHA-256 of its weights file.
        device: torch device that computes.
    """

    name = "segmenter"
    preprocessing = "2 x - 1, the segmenter's [-1, 1]; deepest map averaged globally"

    def __init__(self, network: torch.nn.Module, weights_digest: str, device: str = "cpu") -> None:
        super().__init__(network, device)
        self.weights_digest = weights_digest
        strides: Any = network.strides
        self._halvings = len(strides)

    @classmethod
    def load(
        cls, path: Path, settings: Mapping[str, Any], structures: int, device: str = "cpu"
    ) -> SegmenterBottleneck:
        """The extractor of a segmenter's checkpoint.

        Args:
            path: its `weights.safetensors`.
            settings: the segmenter spec's config: `channels` and `residual_units`.
            structures: mask channels of the store that it was trained on.

        Raises:
            DataError: weights of another network.
        """
        network = make_unet(
            tuple(settings["channels"]), settings["residual_units"], 1, structures, seed=0
        )
        try:
            network.load_state_dict(load_weights(path))
        except RuntimeError as error:
            raise DataError(
                f"a segmenter's weights must fit channels {list(settings['channels'])}, "
                f"{settings['residual_units']} residual units and {structures} structures, but got "
                f"others in '{path.name}'; train the segmenter again"
            ) from error
        return cls(network, sha256_file(path), device)

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        edges = [math.ceil(edge / 2**self._halvings) for edge in batch.shape[2:]]
        if edges == [1, 1]:
            # One pixel has no spread, and the network divides by it.
            raise DataError(
                f"the segmenter's features need images of more than {2**self._halvings} px, "
                f"but got {batch.shape[2]} x {batch.shape[3]}; use another extractor for them"
            )
        return bottleneck(self._module, batch * 2 - 1).mean(dim=(2, 3))
