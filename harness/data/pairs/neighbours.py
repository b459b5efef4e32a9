"""A slice with those below and above it, as channels from below to above: 2 reach + 1 of them, the
slice itself in the middle.

Stacks are made here alone. Beyond a scan's end its last slice is repeated; a pair without a scan
has copies of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.data.pairs.store import PairRow, Store

Places = NDArray[np.intp]
Images = TypeVar("Images", Tensor, NDArray[np.floating])


def places_in_scan(count: int, reach: int) -> Places:
    """(count, 2 reach + 1): the slices that each of `count` consecutive ones is shown with."""
    return np.clip(np.arange(count)[:, None] + np.arange(-reach, reach + 1), 0, max(0, count - 1))


def places_in_store(every: Sequence[PairRow], rows: Places, reach: int) -> Places:
    """(n, 2 reach + 1): the rows of a store that `rows` are shown with, of the same scan and
    structure. Where a slice is missing the nearest stands in its place, the lower of two."""
    found = np.repeat(np.asarray(rows, np.intp)[:, None], 2 * reach + 1, axis=1)
    if not reach:
        return found
    scans: dict[tuple[str, str], list[int]] = {}
    for place in sorted(range(len(every)), key=lambda place: every[place].slice):
        scans.setdefault((every[place].patient_digest, every[place].structure), []).append(place)
    slices = {scan: np.array([every[n].slice for n in places]) for scan, places in scans.items()}
    for index, row in enumerate(every[place] for place in rows):
        if row.slice < 0:
            continue
        scan = scans[row.patient_digest, row.structure]
        levels = slices[row.patient_digest, row.structure]
        for channel, offset in enumerate(range(-reach, reach + 1)):
            if offset:
                found[index, channel] = scan[int(np.abs(levels - row.slice - offset).argmin())]
    return found


def copies(ct: Images, reach: int) -> Images:
    """Single slices (n, 1, F, F) with nothing but themselves: (n, 2 reach + 1, F, F)."""
    return ct[:, [0] * (2 * reach + 1)]


@dataclass(frozen=True)
class Stacks:
    """Slices of a store, each with its neighbours, read as they are asked for.

    Attributes:
        ct: of the whole store (N, 1, F, F).
        places: its rows (n, 2 reach + 1).
    """

    ct: NDArray[np.float32]
    places: Places

    @classmethod
    def of(cls, store: Store, rows: Places, reach: int) -> Stacks:
        return cls(store.ct, places_in_store(store.rows, rows, reach))

    def all(self) -> NDArray[np.float32]:
        """(n, 2 reach + 1, F, F)."""
        return np.asarray(self.ct[self.places][:, :, 0], np.float32)

    def at(self, index: Tensor) -> Tensor:
        """Those at `index` (k,): (k, 2 reach + 1, F, F)."""
        return torch.from_numpy(Stacks(self.ct, self.places[index.numpy()]).all())
