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
from harness.base.errors import Damaged
from harness.base.files import check_sum, sha256_file, write_array
from harness.base.owned import look_before
from harness.data.scan import Scan

SUFFIXES = (".hu.npy", ".masks.npy")
SHARE_OF_FREE = 0.01
"""Of the free disk, at most, for one scan: many patients must not fill it."""


def keep_scan(entry: Path, scan: Scan) -> dict[str, Any]:
    """Write a scan beside its entry, if there is room; returns what the entry says about it."""
    bits = np.packbits(np.stack([*scan.masks.values()]))
    if scan.hu.nbytes + bits.nbytes > SHARE_OF_FREE * free_bytes(entry.parent):
        return {}
    for suffix, array in zip(SUFFIXES, (scan.hu, bits), strict=True):
        write_array(entry.with_suffix(suffix), array)
    sums = [sha256_file(entry.with_suffix(suffix)) for suffix in SUFFIXES]
    return {"masks": list(scan.masks), "affine": scan.affine.tolist(), "sums": sums}


def kept_scan(entry: Path, known: Mapping[str, Any]) -> Scan | None:
    """The scan that was kept; None where it was not, or is gone or damaged."""
    kept, files = known["kept"], [entry.with_suffix(suffix) for suffix in SUFFIXES]
    if not kept:
        return None
    try:  # another command may drop them at any moment
        for file, recorded in zip(files, kept["sums"], strict=True):
            check_sum(file, recorded)
        hu, bits = (np.load(file, allow_pickle=False) for file in files)
    except (FileNotFoundError, Damaged):
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
