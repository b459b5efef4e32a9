"""The segmenter's bottleneck: the map that a whole forward pass makes, of the weights named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from factories.extractor import SETTINGS, grey_images, write_segmenter

from harness.base.errors import DataError
from harness.base.files import sha256_file
from harness.metrics.extractors.segmenter import SegmenterBottleneck
from harness.models.unet import make_unet


@pytest.mark.parametrize("units", [0, 2])
@pytest.mark.parametrize("channels", [(4, 8), (4, 8, 16, 12)])
def test_it_is_the_map_of_a_whole_forward_pass(channels: tuple[int, ...], units: int) -> None:
    network = make_unet(channels, units, 1, 2, seed=3).eval()
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
    found = SegmenterBottleneck(network, "digest")(x)
    np.testing.assert_allclose(found, seen[0].mean(dim=(2, 3)).numpy(), rtol=1e-4, atol=1e-6)


def test_it_has_the_weights_of_the_file(tmp_path: Path) -> None:
    path = write_segmenter(tmp_path / "weights.safetensors")
    extractor = SegmenterBottleneck.load(path, SETTINGS, structures=2)
    network = make_unet(SETTINGS["channels"], SETTINGS["residual_units"], 1, 2, seed=5)
    x = grey_images(3)
    np.testing.assert_array_equal(extractor(x), SegmenterBottleneck(network, "digest")(x))
    assert extractor.weights_digest == sha256_file(path)


@pytest.mark.parametrize(
    ("settings", "structures"),
    [
        ({**SETTINGS, "channels": [4, 8, 12]}, 2),
        ({**SETTINGS, "residual_units": 2}, 2),
        (SETTINGS, 1),
    ],
)
def test_weights_of_another_network_are_refused(
    tmp_path: Path, settings: dict[str, object], structures: int
) -> None:
    path = write_segmenter(tmp_path / "weights.safetensors")
    with pytest.raises(DataError, match=r"weights must fit channels .* but got others in"):
        SegmenterBottleneck.load(path, settings, structures)


def test_images_that_leave_one_pixel_are_refused() -> None:
    extractor = SegmenterBottleneck(make_unet((4, 8, 16), 1, 1, 1, seed=0), "digest")
    assert extractor(grey_images(1, 5)).shape == (1, 16)
    with pytest.raises(DataError, match=r"images of more than 4 px, but got 4 x 4"):
        extractor(grey_images(1, 4))
