"""A GAN stage in the loop, whatever its network; and what two networks that compete share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.base.rng import torch_generator
from harness.models.dcgan import init_weights
from harness.training.precision import Precision
from harness.training.schedule import watched
from harness.work.train.networks import TrainedNetwork
from harness.work.train.sample_monitor import SampleMonitor


class GanStage:
    """Trains a network that was begun; its samples are measured and drawn on the way.

    Args:
        samples: images (N, C, H, W) in [-1, 1] for inputs that stay the same throughout.
        pictures: sample grids by key.
        factor: of the learning rate, at a 1-based epoch.
        monitor: measures the samples while training; None for none.
    """

    def __init__(
        self,
        network: TrainedNetwork,
        samples: Callable[[], NDArray[np.float32]],
        pictures: Callable[[], dict[str, NDArray[np.uint8]]],
        factor: Callable[[int], float] = lambda epoch: 1.0,
        monitor: SampleMonitor | None = None,
    ) -> None:
        self.networks, self.optimisers = network.networks, network.optimisers
        self.step, self.weights = network.step, network.weights
        self.pictures = pictures
        self._samples, self._factor, self._monitor = samples, factor, monitor

    def rate_factor(self, epoch: int, share: float) -> float:
        return self._factor(epoch)

    def epoch_end(self, epoch: int) -> dict[str, float]:
        """At watched epochs, how varied the samples are and where they stand."""
        if self._monitor is None or not watched(epoch):
            return {}
        return self._monitor.measure(self._samples())


class Adversaries:
    """A generator and a discriminator with the published initial weights, and an Adam for each.

    Args:
        config: `optimiser` has `learning_rate`, `beta1` and `beta2` of both.
        generator: its weights are what a checkpoint keeps.
        discriminator: makes the other one, once a training begins.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        precision: Precision,
        generator: nn.Module,
        discriminator: Callable[[], nn.Module],
    ) -> None:
        self.config, self.precision = config, precision
        self.generator = generator.to(precision.device)
        self.networks: dict[str, nn.Module] = {}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self._discriminator = discriminator

    def begin(self, seed: int) -> None:
        """Draw the initial weights, the generator's first."""
        source, optimiser = torch_generator(seed, "weights"), self.config["optimiser"]
        parts = {"generator": self.generator.cpu(), "discriminator": self._discriminator()}
        for name, part in parts.items():
            init_weights(part, source)
            self.networks[name] = self.precision.module(part)
            self.optimisers[name] = self.precision.adam(
                part.parameters(),
                optimiser["learning_rate"],
                (optimiser["beta1"], optimiser["beta2"]),
            )

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
        """The generator's."""
        return self.generator.state_dict()

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        self.generator.load_state_dict(weights)

    @torch.no_grad()
    def output(
        self, inputs: Tensor, size: int, trained: tuple[type[nn.Module], ...] = ()
    ) -> NDArray[np.float32]:
        """What the generator makes of inputs, `size` at a time, in evaluation mode.

        Args:
            trained: layers that stay in training mode.
        """
        training = self.generator.training
        self.generator.eval()
        for layer in self.generator.modules():
            if isinstance(layer, trained):
                layer.train()
        parts = [
            self.generator(part.to(self.precision.device)).float().cpu()
            for part in inputs.split(size)
        ]
        self.generator.train(training)
        return torch.cat(parts).numpy()
