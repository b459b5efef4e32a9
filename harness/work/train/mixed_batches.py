"""What a segmenter's batches hold: real slots and extra slots.

Real slots draw from every slice of the placed range of training patients; they, their order and
their augmentation draws come from streams of the replicate's seed alone, so they are the same in
every arm. The arm decides what fills the extra slots (`work.fillings`) and whether slots are
augmented.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.base.errors import DataError
from harness.base.rng import torch_generator
from harness.config.choices import FILLINGS
from harness.config.stages import SegmentationAugmentation
from harness.data.pairs.neighbours import Stacks, copies
from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.training.augmentation import augment_pairs
from harness.work.slots import slot_plan
from harness.work.train.batches import load_pairs


class Slots:
    """Draws one kind of slot: an endless run of permutations of `count` images, or of the images at
    `rows`.

    The draw of update `u` depends on (seed, stream, u) alone.
    """

    def __init__(
        self, count: int, slots: int, seed: int, stream: str, rows: Tensor | None = None
    ) -> None:
        self._count = count if rows is None else len(rows)
        self._rows = rows
        self._slots = slots
        self._seed = seed
        self._stream = stream
        self._passes: dict[int, Tensor] = {}

    def at(self, update: int) -> Tensor:
        """Indices (slots,) of 0-based `update`."""
        start = update * self._slots
        picked = [self.one(start + place) for place in range(self._slots)]
        return torch.tensor(picked, dtype=torch.long)

    def one(self, position: int) -> int:
        """The image at a place of the whole run."""
        picked = self._one(position)
        return picked if self._rows is None else int(self._rows[picked])

    def _one(self, position: int) -> int:
        turn, index = divmod(position, self._count)
        if turn not in self._passes:
            self._passes = {k: v for k, v in self._passes.items() if k >= turn - 1}
            source = torch_generator(self._seed, "slots", self._stream, turn)
            self._passes[turn] = torch.randperm(self._count, generator=source)
        return int(self._passes[turn][index])


class SharedSlots:
    """Slots of which a fixed share holds an image with the structure, spread evenly over the run;
    both sides are runs of permutations of their own.

    Args:
        holding: (count,) whether an image has the structure; some do and some do not.
    """

    def __init__(self, holding: Tensor, share: float, slots: int, seed: int, stream: str) -> None:
        self._share, self._slots = share, slots
        self._sides = [
            Slots(0, slots, seed, f"{stream}-{name}", torch.nonzero(side).flatten())
            for name, side in (("without", ~holding), ("with", holding))
        ]

    def at(self, update: int) -> Tensor:
        """Indices (slots,) of 0-based `update`."""
        start = update * self._slots
        picked = [self._one(start + place) for place in range(self._slots)]
        return torch.tensor(picked, dtype=torch.long)

    def _one(self, position: int) -> int:
        before, after = (math.floor(self._share * place) for place in (position, position + 1))
        without, holding = self._sides
        return holding.one(before) if after > before else without.one(position - before)


class SlotBatches:
    """Batches of real and extra slots.

    Args:
        real: CT (n, 1, F, F) in [-1, 1] and masks (n, C, F, F) 0/1 of training patients.
        extra: the same of what fills the extra slots.
        config: the segmenter spec's config.
        stacks: the neighbours of what has some, "real" and "extra".
    """

    def __init__(
        self,
        real: tuple[Tensor, Tensor],
        extra: tuple[Tensor, Tensor],
        config: Mapping[str, Any],
        seed: int,
        stacks: Mapping[str, Stacks] | None = None,
    ) -> None:
        self._pools = {"real": real, "extra": extra}
        self._stacks, self._reach = stacks or {}, config.get("neighbours", 0)
        self._dropout = config.get("neighbour_dropout", 0.0)
        self._size = config["batch_size"]
        self._updates, self._per_epoch = config["updates"], config["updates_per_epoch"]
        self._seed = seed
        fill = config["fill"]
        self._adds = fill["order"] == "added"
        self._augmentation = (
            SegmentationAugmentation.model_validate(config["augmentation"])
            if fill["augment"]
            else None
        )
        self._plan = [
            (first, {pool: n for pool, n in counts.items() if len(self._pools[pool][0])})
            for first, counts in slot_plan(config)
        ]
        filling, share = FILLINGS.get(fill["extra"]), config.get("structure_share")
        shares = {"real": share, "extra": None if filling.not_exported else share}
        self._streams = {"real": "real", "extra": f"extra-{filling.stream}"}
        self._slots = {
            (first, pool): self._run(pool, slots, shares[pool])
            for first, counts in self._plan
            for pool, slots in counts.items()
        }

    def _run(self, pool: str, slots: int, share: float | None) -> Slots | SharedSlots:
        """The order of a pool's pairs; where all are of one sort, no share can be kept."""
        masks, stream = self._pools[pool][1], self._streams[pool]
        holding = masks.flatten(1).any(dim=1).bool()
        if share is None or bool(holding.all()) or not bool(holding.any()):
            return Slots(len(masks), slots, self._seed, stream)
        return SharedSlots(holding, share, slots, self._seed, stream)

    def updates(self, epoch: int) -> int:
        """The last epoch makes what is left."""
        return min(self._per_epoch, self._updates - (epoch - 1) * self._per_epoch)

    def images(self, epoch: int) -> int:
        return sum(self._plan[0][1].values()) * self.updates(epoch)

    def batch(self, epoch: int, index: int) -> dict[str, Tensor]:
        """`ct` and `masks`; the extra slots of an arm that adds them stand apart, as `added_ct` and
        `added_masks`."""
        update = (epoch - 1) * self._per_epoch + index
        first, counts = next(part for part in reversed(self._plan) if part[0] <= update)
        parts = {pool: self._part(pool, first, update) for pool in counts}
        added = parts.pop("extra", None) if self._adds else None
        batch = {
            "ct": torch.cat([ct for ct, _ in parts.values()]),
            "masks": torch.cat([masks for _, masks in parts.values()]),
        }
        return batch if added is None else {**batch, "added_ct": added[0], "added_masks": added[1]}

    def _part(self, pool: str, first: int, update: int) -> tuple[Tensor, Tensor]:
        rows = self._slots[first, pool].at(update - first)
        ct, masks = (side[rows] for side in self._pools[pool])
        ct, masks = self._with_neighbours(pool, ct, rows, update), masks.float()
        if self._augmentation is None or not len(rows):
            return ct, masks
        source = torch_generator(self._seed, "augment", self._streams[pool], update)
        return augment_pairs(ct, masks, self._augmentation, source)

    def _with_neighbours(self, pool: str, ct: Tensor, rows: Tensor, update: int) -> Tensor:
        if not self._reach:
            return ct
        ct = copies(ct, self._reach)
        if pool in self._stacks:
            source = torch_generator(self._seed, "neighbours", self._streams[pool], update)
            shown = torch.rand(len(rows), generator=source) >= self._dropout
            ct[shown] = self._stacks[pool].at(rows[shown])
        return ct


