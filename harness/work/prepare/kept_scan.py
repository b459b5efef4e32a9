"""A scan kept between the look at its patient and the cut of its pairs, so that it is read once.

Beside the look's JSON file: `.hu.npy` as it was read, `.masks.npy` as bits. They hold what the
scan's content digest covers and go when the pairs are cut (`drop_kept`). Where they are missing,
on a node of its own or after an interruption, the patient is read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.base.disk import free_bytes
from harness.base.files import write_array
from harness.data.scan import Scan

SHARE_OF_FREE = 0.01
"""Of the free disk, at most, for one scan: many patients must not fill it."""


def keep_scan(look: Path, scan: Scan) -> dict[str, Any]:
    """Write a scan beside its look, if there is room; returns what the look says about it."""
    bits = np.packbits(np.stack([*scan.masks.values()]))
    if scan.hu.nbytes + bits.nbytes > SHARE_OF_FREE * free_bytes(look.parent):
        return {}
    write_array(look.with_suffix(".hu.npy"), scan.hu)
    write_array(look.with_suffix(".masks.npy"), bits)
    return {"masks": list(scan.masks), "affine": scan.affine.tolist()}


def kept_scan(look: Path, known: Mapping[str, Any]) -> Scan | None:
    """The scan that was kept; None where it was not, or is gone."""
    kept, files = known.get("kept"), [look.with_suffix(s) for s in (".hu.npy", ".masks.npy")]
    if not kept or not all(file.exists() for file in files):
        return None
    hu, bits = (np.load(file, allow_pickle=False) for file in files)
    shape = (len(kept["masks"]), *hu.shape)
    masks = np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).astype(bool)
    named = dict(zip(kept["masks"], masks, strict=True))
    return Scan(known["patient"], hu, named, np.array(kept["affine"]))


def drop_kept(folder: Path) -> None:
    """Remove every kept scan in the folder of looks."""
    for pattern in ("*.hu.npy", "*.masks.npy"):
        for file in folder.glob(pattern):
            file.unlink(missing_ok=True)
