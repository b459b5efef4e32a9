"""The image network `pix2pix`: mask -> CT.

Method: Isola et al. 2017 with the official settings: BatchNorm U-Net (`unet_128`; one level fewer
for 64 pixels), 3-layer PatchGAN on the (mask, CT) pair, vanilla GAN loss + `l1_weight` x L1, one D
step (losses halved) and one G step on the same fake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss

from harness.config.stages import pix2pix_levels
from harness.models.pix2pix import PatchDiscriminator, UnetGenerator
from harness.training.precision import Precision
from harness.work.train.gan import Adversaries


class Pix2pix(Adversaries):
    """Two networks and one update; a `harness.work.train.networks.ImageNetwork`."""

    def __init__(
        self, config: Mapping[str, Any], channels: int, edge: int, precision: Precision
    ) -> None:
        width = config["width"]
        super().__init__(
            config,
            precision,
            UnetGenerator(width, channels, dropout=config["dropout"], levels=pix2pix_levels(edge)),
            lambda: PatchDiscriminator(width=width, in_channels=channels + 1),
        )

    def step(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One D step and one G step on masks (N, C, F, F) and CT (N, 1, F, F) in [-1, 1]."""
        mask, real = self.precision.batch(batch["masks"]), self.precision.batch(batch["ct"])
        generator, discriminator = self.generator, self.networks["discriminator"]
        with self.precision.autocast():
            fake = generator(mask)
            on_fake = discriminator(torch.cat([mask, fake.detach().to(mask.dtype)], 1))
            on_real = discriminator(torch.cat([mask, real], 1))
        on_fake, on_real = on_fake.float(), on_real.float()
        d_loss = 0.5 * (
            binary_cross_entropy_with_logits(on_fake, torch.zeros_like(on_fake))
            + binary_cross_entropy_with_logits(on_real, torch.ones_like(on_real))
        )
        d_norm = self.update("discriminator", d_loss)
        discriminator.requires_grad_(False)
        with self.precision.autocast():
            judged = discriminator(torch.cat([mask, fake.to(mask.dtype)], 1)).float()
        g_loss = binary_cross_entropy_with_logits(judged, torch.ones_like(judged))
        l1 = l1_loss(fake.float(), real)
        g_norm = self.update("generator", g_loss + self.config["l1_weight"] * l1)
        discriminator.requires_grad_(True)
        return {
            "d_loss": d_loss,
            "g_loss": g_loss,
            "l1": l1,
            "d_real": on_real.sigmoid().mean(),
            "d_fake": on_fake.sigmoid().mean(),
            "d_gradient_norm": d_norm,
            "g_gradient_norm": g_norm,
        }

    def generate(self, masks: Tensor, source: torch.Generator) -> NDArray[np.float32]:
        """CT (N, 1, F, F) in [-1, 1] for masks (N, C, F, F) in [-1, 1].

        BatchNorm uses its running averages, or (`statistics: batch-of-one`) each image's own, which
        leaves the running averages alone. Dropout is off, but for `dropout_left_on`
        (`harness.config.legacy.StageTwoTest`).
        """
        of_one = self.config["statistics"] != "running"
        left_on = self.config.get("dropout_left_on", False)
        norms = _without_averages(self.generator) if of_one else nullcontext()
        chance = _drawn_from(source) if left_on else nullcontext()
        with norms, chance:
            return self.output(masks, 1 if of_one else 16, (nn.Dropout,) if left_on else ())


@contextmanager
def _drawn_from(source: torch.Generator) -> Iterator[None]:
    """Have what draws from the global generator follow `source` for a while."""
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**31, (), generator=source)))
        yield


@contextmanager
def _without_averages(network: nn.Module) -> Iterator[None]:
    """Take BatchNorm's running averages away for a while, so that it uses the batch's own."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    kept = [(norm.running_mean, norm.running_var) for norm in norms]
    for norm in norms:
        norm.running_mean, norm.running_var = None, None
    try:
        yield
    finally:
        for norm, (mean, variance) in zip(norms, kept, strict=True):
            norm.running_mean, norm.running_var = mean, variance
