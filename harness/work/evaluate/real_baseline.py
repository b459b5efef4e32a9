"""Job kind `real-baseline`: every score between disjoint sets of real patients, once per extractor.

No generator has to do better than real patients do against each other.
"""

from __future__ import annotations

from harness.base.rng import generator as numpy_generator
from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.metrics.fidelity.by_patient import real_baselines
from harness.work.evaluate.features import Features
from harness.work.evaluate.real_diversity import network_images, patients_of, real_rows

MOST_REAL = 600
"""Real images behind a baseline; their features are computed once."""


def measure_real_baseline(context: Context) -> None:
    """Measure the real-real baselines of one extractor on one kind of image."""
    config = context.spec.config
    store = Store.open(context.input("store") / "store")
    rows = real_rows(store, "train", "validation", most=MOST_REAL)
    features = Features(context, config["extractor"])
    baselines = real_baselines(
        features.real(network_images(store, rows, config["shows"])),
        patients_of(store, rows),
        config["splits"],
        numpy_generator(0, "real-baseline", config["shows"]),
        config["images"],
    )
    values = {
        "extractor": features.name(),
        "real_baselines": {name: baseline.summary() for name, baseline in baselines.items()},
    }
    context.finish([], values)
