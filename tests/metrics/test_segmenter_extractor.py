"""The U-Net's features: the deepest map that a whole forward pass makes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from factories.extractor import grey_images
from factories.tiny import CPU

from harness.base.errors import DataError
from harness.training.precision import Precision
from harness.work.evaluate.features import SegmenterFeatures
from harness.work.train.unet import Unet


def features_of(channels: tuple[int, ...], units: int) -> tuple[SegmenterFeatures, torch.nn.Module]:
    """The extractor that a U-Net is, and its network."""
    config = {"channels": channels, "residual_units": units}
    segmenter = Unet(config, 2, 64, Precision.of(CPU))
    return SegmenterFeatures(segmenter.features, "digest"), segmenter.networks["unet"].eval()


@pytest.mark.parametrize("units", [0, 2])
@pytest.mark.parametrize("channels", [(4, 8), (4, 8, 16, 12)])
def test_it_is_the_map_of_a_whole_forward_pass(channels: tuple[int, ...], units: int) -> None:
    extractor, network = features_of(channels, units)
    seen: list[torch.Tensor] = []

    def keep(module: torch.nn.Module, given: object, made: torch.Tensor) -> None:
        seen.append(made)

    # The only modules in a skip connection without one inside: the innermost.
    inner = [
        name
        for name, module in network.named_modules()
        if name.endswith(".submodule")
        and not any(part.endswith(".submodule") for part, _ in module.named_modules())
    ]
    assert len(inner) == 1
    network.get_submodule(inner[0]).register_forward_hook(keep)
    x = grey_images(2, 32)
    with torch.no_grad():
        network(torch.from_numpy(x) * 2 - 1)
    assert seen[0].shape[1] == channels[-1]
    np.testing.assert_allclose(extractor(x), seen[0].mean(dim=(2, 3)).numpy(), rtol=1e-4, atol=1e-6)


def test_images_that_leave_one_pixel_are_refused() -> None:
    extractor, _ = features_of((4, 8, 16), 1)
    assert extractor(grey_images(1, 5)).shape == (1, 16)
    with pytest.raises(DataError, match=r"images of more than 4 px, but got 4 x 4"):
        extractor(grey_images(1, 4))
