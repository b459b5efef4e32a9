"""Images to feature vectors: the networks in whose eyes real and synthetic images are compared.

Two are built in. `inception-v3` is the network of canonical FID and KID (torch-fidelity's port);
its weights are a download and are checked against a pinned SHA-256 before they are read. Offline
the default is `efficientnet-lite0`, whose ImageNet weights come with a package. `auto` takes the
first where its weights are at hand.

An image's features depend on that image alone, bit for bit: the network always sees chunks of one
size, the last one filled up with blank images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.registry import Registry
from harness.metrics import weights

if TYPE_CHECKING:
    import torch

CHUNK = 16
"""Images per pass through a network; part of no score, since it never changes a feature."""

LITE0_SMALLEST_PX = 128
"""Lite0 divides the edge by 32; smaller images would leave a map of 2 x 2 or less to average."""


class Extractor(Protocol):
    """Images to features.

    Attributes:
        name: as in the config; a score says which extractor it used.
        weights_digest: SHA-256 of the weights file.
        preprocessing: in words, what happens to an image before the network.
    """

    name: str
    weights_digest: str
    preprocessing: str

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 N x 1 x H x W in [0, 1] -> float32 N x d."""
        ...


@dataclass(frozen=True)
class Recipe:
    """How a registered extractor is made and named.

    Attributes:
        digest: given the Inception weights' path or None, the weights digest, without torch.
        make: given that path and a torch device name, the extractor.
    """

    digest: Callable[[Path | None], str]
    make: Callable[[Path | None, str], Extractor]


EXTRACTORS: Registry[Recipe] = Registry("metrics.extractor", "harness.extractors")


@dataclass(frozen=True)
class Identity:
    """What a score's spec holds of its extractor."""

    name: str
    weights_digest: str


def identify(name: str, inception_weights: Path | None = None) -> Identity:
    """The extractor that `name` stands for here and now (`auto` resolved), without loading it.

    Raises:
        ConfigError: no such extractor.
        EnvironmentFault: its weights are missing or are not the published file.
    """
    if name == "auto":
        EXTRACTORS.get(name)
        found = weights.find_inception(inception_weights)
        name = "efficientnet-lite0" if found is None else "inception-v3"
    return Identity(name, EXTRACTORS.get(name).digest(inception_weights))


def make_extractor(
    name: str, inception_weights: Path | None = None, device: str = "cpu"
) -> Extractor:
    """The extractor called `name`: `auto`, a built-in or a registered one.

    Args:
        inception_weights: file of the Inception weights; None looks in torch.hub's folder.
        device: torch device that computes, e.g. "cpu" or "cuda".

    Raises:
        ConfigError: no such extractor.
        EnvironmentFault: its weights are missing or are not the published file.
    """
    return EXTRACTORS.get(name).make(inception_weights, device)


class _Network:
    """A torch module applied in chunks of one size, in float32 and evaluation mode."""

    def __init__(self, module: torch.nn.Module, device: str) -> None:
        self._device = device
        self._module = module.eval().requires_grad_(False).to(device)

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
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
        return np.concatenate(rows)


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


class EfficientNetLite0(_Network):
    """1280 globally averaged features of EfficientNet-Lite0 (ImageNet)."""

    name = "efficientnet-lite0"
    preprocessing = (
        f"grey x 3; edges below {LITE0_SMALLEST_PX} px enlarged bilinearly to it; "
        "(x - 0.498) / 0.502"
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(weights.load_lite0(), device)
        self.weights_digest = weights.lite0_digest()

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional

        size = tuple(max(LITE0_SMALLEST_PX, edge) for edge in batch.shape[2:])
        if size != tuple(batch.shape[2:]):
            batch = functional.interpolate(batch, size, mode="bilinear", align_corners=False)
        grey = ((batch - 0.498) / 0.502).expand(-1, 3, -1, -1)
        network: Any = self._module
        maps: torch.Tensor = network.extract_features(grey)
        return maps.mean(dim=(2, 3))


class InceptionV3(_Network):
    """2048 features of torch-fidelity's Inception v3, as in canonical FID and KID."""

    name = "inception-v3"
    preprocessing = "grey x 3; rounded to uint8; resized to 299 px as TensorFlow 1 does"

    def __init__(
        self,
        path: Path | None = None,
        device: str = "cpu",
        sha256: str = weights.INCEPTION_SHA256,
    ) -> None:
        super().__init__(weights.load_inception(path, sha256), device)
        self.weights_digest = sha256

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        import torch

        whole = (batch.clamp(0, 1) * 255).round().to(torch.uint8).expand(-1, 3, -1, -1)
        made: torch.Tensor = self._module(whole)[0]
        return made


def _make_auto(path: Path | None, device: str) -> Extractor:
    return make_extractor(identify("auto", path).name, path, device)


def _auto_digest(path: Path | None) -> str:
    return identify("auto", path).weights_digest


EXTRACTORS.add("auto", Recipe(_auto_digest, _make_auto))
EXTRACTORS.add(
    "inception-v3",
    Recipe(weights.check_inception, lambda path, device: InceptionV3(path, device)),
)
EXTRACTORS.add(
    "efficientnet-lite0",
    Recipe(lambda path: weights.lite0_digest(), lambda path, device: EfficientNetLite0(device)),
)
