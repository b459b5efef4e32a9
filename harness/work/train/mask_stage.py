"""Job kind `mask-stage`: train a mask network on mask crops (or on CT crops)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.base.rng import generator as numpy_generator
from harness.base.rng import torch_generator
from harness.config.stages import MaskAugmentation
from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.training.augmentation import augment_masks
from harness.training.pictures import grid, to_grey
from harness.training.precision import Precision
from harness.work.train.batches import EpochBatches, epoch_rows
from harness.work.train.checkpoints import train_gan
from harness.work.train.gan import GanStage
from harness.work.train.networks import mask_network
from harness.work.train.sample_monitor import SAMPLES, SampleMonitor

GRID = 64


def training_images(store: Store, rows: NDArray[np.intp], learns: str) -> Tensor:
    """Crops (n, C, 64, 64) in [-1, 1]: masks, or the CT about the same centre."""
    if learns == "ct":
        return torch.from_numpy(store.ct_crops(rows).astype(np.float32))
    return torch.from_numpy(store.mask_crops(rows).astype(np.float32)) * 2 - 1


def prepare(
    store: Store, config: dict[str, Any], seed: int, precision: Precision
) -> tuple[GanStage, EpochBatches]:
    """A training on a store, ready to begin, and its batches."""
    images = training_images(store, epoch_rows(store, config, seed), config["learns"])
    network = mask_network(config, store.meta, precision)
    network.begin(seed)

    def sample(count: int) -> NDArray[np.float32]:
        return network.sample(count, torch_generator(seed, "fixed-noise"))

    compared = numpy_generator(seed, "watch").permutation(len(images))[:SAMPLES]
    stage = GanStage(
        network,
        lambda: sample(SAMPLES),
        lambda: {"samples": grid(to_grey(sample(GRID).max(axis=1)), columns=8)},
        monitor=SampleMonitor.beside(images[np.sort(compared)].numpy()),
    )
    augmentation = MaskAugmentation.model_validate(config["augmentation"])
    batches = EpochBatches(
        {"images": images},
        config["batch_size"],
        seed,
        lambda batch, source: {
            "images": augment_masks(
                batch["images"], augmentation, source, config["learns"] == "mask"
            )
        },
    )
    return stage, batches


def train_mask_stage(context: Context) -> None:
    """Train until the requested epochs have checkpoints."""
    train_gan(context, prepare)
