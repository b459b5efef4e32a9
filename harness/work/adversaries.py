"""A generator and a discriminator with their optimisers: what both GAN stages train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.base.streams import torch_generator
from harness.models.dcgan import init_weights
from harness.training.precision import Precision


class Adversaries:
    """Two networks with the published initial weights, and an Adam for each.

    Args:
        optimiser: `learning_rate`, `beta1`, `beta2` of both.
        seed: of the initial weights, the generator's drawn first.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        optimiser: Mapping[str, Any],
        seed: int,
        precision: Precision,
    ) -> None:
        self.precision = precision
        source = torch_generator(seed, "weights")
        init_weights(generator, source)
        init_weights(discriminator, source)
        self.networks: dict[str, nn.Module] = {
            "generator": precision.module(generator),
            "discriminator": precision.module(discriminator),
        }
        betas = optimiser["beta1"], optimiser["beta2"]
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            name: precision.adam(network.parameters(), optimiser["learning_rate"], betas)
            for name, network in self.networks.items()
        }

    def update(self, name: str, loss: Tensor) -> None:
        """One step of the network called `name` down its loss."""
        optimiser = self.optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def weights(self) -> dict[str, Tensor]:
        """What a readout keeps: the generator's."""
        return self.networks["generator"].state_dict()

    def epoch_end(self, epoch: int) -> dict[str, float]:
        """Nothing beyond the losses."""
        return {}
