"""Real and extra slots of a segmenter's batches, and how often a training so sees which pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.config.choices import FILLINGS
from harness.config.stages import extra_slots

if TYPE_CHECKING:
    from harness.data.pairs.store import Store


@dataclass(frozen=True)
class Exposure:
    """What one training of an arm sees.

    Attributes:
        real_passes: how often it sees a slice of a training patient, mean over them.
        structure_passes: the same of those that hold the structure; NaN without any.
        synthetic_pairs: pairs seen that were made, one as often as it comes.
    """

    real_passes: float
    structure_passes: float
    synthetic_pairs: int


def slot_plan(config: Mapping[str, Any]) -> list[tuple[int, dict[str, int]]]:
    """From which update on how many slots of a batch are real and extra.

    Args:
        config: the segmenter spec's config; `fill.order` is "mixed" or "added" (both kinds in every
            batch), "only" (extra slots alone) or "first" (extra slots alone, then real ones alone).

    Returns:
        [(first update, {"real": slots, "extra": slots})], ascending.
    """
    size, order = config["batch_size"], config["fill"]["order"]
    if order == "only":
        return [(0, {"extra": size})]
    if order == "first":
        turn = round(config["updates"] * config["pretrain"]["updates_fraction"])
        return [(0, {"extra": size}), (turn, {"real": size})]
    extra = extra_slots(size, config["synthetic_fraction"])
    return [(0, {"real": size - extra, "extra": extra})]


def exposure(config: Mapping[str, Any], store: Store) -> Exposure:
    """What a training sees, as expected of its draws: a last pass that is not whole counts for all
    slices alike, and so does the choice of patients to fine-tune on.

    Args:
        config: the segmenter spec's config.
        store: the patients' own pairs.
    """
    filling = FILLINGS.get(config["fill"]["extra"])
    drawn = {"real": 0, "extra": 0}
    plan = slot_plan(config)
    for number, (first, counts) in enumerate(plan):
        last = plan[number + 1][0] if number + 1 < len(plan) else config["updates"]
        for pool, slots in counts.items():
            drawn[pool] += slots * (last - first)
    every, holding = store.select(role="train"), set(store.select(with_structure=True).tolist())
    seen = with_structure = 0.0
    own = config.get("structure_share")
    others = None if filling.not_exported else own  # drawn by labels that are not their own
    for rows, times, set_share in (
        (every, drawn["real"], own),
        (filling.rows(store), drawn["extra"], others),
    ):
        if len(rows):
            seen += times
            share = len(holding.intersection(rows.tolist())) / len(rows)
            if set_share is not None and 0 < share < 1:  # where there are slices of both sorts
                share = set_share
            with_structure += times * share
    held = len(holding.intersection(every.tolist()))
    return Exposure(
        seen / len(every),
        with_structure / held if held else math.nan,
        drawn["extra"] if filling.generated else 0,
    )
