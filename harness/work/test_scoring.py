"""Job kind `test-score`: Dice of one segmenter on every test patient, on the source's own grid.

All slices of a scan count. Predictions are made in the placed frame and slice range, pasted back to
the source grid and thresholded at 0.5; gland voxels outside count as misses. The largest connected
component of each structure is kept. A patient's value is the mean of the sides.
"""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn

from harness.base.errors import RuleError
from harness.base.files import write_text
from harness.data.pairs import Framing, channel_of, frames, paste
from harness.data.store import ScanRecord, Store
from harness.metrics.segmentation import Value, dice, patient_value
from harness.training.precision import Precision
from harness.work.context import Context
from harness.work.segmentation import load_segmenter, predict


def run(context: Context) -> None:
    """Score one segmenter; needs the opening that names it."""
    spec = context.spec
    opening = context.work.job(spec.inputs["opening"]).spec()
    if spec.inputs["segmenter"] not in opening.inputs.values():
        raise RuleError(
            "test patients are scored only for segmenters that the opening names, but this one is "
            "not among them; run compare, which opens the test once after all training"
        )
    context.input_result("opening")  # entered, not only planned, before a label is read
    store = Store.open(context.input("store") / "store")
    precision = Precision.of(spec.compute)
    network = load_segmenter(context, "segmenter", len(store.channels), precision)
    table = []
    for record in store.scans("test"):
        table += _score(record, network, store, precision)
    path = context.folder.path / "scores.csv"
    write_text(path, _csv(table))
    values = {
        "patients": {
            row["patient_digest"]: row["dice"] for row in table if row["structure"] == "mean"
        }
    }
    context.finish([path], values)


def _score(
    record: ScanRecord, network: nn.Module, store: Store, precision: Precision
) -> list[dict[str, Any]]:
    """Rows of one patient: one per contoured structure, and their mean."""
    scan = record.load()
    framing = Framing.of(store.meta)
    rows, sides = [], {}
    for structure, truth in scan.masks.items():
        placement = scan.placements[structure]
        name, mirrored = channel_of(structure, store.meta["mirror"])
        channel = store.channels.index(name)
        ct = frames(scan.hu, scan.affine, placement, framing, mirrored)
        made = np.zeros(ct.shape, np.float32)
        first, last = placement.slices
        inside = predict(network, ct[first : last + 1, None], precision)[:, channel]
        made[first : last + 1] = inside
        whole = paste(made, scan.hu.shape, scan.affine, placement, framing, mirrored)
        mask = largest(whole > 0.5)
        sides[structure] = dice(mask, truth)
        rows.append(_row(record, structure, sides[structure], int(truth.sum()), int(mask.sum())))
    voxels, predicted = (sum(row[name] for row in rows) for name in ("voxels", "predicted"))
    return [*rows, _row(record, "mean", patient_value(sides), voxels, predicted)]


def _row(
    record: ScanRecord, structure: str, value: Value, voxels: int, predicted: int
) -> dict[str, Any]:
    return {
        "patient": record.patient,
        "patient_digest": record.digest,
        "structure": structure,
        "dice": None if np.isnan(value.value) else value.value,
        "note": value.note or "",
        "voxels": voxels,
        "predicted": predicted,
    }


def largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest 6-connected component; an empty mask stays empty."""
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()


def _csv(table: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()
