"""A scan kept between the indexing of its patient and the cut of its pairs: it is read once.

Beside the patient's entry in the index: `.hu.npy` as it was read, `.masks.npy` as bits. They hold
what the scan's content digest covers and go when the pairs are cut (`drop_kept`). Where they are
missing, on a node of its own or after an interruption, the patient is read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.base.disk import free_bytes
from harness.base.files import write_array
from harness.base.owned import look_before
from harness.data.scan import Scan

SHARE_OF_FREE = 0.01
"""Of the free disk, at most, for one scan: many patients must not fill it."""


def keep_scan(entry: Path, scan: Scan) -> dict[str, Any]:
    """Write a scan beside its entry, if there is room; returns what the entry says about it."""
    bits = np.packbits(np.stack([*scan.masks.values()]))
    if scan.hu.nbytes + bits.nbytes > SHARE_OF_FREE * free_bytes(entry.parent):
        return {}
    write_array(entry.with_suffix(".hu.npy"), scan.hu)
    write_array(entry.with_suffix(".masks.npy"), bits)
    return {"masks": list(scan.masks), "affine": scan.affine.tolist()}


def kept_scan(entry: Path, known: Mapping[str, Any]) -> Scan | None:
    """The scan that was kept; None where it was not, or is gone."""
    kept, files = known["kept"], [entry.with_suffix(s) for s in (".hu.npy", ".masks.npy")]
    try:  # another command may drop them at any moment
        hu, bits = (np.load(file, allow_pickle=False) for file in files)
    except FileNotFoundError:
        return None
    shape = (len(kept["masks"]), *hu.shape)
    masks = np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).astype(bool)
    named = dict(zip(kept["masks"], masks, strict=True))
    return Scan(known["patient"], hu, named, np.array(kept["affine"]))


def kept_files(folder: Path) -> list[Path]:
    """The files of every kept scan of a patient index."""
    return sorted(file for end in ("hu", "masks") for file in folder.glob(f"*.{end}.npy"))


def drop_kept(folder: Path) -> None:
    """Remove every kept scan of a patient index."""
    look_before(folder)
    for file in kept_files(folder):
        file.unlink(missing_ok=True)
