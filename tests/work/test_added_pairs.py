"""Pairs on top of the same real ones: what the candidate shares with its empty control."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from factories.arms import arm_config
from factories.tiny import COMPUTE, ellipses
from torch import Tensor

from harness.training.precision import Precision
from harness.work.train.mixed_batches import SlotBatches
from harness.work.train.segmenter import SegmenterStage
from harness.work.train.unet import Unet

CONTROL, CANDIDATE = "traditional+nothing", "traditional+gan:added"
EDGE = 32


def drawn(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Pairs with an ellipse and noise."""
    masks = torch.from_numpy(ellipses(count, EDGE, seed))
    noise = torch.randn(masks.shape, generator=torch.Generator().manual_seed(seed))
    return (masks - 0.5 + 0.2 * noise).clamp(-1, 1), masks


def batches(arm: str, **settings: Any) -> SlotBatches:
    made = drawn(7, 1)
    extra = made if arm == CANDIDATE else (made[0][:0], made[1][:0])
    return SlotBatches(drawn(11, 0), extra, arm_config(arm, **settings), 5)


def gradients(arm: str, updates: int = 1, **settings: Any) -> list[Tensor]:
    """After so many updates of a training from the same start."""
    config = arm_config(arm, **settings)
    network = Unet(config, 1, EDGE, Precision.of(COMPUTE))
    network.begin(3)
    stage, seen = SegmenterStage(network, config, None), batches(arm, **settings)
    for update in range(updates):
        stage.step(seen.batch(1, update))
    return [p.grad for p in network.networks["unet"].parameters() if p.grad is not None]


@pytest.mark.parametrize(("epoch", "index"), [(1, 0), (1, 4), (2, 3)])
@pytest.mark.parametrize("share", [0.25, 0.5])
def test_real_places_hold_the_same_pixels_bit_by_bit(share: float, epoch: int, index: int) -> None:
    """Those of the arm that mixes them too: the same draws, the same augmentation."""
    control, candidate, mixed = (
        SlotBatches(drawn(11, 0), drawn(7, 1), arm_config(arm, synthetic_fraction=share), 5).batch(
            epoch, index
        )
        if arm != CONTROL
        else batches(CONTROL, synthetic_fraction=share).batch(epoch, index)
        for arm in (CONTROL, CANDIDATE, "traditional+gan")
    )
    assert set(control) == {"ct", "masks"}
    for name in ("ct", "masks"):
        assert len(control[name]) == 8 - 8 * share
        assert torch.equal(candidate[name], control[name])
        apart = torch.cat([candidate[name], candidate[f"added_{name}"]])
        assert torch.equal(apart, mixed[name])


@pytest.mark.parametrize("updates", [1, 3])
def test_without_weight_the_candidate_is_its_control(updates: int) -> None:
    control = gradients(CONTROL, updates)
    weightless = gradients(CANDIDATE, updates, synthetic_weight=0.0)
    for one, other in zip(control, weightless, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-8)
    weighed = gradients(CANDIDATE, updates, synthetic_weight=1.0)
    assert any(
        not torch.allclose(one, other, rtol=1e-2)
        for one, other in zip(control, weighed, strict=True)
    )


def test_a_mixed_batch_is_another_loss_of_the_real_places() -> None:
    """Soft Dice joins the pairs of a batch, so what is mixed in changes the real places' loss."""
    added, mixed = gradients(CANDIDATE), gradients("traditional+gan")
    assert any(not torch.allclose(a, b, rtol=1e-2) for a, b in zip(added, mixed, strict=True))
