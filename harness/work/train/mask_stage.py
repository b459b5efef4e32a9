"""Job kind `mask-stage`: train a DCGAN on mask crops (or on CT crops).

Method: Radford et al. 2015, with the settings of the thesis: each update is one discriminator step
on real and fake images and one generator step on fresh noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from harness.base.rng import generator as numpy_generator
from harness.base.rng import torch_generator
from harness.config.stages import MaskAugmentation
from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.models.dcgan import Discriminator, Generator
from harness.training.augmentation import augment_masks
from harness.training.pictures import grid, to_grey
from harness.training.precision import Precision
from harness.work.train.batches import EpochBatches
from harness.work.train.checkpoints import train_gan
from harness.work.train.gan import Adversaries
from harness.work.train.sample_monitor import SAMPLES, SampleMonitor

GRID = 64


def draw_noise(kind: str, count: int, latent: int, generator: torch.Generator | None) -> Tensor:
    """Noise vectors (count, latent, 1, 1): standard normal, or uniform on [-1, 1]."""
    shape = (count, latent, 1, 1)
    if kind == "normal":
        return torch.randn(shape, generator=generator)
    return torch.rand(shape, generator=generator) * 2 - 1


def make_generator(config: Mapping[str, Any], channels: int) -> Generator:
    """The generator that a `mask-stage` spec describes, weights not yet set."""
    return Generator(
        width=config["width"],
        latent=config["latent"],
        channels=1 if config["learns"] == "ct" else channels,
    )


class DcganStage(Adversaries):
    """Networks, optimisers and one update of the mask stage."""

    def __init__(
        self,
        config: Mapping[str, Any],
        channels: int,
        seed: int,
        precision: Precision,
        monitor: SampleMonitor | None = None,
    ) -> None:
        self.config = config
        channels = 1 if config["learns"] == "ct" else channels
        generator = make_generator(config, channels)
        discriminator = Discriminator(width=config["width"], channels=channels)
        super().__init__(generator, discriminator, config["optimiser"], seed, precision, monitor)
        self._fixed = draw_noise(
            config["noise"], GRID, config["latent"], torch_generator(seed, "fixed-noise")
        )

    def step(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One D step and one G step on (N, C, 64, 64) images in [-1, 1]."""
        real = self.precision.batch(batch["images"])
        generator, discriminator = self.networks["generator"], self.networks["discriminator"]
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
        noise = draw_noise(self.config["noise"], count, self.config["latent"], None)
        return self.precision.batch(noise)

    def rate_factor(self, epoch: int, share: float) -> float:
        return 1.0

    def samples(self) -> NDArray[np.float32]:
        fixed = self._fixed[:SAMPLES]
        return sample_masks(self.networks["generator"], fixed, self.precision.device)

    def pictures(self) -> dict[str, NDArray[np.uint8]]:
        images = sample_masks(self.networks["generator"], self._fixed, self.precision.device)
        return {"samples": grid(to_grey(images.max(axis=1)), columns=8)}


@torch.no_grad()
def sample_masks(generator: nn.Module, noise: Tensor, device: str) -> NDArray[np.float32]:
    """Images (N, C, 64, 64) in [-1, 1] for noise (N, latent, 1, 1), with running statistics."""
    training = generator.training
    generator.eval()
    images = [generator(part.to(device)).float().cpu() for part in noise.split(64)]
    generator.train(training)
    return torch.cat(images).numpy()


def training_images(store: Store, learns: str) -> Tensor:
    """Training crops (n, C, 64, 64) in [-1, 1]: masks, or the CT about the same centre."""
    rows = store.select(role="train", selected=True)
    if learns == "ct":
        return torch.from_numpy(store.ct_crops(rows).astype(np.float32))
    return torch.from_numpy(store.mask_crops(rows).astype(np.float32)) * 2 - 1


def train_mask_stage(context: Context) -> None:
    """Train until the requested epochs have checkpoints."""
    spec = context.spec
    config = spec.config
    store = Store.open(context.input("store") / "store")
    precision = Precision.of(spec.compute)
    images = training_images(store, config["learns"])
    compared = numpy_generator(spec.seed, "watch").permutation(len(images))[:SAMPLES]
    stage = DcganStage(
        config,
        len(store.channels),
        spec.seed,
        precision,
        SampleMonitor.beside(images[np.sort(compared)].numpy()),
    )
    augmentation = MaskAugmentation.model_validate(config["augmentation"])
    batches = EpochBatches(
        {"images": images},
        config["batch_size"],
        spec.seed,
        lambda batch, source: {
            "images": augment_masks(
                batch["images"], augmentation, source, config["learns"] == "mask"
            )
        },
    )
    train_gan(context, stage, batches, precision.device)
