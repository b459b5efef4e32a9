"""Job kind `fresh-phantoms`: pairs of phantoms that are none of the experiment's own.

The ceiling of every augmentation: what the extra slots would be worth if more patients could be
had. Their frames are placed by the rule learnt on the experiment's training patients.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.base.errors import DataError
from harness.config.data import DataConfig, PhantomConfig
from harness.data.pairs.landmarks import landmarks
from harness.data.pairs.placement import CropRule
from harness.data.pairs.store import PairRow, Store, write_store
from harness.data.scan import Excluded
from harness.jobs.context import Context
from harness.work.prepare.cut import Pairs, cut
from harness.work.prepare.sources import make_source

SEED_STEP = 1_000_003
"""Added to the seed of the experiment's phantoms; other seeds give other patients."""

LEAST_PAIRS = 10
"""Fewest training pairs that a phantom is counted on to give; most give twice that."""


def draw_fresh_phantoms(context: Context) -> None:
    """Make phantoms until there are as many pairs as asked for."""
    config = context.spec.config
    store = Store.open(context.input("store") / "store")
    about = context.work.job(context.spec.inputs["store"]).spec().config
    rule = CropRule.read(store.meta["crop"], store.folder / "crop")
    wanted = config["pairs"]
    phantom = PhantomConfig.model_validate(config["phantom"])
    count = -(-wanted // LEAST_PAIRS)
    phantom = phantom.model_copy(update={"seed": phantom.seed + SEED_STEP, "patients": count})
    runtime = context.request.runtime
    data = DataConfig.model_validate(runtime["data"]).model_copy(update={"phantom": phantom})
    source = make_source(data, Path(runtime["root"]))
    pairs, digests = Pairs(), []
    for reference in source.patients():
        scan = source.read(reference)
        if isinstance(scan, Excluded):
            raise DataError(
                f"fresh phantoms must be readable, but got '{scan.reason}' for {scan.patient}; "
                "choose a phantom size that holds the glands"
            )
        marks = landmarks(scan)
        digest = scan.content_digest()
        digests.append(digest)
        placed = {n: rule.place(marks, n) for n in scan.masks}
        pairs.add(cut(scan, digest, "train", placed, about))
        if sum(row.selected for row in pairs.rows) >= wanted:
            break
    chosen = [index for index, row in enumerate(pairs.rows) if row.selected][:wanted]
    rows = [PairRow.synthetic(n, pairs.rows[index].structure_px) for n, index in enumerate(chosen)]
    meta = {**store.meta, "kind": "fresh", "lineage": {"patients": sorted(digests)}, "patients": []}
    folder = context.folder.path / "store"
    write_store(
        folder,
        np.stack([pairs.ct[index] for index in chosen]),
        np.stack([pairs.masks[index] for index in chosen]),
        rows,
        meta,
    )
    values = {"pairs": len(rows), "patients": len(digests)}
    context.finish([p for p in folder.rglob("*") if p.is_file()], values)
