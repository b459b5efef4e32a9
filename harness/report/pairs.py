"""Pictures of stored pairs: real ones of training patients, synthetic ones of each replicate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.pairs.store import Store
from harness.figures.pictures import outlined, sheet
from harness.report.results import evenly

COLUMNS = 6


def real_pairs(folder: Path, count: int) -> NDArray[np.uint8] | None:
    """A sheet of training pairs that hold the structure, spread over the store; None without any.

    Only training patients are drawn: the page shows nothing of a test patient but its scores.
    """
    store = Store.open(folder)
    rows = np.asarray(store.select(role="train", with_structure=True))
    return _sheet(store, rows, count)


def synthetic_pairs(folder: Path, count: int) -> NDArray[np.uint8] | None:
    """A sheet of synthetic pairs, spread over their store; None without any."""
    store = Store.open(folder)
    return _sheet(store, np.arange(len(store.rows)), count)


def _sheet(store: Store, rows: NDArray[np.intp], count: int) -> NDArray[np.uint8] | None:
    if not len(rows):
        return None
    picked = rows[evenly(len(rows), count)]
    ct = np.asarray(store.ct[picked], np.float32)[:, 0]
    masks = np.asarray(store.masks[picked]).max(axis=1)
    return sheet([outlined(c, m) for c, m in zip(ct, masks, strict=True)], COLUMNS)
