"""nnU-Net's network and how it trains: norms, outputs at coarser levels, one name per weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from factories.tiny import COMPUTE, CPU, ellipses
from torch import Tensor, nn

from harness.config.experiment import to_dict
from harness.config.stages import DynUnetConfig
from harness.models.dynunet import deepest, make_dynunet
from harness.training.precision import Precision
from harness.work.train.dynunet import DynUnet

CHANNELS = [4, 6, 8, 12]
NORMS = {"instance": nn.InstanceNorm2d, "batch": nn.BatchNorm2d, "group": nn.GroupNorm}


def begun(seed: int = 0, **settings: Any) -> DynUnet:
    config = to_dict(DynUnetConfig(network="dynunet", **{"channels": CHANNELS, **settings}))
    network = DynUnet(config, 2, 32, Precision.of(COMPUTE))
    network.begin(seed)
    return network


def pairs(seed: int) -> dict[str, Tensor]:
    masks = torch.from_numpy(ellipses(3, 32, seed)).float().repeat(1, 2, 1, 1)
    ct = masks[:, :1] - 0.5 + 0.1 * torch.randn(3, 1, 32, 32, generator=torch.manual_seed(seed))
    return {"ct": ct, "masks": masks}


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("norm", NORMS)
def test_logits_have_the_frames_size_and_maps_the_norm(norm: str, residual: bool) -> None:
    network = make_dynunet(CHANNELS, norm, residual, False, 3, 2, seed=0)
    assert network(torch.randn(2, 3, 32, 48)).shape == (2, 2, 32, 48)
    used = {type(m) for m in network.modules() if isinstance(m, tuple(NORMS.values()))}
    assert used == {NORMS[norm]}
    if norm == "group":
        assert {m.num_groups for m in network.modules() if isinstance(m, nn.GroupNorm)} == {2}


def test_it_has_as_many_weights_as_its_layers_say() -> None:
    """Two 3 x 3 convolutions a block, 2 x 2 transposed ones between; norms with scale and shift."""
    network = make_dynunet(CHANNELS, "instance", False, True, 1, 2, seed=0)
    ends = list(zip([1, *CHANNELS[:-1]], CHANNELS, strict=True))
    down = sum(9 * (a * b + b * b) + 4 * b for a, b in ends)
    up = sum(4 * a * b + 9 * (2 * a * a + a * a) + 4 * a for a, b in ends[1:])
    heads = (CHANNELS[0] + 1) * 2 + (CHANNELS[1] + 1) * 2
    counted = sum(value.numel() for value in network.state_dict().values())
    assert counted == down + up + heads


def test_a_checkpoint_holds_each_weight_once() -> None:
    weights = begun(deep_supervision=True).weights()
    assert len({value.data_ptr() for value in weights.values()}) == len(weights)
    other = begun(1, deep_supervision=True)
    other.restore(weights)
    assert all(torch.equal(other.weights()[name], value) for name, value in weights.items())


@pytest.mark.parametrize("levels", [3, 4, 5])
def test_coarser_levels_count_half_each(levels: int) -> None:
    """All outputs but the coarsest decoder's, each against the whole mask, in float64 by hand."""
    network = begun(channels=[4] * levels, deep_supervision=True, learning_rate=1e-9)
    batch = pairs(0)
    outputs = network.networks["unet"](batch["ct"].to(COMPUTE["device"])).detach().cpu().double()
    assert outputs.shape == (3, max(2, levels - 2), 2, 32, 32)
    coarse = outputs[:, 1].numpy()
    assert np.array_equal(coarse[..., ::2, ::2], coarse[..., 1::2, 1::2]), "2 x 2 pixels alike"
    truth, total, weight, axes = batch["masks"].double().numpy(), 0.0, 1.0, (0, 2, 3)
    for level in range(outputs.shape[1]):
        chance = 1 / (1 + np.exp(-outputs[:, level].numpy()))
        overlap = (2 * (chance * truth).sum(axes) + 1e-5) / ((chance + truth).sum(axes) + 1e-5)
        entropy = -(truth * np.log(chance) + (1 - truth) * np.log(1 - chance)).mean()
        total += weight * ((1 - overlap).mean() + entropy)
        weight /= 2
    total /= 2 - 2 * weight
    assert float(network.step(batch)["loss"].detach()) == pytest.approx(total, rel=1e-5)
    assert network.predict(batch["ct"].numpy()).shape == (3, 2, 32, 32)


def test_its_features_are_the_deepest_map_of_a_whole_pass() -> None:
    network = DynUnet(dict(begun().config), 2, 32, Precision.of(CPU))
    unet, seen = network.networks["unet"].eval(), []
    innermost = max(
        (name for name, _ in unet.named_modules() if name.endswith("next_layer")), key=len
    )
    unet.get_submodule(innermost).register_forward_hook(lambda m, x, made: seen.append(made))
    ct = pairs(1)["ct"]
    with torch.no_grad():
        unet(ct)
        assert torch.equal(deepest(unet, ct), seen[0])
        assert seen[0].shape == (3, CHANNELS[-1], 4, 4)
        torch.testing.assert_close(network.features(ct), seen[0].mean((2, 3)))


@pytest.mark.parametrize("norm", NORMS)
def test_added_pairs_leave_the_averages_of_real_ones_alone(norm: str) -> None:
    """At a weight of 0 the candidate is its control in prediction too."""
    control, candidate = begun(norm=norm), begun(norm=norm)
    for seed in range(3):
        control.step(pairs(seed))
        candidate.step_added(pairs(seed), pairs(seed + 10), 0.0)
    ct = pairs(5)["ct"].numpy()
    np.testing.assert_array_equal(candidate.predict(ct), control.predict(ct))
    assert not np.array_equal(begun(norm=norm).predict(ct), control.predict(ct))
