"""Batches of a training as a pure function of epoch and position."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.base.errors import DataError
from harness.base.rng import generator as numpy_generator
from harness.base.rng import torch_generator
from harness.data.pairs.store import Store

Augment = Callable[[Mapping[str, Tensor], torch.Generator], Mapping[str, Tensor]]

# BatchNorm needs two images to speak of a variance.
LEAST_BATCH = 2


def learnt_rows(
    store: Store, config: Mapping[str, Any], seed: int, with_structure: bool | None = None
) -> NDArray[np.intp]:
    """Rows that a GAN stage of these settings and this seed learns from.

    Raises:
        DataError: it is to learn from more patients than there are.
    """
    rows = store.select(role="train", selected=True, with_structure=with_structure)
    wanted = config.get("patients")
    if wanted is None:
        return rows
    there = store.select(role="train", selected=True)
    patients = sorted({store.rows[row].patient_digest for row in there})
    if wanted > len(patients):
        raise DataError(
            f"a stage's `patients` must be at most the {len(patients)} that train, but got "
            f"{wanted}; lower it, or give the training role more patients"
        )
    drawn = {*numpy_generator(seed, "patients").permutation(patients)[:wanted].tolist()}
    return rows[[store.rows[row].patient_digest in drawn for row in rows]]


def epoch_rows(store: Store, config: Mapping[str, Any], seed: int) -> NDArray[np.intp]:
    """`learnt_rows`, as often that an epoch has as many as with all training patients."""
    most = len(store.select(role="train", selected=True))
    return np.resize(learnt_rows(store, config, seed), most)


class EpochBatches:
    """Every image once an epoch, in an order of its own; a last batch of one image is left out.

    Args:
        tensors: named tensors of equal length.
        size: images a batch.
        seed: root of the order and augmentation streams.
        augment: applied to a batch with a generator keyed by (seed, epoch, position).
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        size: int,
        seed: int,
        augment: Augment | None = None,
    ) -> None:
        self._tensors = dict(tensors)
        self._size = size
        self._seed = seed
        self._augment = augment
        self._count = len(next(iter(tensors.values())))
        least = min(size, LEAST_BATCH)
        if self._count < least:
            raise DataError(
                f"a training needs at least {least} training pairs, but got {self._count}; "
                "add patients to the training role"
            )
        full, rest = divmod(self._count, size)
        self._updates = full + (1 if rest >= LEAST_BATCH else 0)
        self._order: tuple[int, Tensor] = (-1, torch.zeros(0, dtype=torch.long))

    def updates(self, epoch: int) -> int:
        return self._updates

    def images(self, epoch: int) -> int:
        return min(self._count, self._updates * self._size)

    def batch(self, epoch: int, index: int) -> Mapping[str, Tensor]:
        """The batch at 0-based `index` of 1-based `epoch`."""
        if self._order[0] != epoch:
            source = torch_generator(self._seed, "order", epoch)
            self._order = (epoch, torch.randperm(self._count, generator=source))
        chosen = self._order[1][index * self._size : (index + 1) * self._size]
        batch = {name: tensor[chosen] for name, tensor in self._tensors.items()}
        if self._augment is None:
            return batch
        return self._augment(batch, torch_generator(self._seed, "augment", epoch, index))


def load_pairs(store: Store, rows: NDArray[np.intp]) -> tuple[Tensor, Tensor]:
    """CT (n, 1, F, F) in [-1, 1] and masks (n, C, F, F) 0/1 of the rows of a store."""
    return (
        torch.from_numpy(np.asarray(store.ct[rows], np.float32)),
        torch.from_numpy(np.asarray(store.masks[rows])),
    )


def others(count: int, seed: int) -> Tensor:
    """Another index for each of `count`: one random cycle through all of them."""
    cycle = torch.randperm(count, generator=torch_generator(seed, "shuffled labels"))
    partner = torch.empty_like(cycle)
    partner[cycle] = cycle.roll(-1)
    return partner
