"""Job kind `segmenter`: train the downstream U-Net of one arm.

Initial weights come from the replicate's seed alone, so they are the same in every arm; what arms
share and differ in is in `mixed_batches`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from monai.losses import DiceLoss
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from harness.base.errors import DataError
from harness.base.rng import seed_of
from harness.data.pairs.framing import channel_of
from harness.data.pairs.store import Store
from harness.jobs.checkpoint import load_weights
from harness.jobs.context import Context
from harness.models.unet import make_unet
from harness.training.precision import Precision
from harness.training.schedule import cosine
from harness.work.train.checkpoints import train
from harness.work.train.mixed_batches import SlotBatches, filled, real_pairs


class SegmenterStage:
    """U-Net, Adam with a cosine to zero, Dice + binary cross-entropy of each channel."""

    def __init__(
        self,
        config: Mapping[str, Any],
        channels: int,
        seed: int,
        precision: Precision,
        validation: Store | None,
    ) -> None:
        self.config = config
        self.precision = precision
        size = tuple(config["channels"]), config["residual_units"]
        network = make_unet(*size, 1, channels, seed_of(seed, "weights"))
        self.networks: dict[str, nn.Module] = {"unet": precision.module(network)}
        self.optimisers = {
            "unet": precision.adam(network.parameters(), config["learning_rate"], (0.9, 0.999))
        }
        self._dice = DiceLoss(sigmoid=True, batch=True)
        self._validation = validation

    def step(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        ct, masks = self.precision.batch(batch["ct"]), self.precision.batch(batch["masks"])
        with self.precision.autocast():
            logits = self.networks["unet"](ct)
        logits = logits.float()
        # Not MONAI's DiceCELoss: with several channels its cross-entropy is a softmax over them.
        loss = self._dice(logits, masks) + binary_cross_entropy_with_logits(logits, masks)
        optimiser = self.optimisers["unet"]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return {"loss": loss}

    def rate_factor(self, epoch: int, share: float) -> float:
        updates, per_epoch = self.config["updates"], self.config["updates_per_epoch"]
        before = (epoch - 1) * per_epoch
        return cosine((before + share * min(per_epoch, updates - before)) / updates)

    def weights(self) -> dict[str, Tensor]:
        return self.networks["unet"].state_dict()

    def pictures(self) -> dict[str, NDArray[np.uint8]]:
        return {}

    def epoch_end(self, epoch: int) -> dict[str, float]:
        """Validation Dice: per patient and structure over its pairs, mean over both."""
        if self._validation is None:
            return {}
        value = validation_dice(self.networks["unet"], self._validation, self.precision)
        return {"validation/dice": value}


def load_segmenter(context: Context, name: str, channels: int, precision: Precision) -> nn.Module:
    """The trained network of the job's input `name`, for a store of so many mask channels."""
    config = context.work.job(context.spec.inputs[name]).spec().config
    size = tuple(config["channels"]), config["residual_units"]
    network = make_unet(*size, 1, channels, seed_of(0))
    network.load_state_dict(load_weights(context.input(name) / "weights.safetensors"))
    return precision.module(network)


@torch.no_grad()
def predict(
    network: nn.Module, ct: NDArray[np.floating], precision: Precision
) -> NDArray[np.float32]:
    """Probabilities (N, C, F, F) for CT (N, 1, F, F) in [-1, 1]."""
    training = network.training
    network.eval()
    parts = []
    for part in torch.from_numpy(np.asarray(ct, np.float32)).split(32):
        with precision.autocast():
            logits = network(precision.batch(part))
        parts.append(logits.float().sigmoid().cpu())
    network.train(training)
    return torch.cat(parts).numpy()


def validation_dice(network: nn.Module, store: Store, precision: Precision) -> float:
    """Mean over validation patients and structures of Dice over all their pairs, in the frame.

    NaN without validation pairs that hold the structure.
    """
    rows = store.select(role="validation")
    if not len(rows):
        return math.nan
    predicted = predict(network, store.ct[rows], precision) > 0.5
    truth = np.asarray(store.masks[rows]) > 0
    groups: dict[tuple[str, str], list[int]] = {}
    for index, row in enumerate(rows):
        entry = store.rows[row]
        groups.setdefault((entry.patient, entry.structure), []).append(index)
    dice = []
    for (_, structure), indices in groups.items():
        channel = store.channels.index(channel_of(structure, store.meta["mirror"])[0])
        a, b = predicted[indices, channel], truth[indices, channel]
        if b.any():
            dice.append(2.0 * float((a & b).sum()) / float(a.sum() + b.sum()))
    return float(np.mean(dice)) if dice else math.nan


def train_segmenter(context: Context) -> None:
    """Train one arm's segmenter for its whole schedule."""
    spec = context.spec
    config = spec.config
    store = Store.open(context.input("store") / "store")
    real = real_pairs(store, config, spec.seed)
    if not len(real[0]):
        raise DataError("a segmenter needs training pairs, but the store has none")
    extra = filled(config["fill"]["extra"], context, store)
    precision = Precision.of(spec.compute)
    stage = SegmenterStage(config, len(store.channels), spec.seed, precision, store)
    batches = SlotBatches(real, extra, config, spec.seed)
    last = math.ceil(config["updates"] / config["updates_per_epoch"])
    train(context, stage, batches, precision.device, _finish, last_epoch=last)


def _finish(context: Context, epoch: int, length: int) -> None:
    from harness.jobs.journal import series

    _, dice = series(context.folder.journal, "validation/dice", until=epoch)
    last = dice[-1] if dice and math.isfinite(dice[-1]) else None
    weights = context.folder.at(epoch) / "weights.safetensors"
    context.finish([weights], {"epoch": epoch, "validation_dice": last}, epoch, length)
