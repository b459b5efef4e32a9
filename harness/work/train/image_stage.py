"""Job kinds `image-stage` and `image-decay`: train an image network, mask -> CT.

Two thirds of the epochs have a constant rate, one third decays. Trainings of several lengths share
the constant phase (`image-stage`). Each decay is a job of its own (`image-decay`) that branches off
it. The weights are those of one training from scratch, which is also what a decay does where the
state to branch off from was not kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.base.owned import look_before
from harness.base.rng import generator as numpy_generator
from harness.base.rng import torch_generator
from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.training.pictures import grid, to_grey
from harness.training.precision import Precision
from harness.training.schedule import pix2pix_decay
from harness.work.train.batches import EpochBatches, epoch_rows, learnt_rows
from harness.work.train.checkpoints import train_gan
from harness.work.train.fork import branch_off
from harness.work.train.gan import GanStage
from harness.work.train.networks import image_network
from harness.work.train.sample_monitor import SAMPLES, SampleMonitor

PICTURED = 4
"""Pairs of validation and of training patients on a grid."""


def conditioning(store: Store, rows: NDArray[np.intp]) -> Tensor:
    """Masks as Stage II sees them: (n, C, F, F) in [-1, 1], empty outside the mask crop."""
    return torch.from_numpy(store.padded_masks(rows).astype(np.float32)) * 2 - 1


Pairs = tuple[Tensor, NDArray[np.float32]]
"""Masks as Stage II sees them, and the CT of each."""


def _drawn(rows: NDArray[np.intp], seed: int, most: int) -> NDArray[np.intp]:
    """Some of the rows, in an order that depends on the seed alone."""
    return numpy_generator(seed, "shown").permutation(rows)[:most]


def _pairs(store: Store, rows: NDArray[np.intp]) -> Pairs:
    return conditioning(store, rows), store.ct[rows].astype(np.float32)


def _pictured(store: Store, unseen: NDArray[np.intp], seen: NDArray[np.intp], seed: int) -> Pairs:
    """What is drawn: pairs that were not seen in training, each followed by one that was."""
    sides = [np.sort(_drawn(rows, seed, PICTURED)) for rows in (unseen, seen)]
    count = min(map(len, sides))
    return _pairs(store, np.stack([side[:count] for side in sides], axis=1).ravel())


def _pictures(
    pairs: Pairs, generate: Callable[[Tensor], NDArray[np.float32]]
) -> dict[str, NDArray[np.uint8]]:
    masks, truth = pairs
    if not len(masks):
        return {}
    columns = (masks.amax(1, keepdim=True).numpy(), truth, generate(masks))
    tiles = np.stack(columns, axis=1).reshape(-1, *truth.shape[-2:])
    return {"mask-truth-prediction": grid(to_grey(tiles), columns=6)}


def prepare(
    store: Store, config: dict[str, Any], seed: int, precision: Precision
) -> tuple[GanStage, EpochBatches]:
    """A training on a store, ready to begin, and its batches."""
    network = image_network(config, store.meta, precision)
    network.begin(seed)
    unseen = store.select(role="validation", selected=True, with_structure=True)
    pictured = _pictured(store, unseen, learnt_rows(store, config, seed, True), seed)
    masks, truth = _pairs(store, _drawn(unseen, seed, SAMPLES))

    def generate(masks: Tensor) -> NDArray[np.float32]:
        return network.generate(masks, torch_generator(seed, "fixed-noise"))

    total = config.get("epochs")
    stage = GanStage(
        network,
        lambda: generate(masks),
        lambda: _pictures(pictured, generate),
        (lambda epoch: 1.0) if total is None else partial(pix2pix_decay, total=total),
        SampleMonitor.beside(truth) if len(truth) > 1 else None,
    )
    rows = epoch_rows(store, config, seed)
    tensors = {
        "masks": conditioning(store, rows),
        "ct": torch.from_numpy(store.ct[rows].astype(np.float32)),
    }
    return stage, EpochBatches(tensors, config["batch_size"], seed)


def train_decay(context: Context) -> None:
    """Go on from the constant phase, if its state is there, and end with the decay."""
    steady = context.spec.inputs["steady"]
    branch_off(context.work.job(steady), steady.epoch or 0, context.folder)
    train_image_stage(context)
    if context.folder.result(context.spec.config["epochs"]) is not None:
        look_before(context.folder.path)
        context.work.job(steady).branch(steady.epoch or 0).unlink(missing_ok=True)


def train_image_stage(context: Context) -> None:
    """Train until the requested epochs have checkpoints."""
    train_gan(context, prepare)
