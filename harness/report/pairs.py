"""Pictures of stored pairs: real ones of training patients, synthetic ones of each replicate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.pairs.store import Store
from harness.figures.pictures import outlined, sheet
from harness.report.results import evenly

COLUMNS = 6


def real_pairs(folder: Path | None, count: int) -> NDArray[np.uint8] | None:
    """A sheet of training pairs that hold the structure, spread over the store; None without any.

    Only training patients are drawn: the page shows nothing of a test patient but its scores.
    """
    return _sheet(folder, count, role="train", with_structure=True)


def synthetic_pairs(folder: Path, count: int) -> NDArray[np.uint8] | None:
    """A sheet of synthetic pairs, spread over their store; None without any."""
    return _sheet(folder, count)


def _sheet(folder: Path | None, count: int, **wanted: Any) -> NDArray[np.uint8] | None:
    """Rows that `Store.select` finds; None where there is no store."""
    if folder is None or not folder.exists():
        return None
    store = Store.open(folder)
    rows = store.select(**wanted)
    if not len(rows):
        return None
    picked = rows[evenly(len(rows), count)]
    ct = np.asarray(store.ct[picked], np.float32)[:, 0]
    masks = np.asarray(store.masks[picked]).max(axis=1)
    return sheet([outlined(c, m) for c, m in zip(ct, masks, strict=True)], COLUMNS)
