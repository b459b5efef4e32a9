"""Fillings from a store that a job makes: the GAN's pairs, CT on real masks, fresh phantoms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from harness.base.errors import RuleError
from harness.work.fillings.filling import Filling, Needs

if TYPE_CHECKING:
    from torch import Tensor

    from harness.data.pairs.store import Store
    from harness.jobs.context import Context
    from harness.jobs.spec import Spec


class Generated(Filling):
    """Pairs of a store made from training patients alone."""

    kind = "synthetic"
    rule = "synthetic pairs must come from a GAN that saw training patients only, but "
    broken = "of the patients it saw have another role"

    def pairs(self, context: Context, store: Store) -> tuple[Tensor, Tensor]:
        """Refused if anyone had a part in them who may have had none."""
        from harness.data.pairs.store import Store
        from harness.work.train.batches import load_pairs

        made = Store.open(context.input("extra") / "store")
        odd = unwanted_patients(made, {p["digest"]: p["role"] for p in store.meta["patients"]})
        if odd or made.meta["kind"] != self.kind:
            raise RuleError(f"{self.rule}{len(odd)} {self.broken}; make the store again")
        return load_pairs(made, np.arange(len(made.rows)))


class Gan(Generated):
    """Both stages: noise -> mask -> CT."""

    def job(self, needs: Needs) -> Spec:
        mask, image = (needs.stage(name).done() for name in self.stages)
        spec = needs.specs.synthesis(needs.store, mask, image, needs.seed)
        needs.need(spec, "synthesis")
        return spec


class GanOnRealMasks(Generated):
    """Stage II alone: CT for the masks of training patients."""

    def job(self, needs: Needs) -> Spec:
        image = needs.stage("image").done()
        spec = needs.specs.synthesis_on_real_masks(needs.store, image, needs.seed)
        needs.need(spec, "CT on real masks")
        return spec


class FreshPhantoms(Generated):
    """Patients that nobody has seen: what the extra places would be worth with more of them."""

    kind = "fresh"
    rule = "fresh patients must be none of the experiment's own, but "
    broken = "of them are"

    def job(self, needs: Needs) -> Spec:
        spec = needs.specs.fresh(needs.store)
        needs.need(spec, "fresh phantoms")
        return spec


def unwanted_patients(store: Store, roles: Mapping[str, str]) -> set[str]:
    """Who may have had no part in generated pairs but had: of fresh ones anyone of the experiment,
    of others anyone but its training patients.

    Args:
        roles: of the experiment's patients, by content digest.
    """
    seen = set(store.meta["lineage"]["patients"])
    if store.meta["kind"] == "fresh":
        return seen & set(roles)
    return seen - {digest for digest, role in roles.items() if role == "train"}


GAN = Gan("synthetic pairs", ("#de8f05", "#029e73"), stages=("mask", "image"), generated=True)
GAN_ON_REAL_MASKS = GanOnRealMasks(
    "CT generated for real training masks",
    ("#e5bbdd", "#cc78bc"),
    "isolates Stage II",
    stages=("image",),
    generated=True,
)
FRESH_PHANTOMS = FreshPhantoms(
    "pairs of further phantoms",
    ("#7f7f7f", "#222222"),
    "the ceiling",
    generated=True,
    needs_source="phantom",
)
