"""A mask network, an image network and a segmenter that are no GAN and no U-Net."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.base.rng import torch_generator

COARSE = 16


class _Network:
    """What the three share: parts with seeded weights, one Adam, one loss."""

    rate = 1e-2

    def __init__(self, config: Mapping[str, Any], channels: int, edge: int, precision: Any) -> None:
        self.config, self.channels, self.edge, self.precision = config, channels, edge, precision
        self.networks: dict[str, nn.Module] = {
            name: precision.module(part) for name, part in self.parts().items()
        }
        self.optimisers: dict[str, torch.optim.Optimizer] = {}

    def parts(self) -> dict[str, nn.Module]:
        raise NotImplementedError

    @torch.no_grad()
    def begin(self, seed: int) -> None:
        source = torch_generator(seed, "weights")
        for part in self.networks.values():
            for weight in part.parameters():
                drawn = torch.randn(weight.shape, generator=source) * 0.1
                weight.copy_(drawn.to(weight.device))
        every = [p for part in self.networks.values() for p in part.parameters()]
        self.optimisers["adam"] = self.precision.adam(every, self.rate, (0.9, 0.999))

    def down(self, loss: Tensor) -> None:
        optimiser = self.optimisers["adam"]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def weights(self) -> dict[str, Tensor]:
        return self.networks["decoder"].state_dict()

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        self.networks["decoder"].load_state_dict(weights)


class Blobs(_Network):
    def parts(self) -> dict[str, nn.Module]:
        size, latent = self.channels * COARSE**2, self.config["latent"]
        return {"decoder": nn.Linear(latent, size), "encoder": nn.Linear(size, 2 * latent)}

    def _decoded(self, code: Tensor) -> Tensor:
        coarse = self.networks["decoder"](code).view(-1, self.channels, COARSE, COARSE)
        return torch.tanh(F.interpolate(coarse, size=(self.edge, self.edge), mode="nearest"))

    def step(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        real = self.precision.batch(batch["images"])
        coarse = F.avg_pool2d(real, self.edge // COARSE).flatten(1)
        mean, log_sd = self.networks["encoder"](coarse).chunk(2, dim=1)
        code = mean + log_sd.exp() * torch.randn(mean.shape).to(mean.device)
        error = F.mse_loss(self._decoded(code), real)
        kl = (mean**2 + (2 * log_sd).exp() - 1 - 2 * log_sd).mean() / 2
        loss = error + self.config["kl_weight"] * kl
        self.down(loss)
        return {"loss": loss, "kl": kl}

    @torch.no_grad()
    def sample(self, count: int, source: torch.Generator) -> Any:
        code = torch.randn((count, self.config["latent"]), generator=source)
        return self._decoded(code.to(self.precision.device)).cpu().numpy()


class Painter(_Network):
    def parts(self) -> dict[str, nn.Module]:
        maps = self.config["maps"]
        layers = (
            *(nn.Conv2d(self.channels + 1, maps, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(maps, maps, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(maps, 1, 1), nn.Tanh()),
        )
        return {"decoder": nn.Sequential(*layers)}

    def _painted(self, masks: Tensor, source: torch.Generator | None) -> Tensor:
        shape = (len(masks), 1, *masks.shape[2:])
        noise = torch.randn(shape, generator=source).to(masks.device)
        painted: Tensor = self.networks["decoder"](torch.cat([masks, noise], 1))
        return painted

    def step(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        masks, ct = self.precision.batch(batch["masks"]), self.precision.batch(batch["ct"])
        loss = F.l1_loss(self._painted(masks, None), ct)
        self.down(loss)
        return {"l1": loss}

    @torch.no_grad()
    def generate(self, masks: Tensor, source: torch.Generator) -> Any:
        parts = [self._painted(self.precision.batch(part), source) for part in masks.split(16)]
        return torch.cat([part.cpu() for part in parts]).numpy()


class Pixels(_Network):
    rate = 0.1

    def parts(self) -> dict[str, nn.Module]:
        reach = self.config["reach_px"]
        return {"decoder": nn.Conv2d(1, self.channels, 2 * reach + 1, padding=reach)}

    def step(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        ct, masks = self.precision.batch(batch["ct"]), self.precision.batch(batch["masks"])
        loss = F.binary_cross_entropy_with_logits(self.networks["decoder"](ct), masks)
        self.down(loss)
        return {"loss": loss}

    def rate_factor(self, share: float) -> float:
        return 1 - share / 2

    @torch.no_grad()
    def predict(self, ct: Any) -> Any:
        given = torch.from_numpy(np.asarray(ct, np.float32))
        parts = [self.networks["decoder"](self.precision.batch(part)) for part in given.split(32)]
        return torch.cat([part.sigmoid().cpu() for part in parts]).numpy()

    def features(self, ct: Tensor) -> Tensor:
        logits = self.networks["decoder"](ct)
        return torch.cat([logits.mean(dim=(2, 3)), logits.std(dim=(2, 3))], 1)
