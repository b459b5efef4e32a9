"""Job kind `image-test`: a trained Stage II, used in another way than it was trained for.

The thesis tested its network at twice the size it was trained at, with BatchNorm of one image, on
masks that were seen and on made ones, and saw repeated bands; here each way is measured alone. CT
made at another size is brought back to the frame by means of its pixels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from harness.base.files import without_nan
from harness.base.rng import generator as numpy_generator
from harness.base.rng import torch_generator
from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.metrics.records import PREFIX, ImageSets, compute, measure
from harness.training.pictures import TESTED, grid, to_grey, write_png
from harness.work.evaluate.features import Features
from harness.work.evaluate.gan_scores import reference_rows
from harness.work.evaluate.real_diversity import unit
from harness.work.generate.synthesis import generate_masks, in_frame, plausible
from harness.work.train.batches import learnt_rows
from harness.work.train.image_stage import conditioning
from harness.work.train.networks import image_network, mask_network, trained

PICTURED = 5
"""Masks of a kind on the picture, each with the CT that was made of it."""


class Conditions(NamedTuple):
    """Masks as Stage II is given them, real CT beside them, and whether they are pairs."""

    masks: Tensor
    ct: NDArray[np.float32]
    paired: bool


def score_image_test(context: Context) -> None:
    """Scores by whose masks they are, and a picture of a few of each kind."""
    config, seed = context.spec.config, context.spec.seed
    store = Store.open(context.input("store") / "store")
    how = {"statistics": config["statistics"], "dropout_left_on": config["dropout"]}
    network = trained(context, "training", image_network, **how)
    features = Features(context, config["extractor"])
    low, high = store.meta["window_hu"]
    values: dict[str, dict[str, Any]] = {}
    tiles = []
    for name, (masks, ct, paired) in _conditions(context, store).items():
        source = torch_generator(seed, "test", name)
        large = interpolate(masks, scale_factor=float(config["scale"]), mode="nearest")
        made = network.generate(large, source)
        images = avg_pool2d(torch.from_numpy(made), config["scale"]).numpy()
        values[name] = {"n": len(images), "finite": bool(np.isfinite(images).all())}
        if values[name]["finite"]:
            real, fake = unit(ct), unit(images)
            seen = features.real(real), features.made(fake)
            sets = ImageSets(real[:, 0], fake[:, 0], seen, high - low, seed)
            found = measure(sets, "features", *(("pairs",) if paired else ()))
            found[f"{PREFIX}bands_db"] = compute("bands_db", sets).value  # of spectra, not of pairs
            values[name] |= without_nan(found)
        shown = np.stack([masks.amax(1, keepdim=True).numpy(), images], axis=1)[:PICTURED]
        tiles.append(shown.reshape(-1, *images.shape[-2:]))
    picture = context.folder.path / TESTED
    write_png(picture, grid(to_grey(np.concatenate(tiles)), columns=2 * PICTURED))
    extractor = features.extractor
    by = {"extractor": extractor.name, "weights": extractor.weights_digest}
    context.finish([picture], {**by, "masks": values})


def _conditions(context: Context, store: Store) -> dict[str, Conditions]:
    """What Stage II is given, by whose masks they are; as many of each as there is real CT."""
    config = context.spec.config
    rows = {"validation": reference_rows(store, config["images"])}
    count = len(rows["validation"])
    training = context.work.job(context.spec.inputs["training"]).spec()
    seen = learnt_rows(store, training.config, training.seed, True)
    rows["train"] = np.sort(numpy_generator(0, "score-rows").permutation(seen)[:count])
    return {
        name: Conditions(conditioning(store, rows[name]), store.ct[rows[name]], True)
        if name in rows
        else Conditions(_made(context, store, count, name), store.ct[rows["validation"]], False)
        for name in config["masks"]
    }


def _made(context: Context, store: Store, count: int, name: str) -> Tensor:
    """Masks of the mask stage behind the input `mask`, in frames, in [-1, 1]."""
    config, edge = context.spec.config["synthesis"], store.meta["frame_px"]
    network = trained(context, "mask", mask_network)
    source = torch_generator(context.spec.seed, "masks", name)
    if name == "raw":
        return torch.from_numpy(in_frame(network.sample(count, source), edge, -1.0))
    rule = plausible(store, config["tolerance"])
    tries = count * config["attempts"]
    drawn = generate_masks(network, rule, count, tries, config["threshold"], source)
    masks = np.stack((drawn.kept + drawn.implausible)[:count])
    return torch.from_numpy(in_frame(masks, edge).astype(np.float32)) * 2 - 1
