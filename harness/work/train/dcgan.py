"""The mask networks `dcgan` and `dcgan-smooth`: noise -> 64 x 64 images.

Method: Radford et al. 2015, with the settings of the thesis: each update is one discriminator step
on real and fake images and one generator step on fresh noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from harness.models.dcgan import Discriminator, Generator
from harness.training.precision import Precision
from harness.work.train.gan import Adversaries


class Dcgan(Adversaries):
    """Two networks and one update; a `harness.work.train.networks.MaskNetwork`."""

    def __init__(
        self, config: Mapping[str, Any], channels: int, edge: int, precision: Precision
    ) -> None:
        width = config["width"]
        super().__init__(
            config,
            precision,
            Generator(width, config["latent"], channels, config.get("upsampling") == "resize"),
            lambda: Discriminator(width, channels, config.get("spectral_norm", False)),
        )

    def step(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One D step and one G step on (N, C, 64, 64) images in [-1, 1]."""
        real = self.precision.batch(batch["images"])
        generator, discriminator = self.generator, self.networks["discriminator"]
        with self.precision.autocast():
            with torch.no_grad():
                fake = generator(self._noise(real.shape[0]))
            on_real, on_fake = discriminator(real), discriminator(fake)
        on_real, on_fake = on_real.float(), on_fake.float()
        d_loss = binary_cross_entropy_with_logits(
            on_real, torch.full_like(on_real, self.config["real_label"])
        ) + binary_cross_entropy_with_logits(on_fake, torch.zeros_like(on_fake))
        d_norm = self.update("discriminator", d_loss)
        with self.precision.autocast():
            judged = discriminator(generator(self._noise(real.shape[0]))).float()
        g_loss = binary_cross_entropy_with_logits(judged, torch.ones_like(judged))
        g_norm = self.update("generator", g_loss)
        return {
            "d_loss": d_loss,
            "g_loss": g_loss,
            "d_real": on_real.sigmoid().mean(),
            "d_fake": on_fake.sigmoid().mean(),
            "d_gradient_norm": d_norm,
            "g_gradient_norm": g_norm,
        }

    def _noise(self, count: int) -> Tensor:
        return self.precision.batch(self.draw_noise(count, None))

    def draw_noise(self, count: int, source: torch.Generator | None) -> Tensor:
        """Noise vectors (count, latent, 1, 1): standard normal, or uniform on [-1, 1]."""
        shape = (count, self.config["latent"], 1, 1)
        if self.config["noise"] == "normal":
            return torch.randn(shape, generator=source)
        return torch.rand(shape, generator=source) * 2 - 1

    def sample(self, count: int, source: torch.Generator) -> NDArray[np.float32]:
        """Images (count, C, 64, 64) in [-1, 1], with BatchNorm's running statistics."""
        return self.output(self.draw_noise(count, source), 64)
