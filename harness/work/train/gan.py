"""A generator and a discriminator with their optimisers: what both GAN stages train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.base.rng import torch_generator
from harness.models.dcgan import init_weights
from harness.training.precision import Precision
from harness.training.schedule import watched
from harness.work.train.sample_monitor import SampleMonitor


class Adversaries:
    """Two networks with the published initial weights, and an Adam for each.

    Args:
        optimiser: `learning_rate`, `beta1`, `beta2` of both.
        seed: of the initial weights, the generator's drawn first.
        monitor: measures the samples while training; None for none.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        optimiser: Mapping[str, Any],
        seed: int,
        precision: Precision,
        monitor: SampleMonitor | None = None,
    ) -> None:
        self.precision = precision
        self.monitor = monitor
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

    def update(self, name: str, loss: Tensor) -> Tensor:
        """One step of the network called `name` down its loss; returns the gradient's norm.

        A gradient that is not finite is stepped with, never set to zero: the norm tells the loop.
        """
        optimiser = self.optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        gradients = [p.grad for p in self.networks[name].parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        optimiser.step()
        return norm

    def weights(self) -> dict[str, Tensor]:
        """What a checkpoint keeps: the generator's."""
        return self.networks["generator"].state_dict()

    def samples(self) -> NDArray[np.float32]:
        """Images (N, C, H, W) in [-1, 1] for inputs that stay the same throughout."""
        raise NotImplementedError

    def epoch_end(self, epoch: int) -> dict[str, float]:
        """At watched epochs, how varied the samples are and where they stand."""
        if self.monitor is None or not watched(epoch):
            return {}
        return self.monitor.measure(self.samples())
