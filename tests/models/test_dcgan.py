"""DCGAN: the thesis's parameter counts, shapes, repeatable weights, one image at a time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.base.errors import ConfigError
from harness.models.dcgan import Discriminator, Generator, init_weights


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def seeded(network: nn.Module, seed: int = 0) -> nn.Module:
    init_weights(network, torch.Generator().manual_seed(seed))
    return network


def test_parameter_counts_are_those_of_the_thesis() -> None:
    assert parameters(Generator(width=64, latent=100)) == 3_574_656
    assert parameters(Discriminator(width=64)) == 2_763_520


@pytest.mark.parametrize(("width", "channels"), [(4, 1), (8, 3)])
def test_noise_becomes_images_between_minus_one_and_one(width: int, channels: int) -> None:
    images = seeded(Generator(width, 10, channels))(torch.randn(2, 10, 1, 1))
    assert images.shape == (2, channels, 64, 64)
    assert images.abs().max() <= 1
    assert seeded(Discriminator(width, channels))(images).shape == (2, 1, 1, 1)


def test_the_discriminator_gives_logits_of_either_sign_beyond_one() -> None:
    with torch.no_grad():
        network = seeded(Discriminator(8))
        logits = network(torch.rand(64, 1, 64, 64) * 2 - 1) * 100
        last = list(network.modules())[-1]
    assert isinstance(last, nn.Conv2d), "no squashing after the last convolution"
    assert logits.min() < 0 < logits.max()


def test_layers_follow_the_thesis() -> None:
    kinds = [type(part) for part in Generator(4).modules()]
    assert kinds.count(nn.ConvTranspose2d) == 5
    assert kinds.count(nn.BatchNorm2d) == kinds.count(nn.ReLU) == 4
    assert kinds[-1] is nn.Tanh
    judge = Discriminator(4)
    kinds = [type(part) for part in judge.modules()]
    assert kinds.count(nn.Conv2d) == 5
    assert kinds.count(nn.BatchNorm2d) == 3
    slopes = {p.negative_slope for p in judge.modules() if isinstance(p, nn.LeakyReLU)}
    assert slopes == {0.2}


def test_another_size_is_refused_with_the_setting_to_change() -> None:
    expected = "images of the DCGAN must be 64 x 64, but got 96 x 96; set data.crop.mask_px to 64"
    with pytest.raises(ConfigError) as caught:
        Discriminator(4)(torch.zeros(1, 1, 96, 96))
    assert str(caught.value) == expected


def test_weights_depend_on_the_generator_alone() -> None:
    torch.manual_seed(1)
    one = seeded(Generator(8), 5).state_dict()
    torch.manual_seed(2)
    two = seeded(Generator(8), 5).state_dict()
    other = seeded(Generator(8), 6).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["layers.0.weight"], other["layers.0.weight"])


def test_drawing_weights_leaves_the_global_generator_alone() -> None:
    network = Generator(8)
    before = torch.get_rng_state()
    seeded(network)
    assert torch.equal(before, torch.get_rng_state())


def test_weights_have_the_published_spread() -> None:
    network = seeded(Discriminator(width=64))
    convolutions = torch.cat(
        [p.weight.detach().flatten() for p in network.modules() if isinstance(p, nn.Conv2d)]
    )
    norms = [p for p in network.modules() if isinstance(p, nn.BatchNorm2d)]
    scales = torch.cat([p.weight.detach() for p in norms])
    # 2.76 million and 896 draws: bounds of five standard errors.
    assert abs(convolutions.mean()) < 5 * 0.02 / 2.76e6**0.5
    assert convolutions.std() == pytest.approx(0.02, rel=0.003)
    assert scales.mean() == pytest.approx(1.0, abs=5 * 0.02 / 896**0.5)
    assert scales.std() == pytest.approx(0.02, rel=0.12)
    assert all(torch.count_nonzero(p.bias) == 0 for p in norms)


def test_an_image_does_not_depend_on_its_batch_mates_when_sampling() -> None:
    network = seeded(Generator(8, 16))
    with torch.no_grad():
        network(torch.randn(32, 16, 1, 1))  # gives the running averages something to hold
        noise = torch.randn(6, 16, 1, 1)
        together, alone = network(noise)[:1], network(noise[:1])
        assert not torch.allclose(together, alone, atol=1e-4), "in training it does"
        network.eval()
        together, alone = network(noise)[:1], network(noise[:1])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


def test_a_generator_that_enlarges_by_neighbours_has_one_transposed_convolution() -> None:
    network = seeded(Generator(8, 10, 2, resize=True))
    assert network(torch.randn(2, 10, 1, 1)).shape == (2, 2, 64, 64)
    kinds = [type(part) for part in network.modules()]
    assert kinds.count(nn.ConvTranspose2d) == 1
    assert kinds.count(nn.Upsample) == 4
    flat = seeded(Generator(8, 10, resize=True)).eval()
    with torch.no_grad():
        image = flat(torch.zeros(1, 10, 1, 1))[0, 0, 16:-16, 16:-16]
    assert image.std() < 1e-6, "a flat input stays flat within: no checkerboard of its own"


def test_spectral_norm_bounds_every_layer_and_takes_the_place_of_batchnorm() -> None:
    network = seeded(Discriminator(8, spectral=True))
    torch.manual_seed(7)
    again = seeded(Discriminator(8, spectral=True)).state_dict()
    assert all(torch.equal(again[name], value) for name, value in network.state_dict().items())
    assert not any(isinstance(part, nn.BatchNorm2d) for part in network.modules())
    for _ in range(30):
        network(torch.randn(2, 1, 64, 64))
    network.eval()
    layers = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    assert len(layers) == 5
    for layer in layers:
        largest = torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()
        assert largest == pytest.approx(1, abs=0.02)
    own = dict(layers[1].named_parameters())["parametrizations.weight.original"]
    assert own.std().item() == pytest.approx(0.02, rel=0.1)
