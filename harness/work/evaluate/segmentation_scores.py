"""Job kinds `test-score`, `validation-score`: one segmenter on every patient of a role.

In 3D, on the source's own grid.

All slices of a scan count. Predictions are made in the placed frame and slice range, pasted back to
the source grid and thresholded at 0.5; structure voxels outside count as misses. The largest
connected component of each structure is kept. Where a prediction or the truth is empty, distances
are the diagonal of the structure's frame over its slice range. A patient's value is the mean of
the sides, of every measure.

scores.csv: a row per structure and a row `mean` per patient. Columns are those of `MEASURES`, empty
where a score is not defined, and
    note            where a rule rather than the masks decided, why
    voxels, predicted   voxels of truth and prediction; row `mean`: of the sides together
    tolerance_mm    what surface Dice forgives on this scan's grid
    ece, brier      of test patients: calibration of the network's own probabilities over every
                    pixel of the structure's frames, on the frames' grid, before pasting, threshold
                    and largest component; empty where it gives labels
`slices.json` of test patients: what `slice_pictures` keeps to be looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import RuleError
from harness.base.files import csv_text, write_json, write_text
from harness.data.pairs.framing import Framing, channel_of, frames, mask_frames, paste
from harness.data.pairs.neighbours import places_in_scan
from harness.data.pairs.placement import Placement
from harness.data.pairs.store import LoadedScan, ScanRecord, Store
from harness.jobs.context import Context
from harness.metrics.images.mask_shape import largest
from harness.metrics.segmentation.calibration import CALIBRATION, calibration
from harness.metrics.segmentation.measures import Spacing, Value, diagonal_mm
from harness.metrics.segmentation.structure_scores import (
    MEASURES,
    patient_scores,
    structure_scores,
    tolerance_mm,
)
from harness.work.evaluate.slice_pictures import slice_picture
from harness.work.train.networks import Segmenter, segmenter, trained


def score_test_patients(context: Context) -> None:
    """Score one segmenter; needs the opening that names it."""
    spec = context.spec
    opening = context.work.job(spec.inputs["opening"]).spec()
    if spec.inputs["segmenter"] not in opening.inputs.values():
        raise RuleError(
            "test patients are scored only for segmenters that the opening names, but this one is "
            "not among them; run compare, which opens the test once after all training"
        )
    context.input_result("opening")  # entered, not only planned, before a label is read
    _score_role(context, "test")


def score_validation_patients(context: Context) -> None:
    """Score one segmenter; what settings are chosen by may be read at any time."""
    _score_role(context, "validation")


def _score_role(context: Context, role: str) -> None:
    store = Store.open(context.input("store") / "store")
    network = trained(context, "segmenter", segmenter)
    table, pictures = [], {}
    for record in store.scans(role):
        rows, pictures[record.patient] = _score(record, network, store)
        table += rows
    path = context.folder.path / "scores.csv"
    write_text(path, csv_text(list(table[0]), [[row[name] for name in table[0]] for row in table]))
    files = [path]
    if role == "test":
        files.append(context.folder.path / "slices.json")
        write_json(files[-1], pictures)
    means = {row["patient_digest"]: row for row in table if row["structure"] == "mean"}
    measures = {name: {digest: row[name] for digest, row in means.items()} for name in MEASURES}
    context.finish(files, {"measures": measures})


def _score(
    record: ScanRecord, network: Segmenter, store: Store
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Rows of one patient, one per structure and their mean; picture of a test patient."""
    scan, tested = record.load(), record.role == "test"
    spacing, framing = spacing_mm(scan.affine), Framing.of(store.meta)
    rows, sides, masks = [], {}, {}
    for structure, truth in scan.masks.items():
        masks[structure], calibrated = _segmented(scan, structure, network, store, tested)
        largest_mm = frame_diagonal_mm(scan.placements[structure], framing, spacing)
        sides[structure] = structure_scores(masks[structure], truth, spacing, largest_mm)
        voxels = int(truth.sum()), int(masks[structure].sum())
        rows.append(_row(record, structure, sides[structure], voxels, spacing))
        rows[-1] |= calibrated
    together = sum(row["voxels"] for row in rows), sum(row["predicted"] for row in rows)
    mean = _row(record, "mean", patient_scores(sides), together, spacing)
    for name in CALIBRATION if tested else ():
        known = [row[name] for row in rows if row[name] is not None]
        mean[name] = float(np.mean(known)) if known else None
    return [*rows, mean], slice_picture(scan, masks, framing) if tested else None


def spacing_mm(affine: NDArray[np.float64]) -> Spacing:
    """Voxel size along slices, rows and columns, in the order of the arrays' axes."""
    slices, rows, columns = np.linalg.norm(affine[:3, :3], axis=0)
    return float(slices), float(rows), float(columns)


def frame_diagonal_mm(placement: Placement, framing: Framing, spacing: Spacing) -> float:
    """The largest distance in mm inside a structure's frame and slice range, where predictions lie,
    whatever the scan's field of view."""
    first, last = placement.slices
    shape = last - first + 1, framing.frame_px, framing.frame_px
    return diagonal_mm(shape, (spacing[0], framing.spacing_mm, framing.spacing_mm))


def _segmented(
    scan: LoadedScan, structure: str, network: Segmenter, store: Store, tested: bool
) -> tuple[NDArray[np.bool_], dict[str, float | None]]:
    """The structure as the network sees it, on the scan's own grid, and of a test patient how it
    is calibrated."""
    framing, placement = Framing.of(store.meta), scan.placements[structure]
    name, mirrored = channel_of(structure, store.meta["mirror"])
    channel = store.channels.index(name)
    first, last = placement.slices
    hu = scan.hu[first : last + 1]
    ct = frames(hu, scan.affine, placement, framing, mirrored)
    inside = network.predict(ct[places_in_scan(len(ct), network.reach)])[:, channel]
    pasted = paste(inside, hu.shape, scan.affine, placement, framing, mirrored)
    whole = np.zeros(scan.hu.shape, bool)
    whole[first : last + 1] = largest(pasted > 0.5)[0]
    if not tested:
        return whole, {}
    truth = scan.masks[structure][first : last + 1]
    framed = mask_frames(truth, scan.affine, placement, framing, mirrored)
    return whole, calibration(inside, framed)


def _row(
    record: ScanRecord,
    structure: str,
    scores: Mapping[str, Value],
    voxels: tuple[int, int],
    spacing: Spacing,
) -> dict[str, Any]:
    """A line of the table; one note serves all, since one rule decides for all of them."""
    values = {
        name: None if np.isnan(score.value) else score.value for name, score in scores.items()
    }
    return {
        "patient": record.patient,
        "patient_digest": record.digest,
        "structure": structure,
        "dice": values.pop("dice"),
        "note": scores["dice"].note or "",
        "voxels": voxels[0],
        "predicted": voxels[1],
        **values,
        "tolerance_mm": tolerance_mm(spacing),
    }
