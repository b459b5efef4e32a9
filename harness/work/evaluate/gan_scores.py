"""Job kinds `mask-score` and `image-score`: what a checkpoint's images are worth.

Both compare with validation patients at equal n. Scores are written to the job's journal at the
checkpoint's epoch, so that the curves of a training are the journals of its scores.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.files import without_nan
from harness.base.rng import generator as numpy_generator
from harness.base.rng import torch_generator
from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.jobs.journal import Journal
from harness.metrics.collapse.verdict import Collapse
from harness.metrics.records import ImageSets, Need, measure
from harness.work.evaluate.features import Features
from harness.work.evaluate.real_diversity import DiversityJudge, journal_values, real_rows, unit
from harness.work.train.image_stage import conditioning
from harness.work.train.networks import ImageNetwork, image_network, mask_network, trained

Sides = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Real and generated images, n x 1 x H x W in [0, 1]."""


def score_masks(context: Context) -> None:
    """KID, FID and diversity of Stage I samples against validation masks."""
    config, seed = context.spec.config, context.spec.seed
    store = Store.open(context.input("store") / "store")
    network = trained(context, "training", mask_network)
    learns = context.work.job(context.spec.inputs["training"]).spec().config["learns"]
    rows = reference_rows(store, config["images"])
    judge = DiversityJudge(context, store)
    # Twice what a verdict needs: empty masks are no part of it.
    count = max(len(rows), 2 * judge.wanted)
    samples = network.sample(count, torch_generator(seed, "score-noise"))
    shown: NDArray[Any] = samples[:, 0]
    sides = None
    if np.isfinite(samples).all() and learns == "ct":
        shown = unit(shown)
        sides = unit(store.ct_crops(rows)), unit(samples[: len(rows)])
    elif np.isfinite(samples).all():
        drawn = samples.max(axis=1) > config["threshold"]
        shown = _with_structure(drawn, judge.wanted)
        real = store.mask_crops(rows).max(axis=1, keepdims=True).astype(np.float32)
        sides = real, drawn[: len(rows), None].astype(np.float32)
    masks: tuple[Need, ...] = ("masks",) if learns == "mask" else ()
    offered: tuple[Need, ...] = ("features", "samples", "raw", *masks)
    raw = unit(samples[: len(rows)].max(axis=1))
    _store(context, store, len(rows), judge.judge(shown), sides, *offered, raw=raw)


def _with_structure(masks: NDArray[np.bool_], wanted: int) -> NDArray[np.bool_]:
    """The masks that are not empty; all, where these are fewer than a verdict needs."""
    filled = masks[masks.any(axis=(1, 2))]
    return filled if len(filled) >= wanted else masks


def score_images(context: Context) -> None:
    """KID and FID of Stage II on validation masks, and its likeness to the true CT."""
    store = Store.open(context.input("store") / "store")
    network = trained(context, "training", image_network)
    rows = reference_rows(store, context.spec.config["images"])
    source = torch_generator(context.spec.seed, "score-noise")
    images = network.generate(conditioning(store, rows), source)
    verdict = _judge_image_network(context, store, network, source)
    sides = (unit(store.ct[rows]), unit(images)) if np.isfinite(images).all() else None
    _store(context, store, len(rows), verdict, sides, "features", "pairs")


def _judge_image_network(
    context: Context, store: Store, network: ImageNetwork, source: torch.Generator
) -> Collapse:
    """The verdict on Stage II over masks of as many patients as the real side has."""
    judge = DiversityJudge(context, store)
    order = numpy_generator(context.spec.seed, "painted-rows")
    every = real_rows(store, "train", "validation")
    rows = order.permutation(every)[: max(judge.wanted, 1)]
    painted = network.generate(conditioning(store, rows), source)
    return judge.judge(painted[:, 0] if not np.isfinite(painted).all() else unit(painted[:, 0]))


def reference_rows(store: Store, most: int) -> NDArray[np.intp]:
    """Validation rows that the scores compare with: structure slices, at most `most`; the same ones
    for every seed and stage.

    Raises:
        DataError: there are fewer than two.
    """
    rows = store.select(role="validation", selected=True, with_structure=True)
    if len(rows) < 2:
        raise DataError(
            "scores need at least 2 validation pairs that hold the structure, but got "
            f"{len(rows)}; give the validation role more patients"
        )
    if len(rows) > most:
        rows = np.sort(numpy_generator(0, "score-rows").permutation(rows)[:most])
    return rows


def _store(
    context: Context,
    store: Store,
    count: int,
    verdict: Collapse,
    sides: Sides | None,
    *offered: Need,
    raw: NDArray[np.float32] | None = None,
) -> None:
    """Measure what is offered and store it; `sides` is None where an image is not finite."""
    features = Features(context, context.spec.config["extractor"])
    sets = None
    if sides is not None:
        (real, fake), (low, high) = sides, store.meta["window_hu"]
        seen = features.real(real), features.made(fake)
        more = {} if raw is None else {"raw": raw}
        sets = ImageSets(real[:, 0], fake[:, 0], seen, high - low, context.spec.seed, **more)
    epoch = context.spec.inputs["training"].epoch or 0
    values = measure(sets, *offered) | journal_values(verdict)
    journal = Journal(context.folder.journal)
    journal.log(epoch, values)
    length = journal.sync()
    journal.close()
    trained = context.input_result("training")["values"]
    result: dict[str, Any] = {
        "epoch": epoch,
        "n": count,
        "extractor": features.extractor.name,
        "weights": features.extractor.weights_digest,
        "converged": trained["converged"],
        "collapse": verdict.to_dict(),
        **without_nan(values),
    }
    context.finish([], result, journal_length=length)
