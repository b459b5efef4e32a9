"""One update of each stage against the paper's update, written out with torch's functions alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
from factories.tiny import CPU, ellipses, tiny_experiment
from torch import Tensor
from torch.nn import functional as F

from harness.config.experiment import to_dict
from harness.training.precision import Precision
from harness.work.train.dcgan import Dcgan
from harness.work.train.pix2pix import Pix2pix

RATE, BETA1, BETA2, EPSILON = 2e-4, 0.5, 0.999, 1e-8


# --- the pieces, written out ----------------------------------------------------------------------


def batch_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
    normal = (x - mean) / torch.sqrt(variance + 1e-5)
    return normal * weight[:, None, None] + bias[:, None, None]


def is_real(logits: Tensor) -> Tensor:
    """-log D, the mean over images and patches."""
    return torch.log1p(torch.exp(-logits)).mean()


def is_fake(logits: Tensor) -> Tensor:
    """-log(1 - D)."""
    return torch.log1p(torch.exp(logits)).mean()


class Adam:
    """Kingma and Ba 2015, algorithm 1."""

    def __init__(self, parameters: dict[str, Tensor]) -> None:
        self.parameters = parameters
        self.first = {name: torch.zeros_like(p) for name, p in parameters.items()}
        self.second = {name: torch.zeros_like(p) for name, p in parameters.items()}
        self.time = 0
        self.norm = 0.0

    def step(self, loss: Tensor) -> None:
        names = list(self.parameters)
        slopes = torch.autograd.grad(loss, [self.parameters[n] for n in names])
        self.time += 1
        self.norm = float(torch.cat([slope.flatten() for slope in slopes]).norm())
        with torch.no_grad():
            for name, slope in zip(names, slopes, strict=True):
                m = self.first[name].mul_(BETA1).add_((1 - BETA1) * slope)
                v = self.second[name].mul_(BETA2).add_((1 - BETA2) * slope**2)
                m_hat, v_hat = m / (1 - BETA1**self.time), v / (1 - BETA2**self.time)
                self.parameters[name] -= RATE * m_hat / (v_hat.sqrt() + EPSILON)


def copies(module: torch.nn.Module) -> dict[str, Tensor]:
    """Parameters of a module, of its own and contiguous."""
    return {
        name: p.detach().clone().contiguous().requires_grad_()
        for name, p in module.named_parameters()
    }


def follow(module: torch.nn.Module, mine: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in module.named_parameters():
            mine[name].copy_(value)


def probability(logits: Tensor) -> float:
    return float((1 / (1 + torch.exp(-logits.detach()))).mean())


def assert_close(module: torch.nn.Module, expected: dict[str, Tensor]) -> None:
    """Adam's first steps have the length of the rate, whatever the slope's: where the slope is as
    good as zero rounding decides its sign, so one weight in a thousand may be off."""
    distance = torch.cat(
        [(p.detach() - expected[n]).abs().ravel() for n, p in module.named_parameters()]
    )
    assert (distance < 0.01 * RATE).float().mean() > 0.999
    assert distance.max() <= 2.1 * RATE


# --- DCGAN ----------------------------------------------------------------------------------------


def dcgan_generator(w: dict[str, Tensor], noise: Tensor) -> Tensor:
    x = F.conv_transpose2d(noise, w["layers.0.weight"], stride=1, padding=0)
    for conv, norm in ((3, 1), (6, 4), (9, 7), (12, 10)):
        x = F.relu(batch_norm(x, w[f"layers.{norm}.weight"], w[f"layers.{norm}.bias"]))
        x = F.conv_transpose2d(x, w[f"layers.{conv}.weight"], stride=2, padding=1)
    return torch.tanh(x)


def dcgan_discriminator(w: dict[str, Tensor], x: Tensor) -> Tensor:
    x = F.leaky_relu(F.conv2d(x, w["layers.0.weight"], stride=2, padding=1), 0.2)
    for conv, norm in ((2, 3), (5, 6), (8, 9)):
        x = F.conv2d(x, w[f"layers.{conv}.weight"], stride=2, padding=1)
        x = F.leaky_relu(batch_norm(x, w[f"layers.{norm}.weight"], w[f"layers.{norm}.bias"]), 0.2)
    return F.conv2d(x, w["layers.11.weight"]).flatten()


def real_masks(count: int, edge: int = 64) -> Tensor:
    return torch.from_numpy(ellipses(count, edge, 1)).float() * 2 - 1


def mask_settings(**changed: Any) -> dict[str, Any]:
    return {**to_dict(tiny_experiment().mask), "width": 8, **changed}


def dcgan(**changed: Any) -> Dcgan:
    network = Dcgan(mask_settings(**changed), 1, 64, Precision.of(CPU))
    network.begin(3)
    return network


@pytest.mark.parametrize(("noise", "label"), [("normal", 1.0), ("uniform", 0.9)])
def test_a_dcgan_update_is_the_papers(noise: str, label: float) -> None:
    stage = dcgan(noise=noise, real_label=label)
    g, d = copies(stage.networks["generator"]), copies(stage.networks["discriminator"])
    adam = {"g": Adam(g), "d": Adam(d)}

    def draw(count: int) -> Tensor:
        shape = (count, stage.config["latent"], 1, 1)
        return torch.randn(shape) if noise == "normal" else torch.rand(shape) * 2 - 1

    for update in range(3):
        real = real_masks(6)
        torch.manual_seed(update)
        said = {name: float(value.detach()) for name, value in stage.step({"images": real}).items()}
        torch.manual_seed(update)
        fake = dcgan_generator(g, draw(6)).detach()
        on_real, on_fake = dcgan_discriminator(d, real), dcgan_discriminator(d, fake)
        d_loss = label * is_real(on_real) + (1 - label) * is_fake(on_real) + is_fake(on_fake)
        adam["d"].step(d_loss)
        g_loss = is_real(dcgan_discriminator(d, dcgan_generator(g, draw(6))))
        adam["g"].step(g_loss)
        shares = {"d_real": probability(on_real), "d_fake": probability(on_fake)}
        losses = {"d_loss": float(d_loss.detach()), "g_loss": float(g_loss.detach())}
        norms = {f"{name}_gradient_norm": adam[name].norm for name in "dg"}
        assert said == pytest.approx({**losses, **shares, **norms}, rel=1e-3)
        for name, mine in (("discriminator", d), ("generator", g)):
            assert_close(stage.networks[name], mine)
            follow(stage.networks[name], mine)  # so that rounding does not grow from step to step


def test_noise_has_its_distribution() -> None:
    normal = dcgan(latent=50).draw_noise(400, source())
    assert normal.shape == (400, 50, 1, 1)
    assert float(normal.std()) == pytest.approx(1, abs=0.02)
    uniform = dcgan(latent=50, noise="uniform").draw_noise(400, source())
    assert -1 <= float(uniform.min()) < -0.999 < 0.999 < float(uniform.max()) <= 1
    assert float(uniform.std()) == pytest.approx(1 / np.sqrt(3), abs=0.02)


def source() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def weights_of(networks: Iterable[torch.nn.Module]) -> list[Tensor]:
    return [value.clone() for network in networks for value in network.state_dict().values()]


def assert_untouched(stage: Any, look: Callable[[], Any]) -> None:
    """`look` changes no weight, buffer or mode, draws nothing, and sees the same twice."""
    networks = stage.networks.values()
    before, state = weights_of(networks), torch.random.get_rng_state()
    np.testing.assert_array_equal(look(), look())
    after = weights_of(networks)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(network.training for network in networks)


def test_dcgan_samples_leave_everything_as_it_was_and_follow_their_noise() -> None:
    stage = dcgan()
    stage.step({"images": real_masks(4)})
    assert_untouched(stage, lambda: stage.sample(5, source()))


def test_samples_use_running_statistics_and_do_not_depend_on_their_company() -> None:
    stage = dcgan()
    for _ in range(3):
        stage.step({"images": real_masks(4)})
    together, noise = stage.sample(5, source()), stage.draw_noise(5, source())
    alone = stage.output(noise[2:3], 1)
    np.testing.assert_allclose(together[2:3], alone, atol=1e-6)
    assert np.abs(together).max() <= 1


def test_a_stage_starts_from_its_seed_alone() -> None:
    torch.manual_seed(0)
    one = weights_of(dcgan().networks.values())
    torch.manual_seed(1)
    two = weights_of(dcgan().networks.values())
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


# --- pix2pix --------------------------------------------------------------------------------------


def unet(w: dict[str, Tensor], masks: Tensor) -> Tensor:
    """The official `unet_128` with BatchNorm and without dropout, level by level."""

    def level(prefix: str, x: Tensor) -> Tensor:
        inner = F.conv2d(F.leaky_relu(x, 0.2), w[f"{prefix}down.1.weight"], stride=2, padding=1)
        below = f"{prefix}below."
        if f"{below}down.1.weight" in w:
            inner = batch_norm(inner, w[f"{prefix}norm.weight"], w[f"{prefix}norm.bias"])
            inner = level(below, inner)
        up = F.conv_transpose2d(F.relu(inner), w[f"{prefix}up.1.weight"], stride=2, padding=1)
        up = batch_norm(up, w[f"{prefix}up.2.weight"], w[f"{prefix}up.2.bias"])
        return torch.cat([x, up], 1)

    x = level("levels.", F.conv2d(masks, w["first.weight"], stride=2, padding=1))
    x = F.conv_transpose2d(F.relu(x), w["last.1.weight"], w["last.1.bias"], stride=2, padding=1)
    return torch.tanh(x)


def patches(w: dict[str, Tensor], x: Tensor) -> Tensor:
    x = F.leaky_relu(
        F.conv2d(x, w["layers.0.weight"], w["layers.0.bias"], stride=2, padding=1), 0.2
    )
    for conv, norm, stride in ((2, 3, 2), (5, 6, 2), (8, 9, 1)):
        x = F.conv2d(x, w[f"layers.{conv}.weight"], stride=stride, padding=1)
        x = F.leaky_relu(batch_norm(x, w[f"layers.{norm}.weight"], w[f"layers.{norm}.bias"]), 0.2)
    return F.conv2d(x, w["layers.11.weight"], w["layers.11.bias"], padding=1)


def pix2pix(**changed: Any) -> Pix2pix:
    config = {**to_dict(tiny_experiment().image), "width": 4, "dropout": False, **changed}
    network = Pix2pix(config, 1, 128, Precision.of(CPU))
    network.begin(3)
    return network


def painted(masks: Tensor) -> Tensor:
    source = torch.Generator().manual_seed(2)
    return (masks * 0.5 + 0.1 * torch.randn(masks.shape, generator=source)).clamp(-1, 1)


def test_a_pix2pix_update_is_the_papers() -> None:
    stage = pix2pix(l1_weight=10.0)
    g, d = copies(stage.networks["generator"]), copies(stage.networks["discriminator"])
    mask = real_masks(3, 128)
    real = painted(mask)
    said = stage.step({"masks": mask, "ct": real})
    fake = unet(g, mask)
    on_fake = patches(d, torch.cat([mask, fake.detach()], 1))
    on_real = patches(d, torch.cat([mask, real], 1))
    assert on_real.shape == (3, 1, 14, 14)
    d_loss = (is_fake(on_fake) + is_real(on_real)) / 2
    Adam(d).step(d_loss)
    g_loss = is_real(patches(d, torch.cat([mask, fake], 1)))
    l1 = (fake - real).abs().mean()
    Adam(g).step(g_loss + 10.0 * l1)
    for name, value in (("d_loss", d_loss), ("g_loss", g_loss), ("l1", l1)):
        assert float(said[name].detach()) == pytest.approx(float(value.detach()), rel=1e-3)
    assert_close(stage.networks["discriminator"], d)
    assert_close(stage.networks["generator"], g)


def test_the_generator_step_leaves_the_discriminator_its_slopes() -> None:
    stage = pix2pix()
    mask = real_masks(2, 128)
    stage.step({"masks": mask, "ct": painted(mask)})
    discriminator = stage.networks["discriminator"]
    assert all(p.requires_grad for p in discriminator.parameters())
    # Adam's second moment is (1 - beta2) g^2: what it saw is what the D loss alone left behind.
    optimiser = stage.optimisers["discriminator"]
    for parameter in discriminator.parameters():
        assert parameter.grad is not None
        seen = (optimiser.state[parameter]["exp_avg_sq"] / (1 - BETA2)).sqrt()
        np.testing.assert_allclose(seen, parameter.grad.abs(), rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("left_on", [False, True])
@pytest.mark.parametrize("statistics", ["running", "batch-of-one"])
def test_pix2pix_images_leave_everything_as_it_was(statistics: str, left_on: bool) -> None:
    stage = pix2pix(statistics=statistics, dropout=True, dropout_left_on=left_on)
    mask = real_masks(2, 128)
    stage.step({"masks": mask, "ct": painted(mask)})
    assert_untouched(stage, lambda: stage.generate(mask, source()))


def test_a_batch_of_one_is_normalised_by_itself() -> None:
    stage = pix2pix()
    generator = stage.networks["generator"]
    masks = real_masks(3, 128)
    alone = pix2pix(statistics="batch-of-one")
    alone.restore(stage.weights())
    painted_alone = alone.generate(masks, source())
    w = copies(generator)
    for n in range(3):
        expected = unet(w, masks[n : n + 1]).detach().numpy()
        np.testing.assert_allclose(painted_alone[n : n + 1], expected, atol=1e-4)
    running = stage.generate(masks, source())
    assert np.abs(running - painted_alone).max() > 0.01


def test_dropout_is_drawn_in_training_and_off_in_pictures() -> None:
    stage = pix2pix(dropout=True)
    mask = real_masks(2, 128)
    generator = stage.networks["generator"]
    first, second = generator(mask), generator(mask)
    assert not torch.equal(first, second)
    one, two = (stage.generate(mask, source()) for _ in range(2))
    np.testing.assert_array_equal(one, two)