def filled(name: str, context: Context, store: Store) -> tuple[Tensor, Tensor]:
    """The pairs of a filling.

    Raises:
        DataError: they are no pairs as the store has them.
    """
    filling = FILLINGS.get(name)
    pairs = filling.pairs(context, store)
    shapes = (1, *store.ct.shape[-2:]), store.masks.shape[1:]
    fits = (
        isinstance(pairs, tuple)
        and len(pairs) == 2
        and all(isinstance(side, Tensor) for side in pairs)
        and len(pairs[0]) == len(pairs[1])
        and all(tuple(side.shape[1:]) == shape for side, shape in zip(pairs, shapes, strict=True))
    )
    if not fits:
        what = [tuple(getattr(side, "shape", ())) for side in pairs or ()]
        raise DataError(
            f"the filling '{name}' must give tensors n x {shapes[0]} and n x {shapes[1]}, but got "
            f"{what or pairs}; mend its pairs"
        )
    ct, masks = pairs
    if not torch.isfinite(ct).all():
        raise DataError(
            f"the filling '{name}' must give finite CT, but got some that is not: what generated "
            "it did not converge; lower its learning rate"
        )
    if not (ct.abs().le(1.001).all() and masks.le(1).all()):
        raise DataError(
            f"the filling '{name}' must give CT in [-1, 1] and masks of 0 and 1, but got others; "
            "mend its pairs"
        )
    if not len(ct) and not filling.empty:
        raise DataError(f"the filling '{name}' must give pairs, but got none; mend its pairs")
    return ct, masks


def stacks_of(store: Store, config: Mapping[str, Any], seed: int) -> dict[str, Stacks]:
    """The neighbours of an arm's real and extra pairs, where its segmenter sees some and they have
    some."""
    reach, filling = config.get("neighbours", 0), FILLINGS.get(config["fill"]["extra"])
    pools = {"real": _real_rows(store, config, seed)} if reach else {}
    if reach and filling.as_stored:
        pools["extra"] = filling.rows(store)
    return {pool: Stacks.of(store, rows, reach) for pool, rows in pools.items()}


def real_pairs(store: Store, config: Mapping[str, Any], seed: int) -> tuple[Tensor, Tensor]:
    """Every pair of the training patients, or of the share of them that the arm fine-tunes on."""
    return load_pairs(store, _real_rows(store, config, seed))


def _real_rows(store: Store, config: Mapping[str, Any], seed: int) -> NDArray[np.intp]:
    rows = store.select(role="train")
    patients = sorted({store.rows[row].patient_digest for row in rows})
    share = config["pretrain"]["patients_fraction"] if "pretrain" in config else 1.0
    kept = max(1, round(share * len(patients)))
    order = torch.randperm(len(patients), generator=torch_generator(seed, "fine-tuned patients"))
    chosen = {patients[index] for index in order[:kept].tolist()} if patients else set()
    return np.array([r for r in rows if store.rows[r].patient_digest in chosen], int)
