"""pix2pix: counts of the official networks, shapes, dropout, sampling one image at a time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.base.errors import ConfigError
from harness.models.dcgan import init_weights
from harness.models.pix2pix import PatchDiscriminator, UnetGenerator


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def small(dropout: bool = True, channels: int = 1, seed: int = 0) -> UnetGenerator:
    network = UnetGenerator(width=8, in_channels=channels, dropout=dropout)
    init_weights(network, torch.Generator().manual_seed(seed))
    return network


def test_parameter_counts_are_those_of_the_official_networks() -> None:
    with torch.device("meta"):
        assert parameters(UnetGenerator(width=64)) == 41_822_849
        assert parameters(PatchDiscriminator(width=64, in_channels=2)) == 2_764_609


@pytest.mark.parametrize("channels", [1, 3])
def test_masks_of_several_structures_become_one_ct(channels: int) -> None:
    masks = torch.randint(0, 2, (2, channels, 128, 128)) * 2.0 - 1
    ct = small(channels=channels)(masks)
    assert ct.shape == (2, 1, 128, 128)
    assert ct.abs().max() <= 1
    judged = PatchDiscriminator(8, channels + 1)(torch.cat([masks, ct], 1))
    assert judged.shape == (2, 1, 14, 14)


def test_the_bottleneck_is_one_pixel_and_seven_halvings_deep() -> None:
    shapes = []

    def note(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        shapes.append(tuple(output.shape[1:]))

    network = small()
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_hook(note)
    network(torch.zeros(2, 1, 128, 128))
    assert shapes == [
        (8, 64, 64),
        (16, 32, 32),
        (32, 16, 16),
        (64, 8, 8),
        (64, 4, 4),
        (64, 2, 2),
        (64, 1, 1),
    ]


def test_a_patch_logit_sees_seventy_pixels() -> None:
    network = PatchDiscriminator(4, 1).eval()
    init_weights(network, torch.Generator().manual_seed(0))
    image = torch.zeros(1, 1, 128, 128, requires_grad=True)
    network(image)[0, 0, 7, 7].backward()
    assert image.grad is not None
    seen = torch.nonzero(image.grad[0, 0])
    extent = seen.max(0).values - seen.min(0).values + 1
    assert extent.tolist() == [70, 70], "the 70 x 70 PatchGAN of the paper"


def test_dropout_makes_training_noisy_and_never_sampling() -> None:
    masks = torch.rand(2, 1, 128, 128)
    with torch.no_grad():
        network = small(dropout=True)
        assert not torch.equal(network(masks), network(masks))
        network.eval()
        assert torch.equal(network(masks), network(masks))
        plain = small(dropout=False)
        assert torch.equal(plain(masks), plain(masks))


def test_dropout_follows_the_innermost_levels_but_the_last() -> None:
    # The official unet_128 has num_downs - 5 = 2 levels with dropout.
    dropped: list[tuple[int, ...]] = []
    network = small()
    for part in network.modules():
        if isinstance(part, nn.Dropout):
            assert part.p == 0.5
            part.register_forward_hook(lambda m, i, output: dropped.append(tuple(output.shape)))
    network(torch.zeros(1, 1, 128, 128))
    assert dropped == [(1, 64, 4, 4), (1, 64, 8, 8)]


def test_skips_carry_fine_detail_past_the_bottleneck() -> None:
    network = small(dropout=False).eval()
    masks = torch.zeros(1, 1, 128, 128)
    touched = masks.clone()
    touched[0, 0, 40, 90] = 1
    with torch.no_grad():
        change = (network(touched) - network(masks)).abs()[0, 0]
    strongest = divmod(int(change.argmax()), 128)
    assert max(abs(strongest[0] - 40), abs(strongest[1] - 90)) <= 4


def test_an_image_does_not_depend_on_its_batch_mates_when_sampling() -> None:
    network = small()
    masks = torch.rand(3, 1, 128, 128)
    with torch.no_grad():
        network(masks)
        network.eval()
        together, alone = network(masks)[:1], network(masks[:1])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


def test_a_batch_of_one_can_be_trained_on() -> None:
    network = small()
    network(torch.rand(1, 1, 128, 128)).mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    assert all(p.grad is not None for p in network.parameters())


def test_weights_depend_on_the_generator_alone() -> None:
    one, two, other = small(seed=5), small(seed=5), small(seed=6)
    pairs = zip(one.parameters(), two.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(next(one.parameters()), next(other.parameters()))


def test_frames_that_cannot_be_halved_seven_times_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        small()(torch.zeros(1, 1, 96, 128))
    assert str(caught.value) == (
        "frames of pix2pix must be multiples of 128 pixels, but got 96 x 128; "
        "set data.crop.frame_px to 128"
    )
