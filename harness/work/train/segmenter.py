"""Job kind `segmenter`: train the downstream segmenter of one arm.

Initial weights come from the replicate's seed alone, so they are the same in every arm; what arms
share and differ in is in `mixed_batches`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harness.base.errors import DataError
from harness.data.pairs.framing import channel_of
from harness.data.pairs.neighbours import Stacks
from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.jobs.journal import series
from harness.training.precision import Precision
from harness.work.train.checkpoints import train
from harness.work.train.mixed_batches import SlotBatches, filled, real_pairs, stacks_of
from harness.work.train.networks import Segmenter, segmenter


class SegmenterStage:
    """Trains a segmenter that was begun; knows how far its updates have come."""

    def __init__(
        self, network: Segmenter, config: Mapping[str, Any], validation: Store | None
    ) -> None:
        self.network, self.config = network, config
        self.networks, self.optimisers = network.networks, network.optimisers
        self.weights = network.weights
        self._validation = validation

    def step(self, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        if "added_ct" not in batch:
            return self.network.step(batch)
        own, added = ({n: batch[f"{kind}{n}"] for n in ("ct", "masks")} for kind in ("", "added_"))
        return self.network.step_added(own, added, self.config["synthetic_weight"])

    def rate_factor(self, epoch: int, share: float) -> float:
        updates, per_epoch = self.config["updates"], self.config["updates_per_epoch"]
        before = (epoch - 1) * per_epoch
        done = before + share * min(per_epoch, updates - before)
        return self.network.rate_factor(done / updates)

    def pictures(self) -> dict[str, NDArray[np.uint8]]:
        return {}

    def epoch_end(self, epoch: int) -> dict[str, float]:
        """Validation Dice: per patient and structure over its pairs, mean over both."""
        if self._validation is None:
            return {}
        return {"validation/dice": validation_dice(self.network, self._validation)}


def validation_dice(network: Segmenter, store: Store) -> float:
    """Mean over validation patients and structures of Dice over all their pairs, in the frame.

    NaN without validation pairs that hold the structure.
    """
    rows = store.select(role="validation")
    if not len(rows):
        return math.nan
    predicted = network.predict(Stacks.of(store, rows, network.reach).all()) > 0.5
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
    network = segmenter(config, store.meta, precision)
    network.begin(spec.seed)
    stage = SegmenterStage(network, config, store)
    stacks = stacks_of(store, config, spec.seed)
    batches = SlotBatches(real, extra, config, spec.seed, stacks)
    last = math.ceil(config["updates"] / config["updates_per_epoch"])
    train(context, stage, batches, precision.device, _finish, last_epoch=last)


def _finish(context: Context, epoch: int, length: int) -> None:
    _, dice = series(context.folder.journal, "validation/dice", until=epoch)
    if series(context.folder.journal, "train/non_finite_updates", until=epoch)[0]:
        raise DataError(
            f"the loss of segmentation.network '{context.spec.config['network']}' must be finite, "
            "but got updates whose loss is not; lower its learning rate"
        )
    last = dice[-1] if dice and math.isfinite(dice[-1]) else None
    weights = context.folder.at(epoch) / "weights.safetensors"
    context.finish([weights], {"epoch": epoch, "validation_dice": last}, epoch, length)
