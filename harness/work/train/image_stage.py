"""Job kinds `image-stage` and `image-decay`: train pix2pix, mask -> CT.

Method: Isola et al. 2017 with the official settings: BatchNorm U-Net of seven levels, 3-layer
PatchGAN on the (mask, CT) pair, vanilla GAN loss + `l1_weight` x L1, one D step (losses halved) and
one G step on the same fake; two thirds of the epochs at a constant rate, one third decaying.

Trainings of several lengths share the constant phase (`image-stage`). Each decay is a
job of its own (`image-decay`) that branches off it. The weights are those of one training from
scratch, which is also what a decay does where the state to branch off from was not kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss

from harness.base.rng import generator as numpy_generator
from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.models.pix2pix import PatchDiscriminator, UnetGenerator
from harness.training.pictures import grid, to_grey
from harness.training.precision import Precision
from harness.training.schedule import constant, pix2pix_decay
from harness.work.train.batches import EpochBatches
from harness.work.train.checkpoints import train_gan
from harness.work.train.fork import branch_off
from harness.work.train.gan import Adversaries
from harness.work.train.sample_monitor import SAMPLES, SampleMonitor

PICTURED = 8


def make_generator(config: Mapping[str, Any], channels: int) -> UnetGenerator:
    """The generator that an `image-stage` spec describes, weights not yet set."""
    return UnetGenerator(width=config["width"], in_channels=channels, dropout=config["dropout"])


class Pix2pixStage(Adversaries):
    """Networks, optimisers and one update of the image stage.

    Args:
        shown: masks and CT (n, C | 1, F, F) in [-1, 1]: the first few make the mask | truth |
            prediction grid, all of them are measured.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        channels: int,
        seed: int,
        precision: Precision,
        shown: tuple[Tensor, Tensor],
    ) -> None:
        self.config = config
        self.shown = shown
        generator = make_generator(config, channels)
        discriminator = PatchDiscriminator(width=config["width"], in_channels=channels + 1)
        monitor = SampleMonitor.beside(shown[1].numpy()) if len(shown[1]) > 1 else None
        super().__init__(generator, discriminator, config["optimiser"], seed, precision, monitor)

    def step(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One D step and one G step on masks (N, C, F, F) and CT (N, 1, F, F) in [-1, 1]."""
        mask, real = self.precision.batch(batch["masks"]), self.precision.batch(batch["ct"])
        generator, discriminator = self.networks["generator"], self.networks["discriminator"]
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

    def rate_factor(self, epoch: int, share: float) -> float:
        total = self.config.get("epochs")
        return constant(epoch) if total is None else pix2pix_decay(epoch, total)

    def samples(self) -> NDArray[np.float32]:
        return self._generated(self.shown[0])

    def _generated(self, masks: Tensor) -> NDArray[np.float32]:
        network, statistics = self.networks["generator"], self.config["statistics"]
        return generate_images(network, masks, statistics, self.precision.device)

    def pictures(self) -> dict[str, NDArray[np.uint8]]:
        masks, truth = (part[:PICTURED] for part in self.shown)
        if not len(masks):
            return {}
        generated = self._generated(masks)
        columns = (masks.amax(1, keepdim=True).numpy(), truth.numpy(), generated)
        tiles = np.stack(columns, axis=1).reshape(-1, *truth.shape[-2:])
        return {"mask-truth-prediction": grid(to_grey(tiles), columns=6)}


@torch.no_grad()
def generate_images(
    generator: nn.Module, masks: Tensor, statistics: str, device: str
) -> NDArray[np.float32]:
    """CT (N, 1, F, F) in [-1, 1] for masks (N, C, F, F) in [-1, 1]; dropout off.

    `statistics`: "running" uses BatchNorm's running averages; "batch-of-one" normalises each image
    by itself and leaves the running averages alone.
    """
    training = generator.training
    generator.eval()
    with _statistics(generator, statistics):
        parts = masks.split(1 if statistics == "batch-of-one" else 16)
        images = [generator(part.to(device)).float().cpu() for part in parts]
    generator.train(training)
    return torch.cat(images).numpy()


@contextmanager
def _statistics(network: nn.Module, statistics: str) -> Iterator[None]:
    """Take BatchNorm's running averages away for a while, so that it uses the batch's own."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    if statistics == "running":
        norms = []
    kept = [(norm.running_mean, norm.running_var) for norm in norms]
    for norm in norms:
        norm.running_mean, norm.running_var = None, None
    try:
        yield
    finally:
        for norm, (mean, variance) in zip(norms, kept, strict=True):
            norm.running_mean, norm.running_var = mean, variance


def conditioning(store: Store, rows: NDArray[np.intp]) -> Tensor:
    """Masks as Stage II sees them: (n, C, F, F) in [-1, 1], empty outside the mask crop."""
    return torch.from_numpy(store.padded_masks(rows).astype(np.float32)) * 2 - 1


def _shown(store: Store, seed: int) -> tuple[Tensor, Tensor]:
    rows = store.select(role="validation", selected=True, with_structure=True)
    drawn = numpy_generator(seed, "shown").permutation(rows)[:SAMPLES]
    chosen = np.concatenate([np.sort(drawn[:PICTURED]), np.sort(drawn[PICTURED:])])
    return conditioning(store, chosen), torch.from_numpy(store.ct[chosen].astype(np.float32))


def train_decay(context: Context) -> None:
    """Go on from the constant phase, if its state is there, and end with the decay."""
    steady = context.spec.inputs["steady"]
    branch_off(context.work.job(steady), steady.epoch or 0, context.folder)
    train_image_stage(context)
    if context.folder.result(context.spec.config["epochs"]) is not None:
        context.work.job(steady).branch(steady.epoch or 0).unlink(missing_ok=True)


def train_image_stage(context: Context) -> None:
    """Train until the requested epochs have checkpoints."""
    spec = context.spec
    config = spec.config
    store = Store.open(context.input("store") / "store")
    precision = Precision.of(spec.compute)
    stage = Pix2pixStage(
        config, len(store.channels), spec.seed, precision, _shown(store, spec.seed)
    )
    rows = store.select(role="train", selected=True)
    tensors = {
        "masks": conditioning(store, rows),
        "ct": torch.from_numpy(store.ct[rows].astype(np.float32)),
    }
    batches = EpochBatches(tensors, config["batch_size"], spec.seed)
    train_gan(context, stage, batches, precision.device)
