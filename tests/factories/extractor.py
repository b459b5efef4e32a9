"""Feature networks in files: TorchScript modules, a tiny segmenter, Inception of random weights."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.metrics.extractors.guard import guard_torchvision


def grey_images(n: int, size: int = 64, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((n, 1, size, size), dtype=np.float32)


def small_net(channels: int = 1, tail: nn.Module | None = None) -> nn.Sequential:
    """Convolutions, normalised as by its training, to 8 features or what `tail` makes of maps."""
    torch.manual_seed(0)
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 8))
    return nn.Sequential(
        nn.Conv2d(channels, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU(), tail or pool
    )


def write_script(path: Path, module: nn.Module, example: Tensor | None = None) -> Path:
    """A TorchScript file of `module` in its present mode: scripted, or traced on an example."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; traces doubt themselves
        made = torch.jit.script(module) if example is None else torch.jit.trace(module, example)
        torch.jit.save(made, path)
    return path


def write_random_inception(folder: Path) -> Path:
    """A weights file of the right form with random values: the real one is a download."""
    guard_torchvision()
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Blank(FeatureExtractorInceptionV3):
        def load_state_dict(self, state_dict: object) -> None:
            """Keeps the initial weights."""

    torch.save({}, folder / "empty.pth")
    torch.manual_seed(0)
    network = Blank("x", ["2048"], feature_extractor_weights_path=str(folder / "empty.pth"))
    torch.save(network.state_dict(), folder / "random.pth")
    return folder / "random.pth"
