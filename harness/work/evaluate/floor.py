"""Job kind `floor`: every score between disjoint sets of real patients, once per extractor.

No generator has to do better than real patients do against each other.
"""

from __future__ import annotations

from harness.base.rng import generator as numpy_generator
from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.metrics.fidelity.by_patient import floors
from harness.work.evaluate.features import Features
from harness.work.evaluate.real_variety import network_images, patients_of, real_rows

MOST_REAL = 600
"""Real images behind a floor; their features are computed once."""


def run(context: Context) -> None:
    """Measure the floors of one extractor on one kind of image."""
    config = context.spec.config
    store = Store.open(context.input("store") / "store")
    rows = real_rows(store, "train", "validation", most=MOST_REAL)
    features = Features(context, config["extractor"])
    found = floors(
        features.real(network_images(store, rows, config["shows"])),
        patients_of(store, rows),
        config["splits"],
        numpy_generator(0, "floor", config["shows"]),
        config["images"],
    )
    values = {
        "extractor": features.name(),
        "floors": {name: floor.summary() for name, floor in found.items()},
    }
    context.finish([], values)
