"""Job kind `calibration`: what a verdict detects among failures planted in the user's own data."""

from __future__ import annotations

from typing import Any

from harness.base.rng import generator as numpy_generator
from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.metrics.calibration.detection import calibrate_collapse, calibrate_memorisation
from harness.work.evaluate.real_diversity import patients_of, real_rows, shown_images

OF = {"collapse": calibrate_collapse, "memorisation": calibrate_memorisation}


def calibrate_verdict(context: Context) -> None:
    """Plant failures in the real images of training and validation patients, and judge them."""
    config = context.spec.config
    store = Store.open(context.input("store") / "store")
    rows = real_rows(store, "train", "validation", most=len(store.rows))
    cells = OF[config["of"]](
        shown_images(store, rows, config["shows"]),
        patients_of(store, rows),
        config["images"],
        config["repeats"],
        numpy_generator(0, "calibration", config["of"], config["shows"], config["images"]),
    )
    values: dict[str, Any] = {"patients": len(set(patients_of(store, rows)))}
    if isinstance(cells, str):
        values["reason"] = cells
    else:
        values["cells"] = [cell.to_dict() for cell in cells]
    context.finish([], values)
