"""Job kind `synthesis`: noise -> masks -> CT, into a store of the same format as the real one.

Masks are thresholded, holes filled, the largest component kept, and implausible ones rejected by
rules learnt on training masks; every rejection is counted by reason (`synthesis.clean: false`: none
of it but the threshold). A generator that makes too few
plausible masks is an outcome, not an error: what it makes is used, and the result says so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.base.rng import generator as numpy_generator
from harness.base.rng import torch_generator
from harness.data.pairs.store import PairRow, Store, write_store
from harness.jobs.context import Context
from harness.metrics.images.mask_shape import PlausibilityRule, clean_mask, fit_plausibility
from harness.work.train.networks import MaskNetwork, image_network, mask_network, trained

BATCH = 64


@dataclass
class GeneratedMasks:
    """Masks kept and why others were not."""

    kept: list[NDArray[np.bool_]] = field(default_factory=list)
    implausible: list[NDArray[np.bool_]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    tried: int = 0


def generate_masks(
    network: MaskNetwork,
    rule: PlausibilityRule | None,
    wanted: int,
    attempts: int,
    threshold: float,
    source: torch.Generator,
) -> GeneratedMasks:
    """Draw masks (C, 64, 64) until `wanted` are kept or `attempts` were tried; without a rule all
    are kept, as they are drawn."""
    masks = GeneratedMasks()
    while len(masks.kept) < wanted and masks.tried < attempts:
        for image in network.sample(BATCH, source):
            if len(masks.kept) == wanted or masks.tried == attempts:
                break
            masks.tried += 1
            if rule is None:
                masks.kept.append(image > threshold)
                continue
            mask = np.stack([clean_mask(channel) for channel in image > threshold])
            reason = rule.check(np.asarray(mask.any(axis=0)))
            if reason is None:
                masks.kept.append(mask)
            else:
                masks.reasons[_rule(reason)] += 1
                masks.implausible.append(mask)
    return masks


def plausible(store: Store, tolerance: float) -> PlausibilityRule:
    """The rule that training masks give."""
    rows = store.select(role="train", with_structure=True)
    return fit_plausibility(store.mask_crops(rows).max(axis=1) > 0, tolerance)


def in_frame(masks: NDArray[Any], edge: int, outside: float = 0) -> NDArray[Any]:
    """Masks (N, C, M, M) in the middle of frames (N, C, edge, edge), at the same scale."""
    margin = (edge - masks.shape[-1]) // 2
    sides = ((0, 0), (0, 0), (margin, margin), (margin, margin))
    return np.pad(masks, sides, constant_values=outside)


def _rule(reason: str) -> str:
    """The rule behind a reason, without its figures: what is counted."""
    if reason == "the mask is empty":
        return reason
    return f"{reason.split()[0].removesuffix('_px')} outside training range"


def synthesise(context: Context) -> None:
    """Make the synthetic store of one replicate."""
    spec, config = context.spec, context.spec.config
    store = Store.open(context.input("store") / "store")
    rule = plausible(store, config["tolerance"]) if config.get("clean", True) else None
    generated = generate_masks(
        trained(context, "mask", mask_network),
        rule,
        config["pairs"],
        config["pairs"] * config["attempts"],
        config["threshold"],
        torch_generator(spec.seed, "synthesis"),
    )
    masks = np.stack(generated.kept or generated.implausible[: config["pairs"]])
    frames = in_frame(masks, store.meta["frame_px"]).astype(np.uint8)
    values = {
        "pairs": len(frames),
        "tried": generated.tried,
        "rejected": dict(sorted(generated.reasons.items())),
        "kept_implausible": not generated.kept,
        "too_few": len(generated.kept) < config["pairs"],
    }
    _finish(context, store, frames, values)


def synthesise_on_real_masks(context: Context) -> None:
    """Make the store of one replicate's Stage II on real training masks.

    The masks are those that the GAN stages learn from, drawn without repeats as far as they last.
    """
    spec = context.spec
    store = Store.open(context.input("store") / "store")
    rows = store.select(role="train", selected=True)
    order = numpy_generator(spec.seed, "synthesis-on-real-masks").permutation(rows)
    chosen = np.resize(order, spec.config["pairs"])
    frames = store.padded_masks(chosen)
    _finish(context, store, frames, {"pairs": len(frames), "masks": len(np.unique(chosen))})


def _finish(
    context: Context, store: Store, masks: NDArray[np.uint8], values: dict[str, Any]
) -> None:
    """CT for the masks (N, C, F, F), and the store of both."""
    conditioning = torch.from_numpy(masks.astype(np.float32)) * 2 - 1
    source = torch_generator(context.spec.seed, "synthesis-ct")
    ct = trained(context, "image", image_network).generate(conditioning, source)
    folder = context.folder.path / "store"
    rows = [PairRow.synthetic(index, int(mask.sum())) for index, mask in enumerate(masks)]
    inputs = {n: i for n, i in context.spec.inputs.items() if n in ("mask", "image")}
    seen = set().union(*(_seen(context, name) for name in inputs))
    if "mask" not in inputs:  # the masks themselves are training patients'
        seen |= {p["digest"] for p in store.meta["patients"] if p["role"] == "train"}
    lineage = {**{n: i.to_dict() for n, i in inputs.items()}, "patients": sorted(seen)}
    meta = {**store.meta, "kind": "synthetic", "lineage": lineage, "patients": []}
    write_store(folder, ct, masks, rows, meta)
    context.finish([p for p in folder.rglob("*") if p.is_file()], values)


def _seen(context: Context, name: str) -> set[str]:
    """Patients that the generator behind an input was trained on, as its own store says."""
    training = context.work.job(context.spec.inputs[name]).spec()
    store = Store.open(context.work.job(training.inputs["store"]).path / "store")
    return {p["digest"] for p in store.meta["patients"] if p["role"] == "train"}
