"""The downstream U-Net: logits of the frame's size, weights from the seed alone."""

from __future__ import annotations

import pytest
import torch

from harness.models.unet import OneSlope, make_unet


@pytest.mark.parametrize(("units", "structures"), [(0, 1), (2, 3)])
def test_logits_have_a_channel_per_structure_and_the_frames_size(
    units: int, structures: int
) -> None:
    network = make_unet((4, 8, 16), units, 1, structures, seed=0)
    logits = network(torch.randn(2, 1, 32, 48))
    assert logits.shape == (2, structures, 32, 48)
    assert logits.min() < 0, "logits, not probabilities"


def test_the_default_network_has_about_1_6_million_parameters() -> None:
    network = make_unet((16, 32, 64, 128, 256), 2, 1, 1, seed=0)
    assert 1.6e6 < sum(p.numel() for p in network.parameters()) < 1.7e6


def test_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    one = make_unet((4, 8), 1, 1, 1, seed=7).state_dict()
    torch.manual_seed(2)
    two = make_unet((4, 8), 1, 1, 1, seed=7).state_dict()
    other = make_unet((4, 8), 1, 1, 1, seed=8).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_making_one_leaves_the_global_generator_as_it_was() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    make_unet((4, 8), 1, 1, 1, seed=0)
    assert torch.equal(torch.rand(4), expected)


def test_an_image_does_not_depend_on_its_batch_mates() -> None:
    network = make_unet((4, 8, 16), 1, 1, 1, seed=0).eval()
    images = torch.randn(4, 1, 32, 32)
    with torch.no_grad():
        together, alone = network(images)[:1], network(images[:1])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_a_flat_slice_has_its_own_level_and_is_not_stretched() -> None:
    """One structure: nothing after the last feature maps normalises the logits of a slice."""
    network = make_unet((8, 16, 32), 1, 1, 1, seed=0)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    source = torch.Generator().manual_seed(0)
    with_structure = torch.zeros(8, 1, 32, 32)
    with_structure[:4, :, 10:22, 10:22] = 1  # half of the slices hold nothing
    images = with_structure + 0.1 * torch.randn(8, 1, 32, 32, generator=source)
    for _ in range(60):
        optimiser.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(images), with_structure)
        loss.backward()
        optimiser.step()
    found = network(images).sigmoid() > 0.5
    assert int(found[4:].sum()) == 0, "nothing is found where nothing is"
    overlap = 2 * float((found[:4] & (with_structure[:4] > 0)).sum())
    assert overlap / float(found[:4].sum() + with_structure[:4].sum()) > 0.95


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_one_slope_is_torchs_prelu(dtype: torch.dtype, layout: torch.memory_format) -> None:
    source = torch.Generator().manual_seed(0)
    x = torch.randn(3, 5, 17, 9, generator=source).to(dtype).to(memory_format=layout)
    upper = torch.randn(3, 5, 17, 9, generator=source).to(dtype)
    seen = []
    for kind in (torch.nn.PReLU, OneSlope):
        module, given = kind(init=0.3).to(dtype), x.clone().requires_grad_()
        made = module(given)
        made.backward(upper)
        seen.append((made.detach(), given.grad, module.weight.grad))
    for one, other in zip(*seen, strict=True):
        torch.testing.assert_close(
            other, one, rtol=1e-4 if dtype == torch.float32 else 0.02, atol=0.02
        )
